"""A run: its events, recorded."""
