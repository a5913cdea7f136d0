"""Damaged and hostile input for everything that reads files of strangers: see ``harness``."""
