"""Packaging with a tree of Apache Bigtop."""
