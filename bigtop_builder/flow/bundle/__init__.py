"""Bundles: create, verify, load."""
