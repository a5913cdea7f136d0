"""Test beds: container hosts with a repository and an Ambari server."""
