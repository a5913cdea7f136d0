"""The Ambari REST client."""
