"""Builds on many machines: the orders of a plan are carried out by the workers of a Dask cluster."""
