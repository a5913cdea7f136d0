"""Agents of the simulated server: on paper, or at work on container hosts."""
