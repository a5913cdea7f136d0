"""Bundles: archives for sites without internet."""
