"""Facts of hosts, checks over them, and the operations that follow from them. Pure: no network, no SSH."""
