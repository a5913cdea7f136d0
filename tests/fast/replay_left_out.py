"""Recorded exchanges that are not replayed, each with the reason."""

LEFT_OUT: dict[int, str] = {}
