"""Bigtop's own packaging."""
