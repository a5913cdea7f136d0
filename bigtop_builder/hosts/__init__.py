"""Facts of hosts, checks over them, and the operations that follow from them: pure."""
