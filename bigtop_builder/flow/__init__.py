"""Flows: what ties adapters to plans."""
