"""Bigtop's own tree as packaging: its bill of materials, its specs and what it copies beside them."""
