"""The phases of a deployment."""
