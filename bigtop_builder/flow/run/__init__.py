"""Runs: how they are recorded, their state, and reading them back."""
