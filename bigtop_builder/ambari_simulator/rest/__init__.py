"""Ambari's REST API: HTTP, query language, dispatch."""
