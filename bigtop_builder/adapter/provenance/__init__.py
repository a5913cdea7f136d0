"""Describe what a package contains, in standard formats."""
