"""Build tools: their caches, mirrors and settings."""
