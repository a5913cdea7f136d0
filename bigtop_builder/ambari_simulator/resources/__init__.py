"""The resources of Ambari's REST API."""
