"""Build tools: one module each, which holds all that this program knows of the tool."""
