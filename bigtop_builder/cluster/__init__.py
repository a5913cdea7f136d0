"""What Ambari's stack knows and asks for, and thinking about layouts: pure."""
