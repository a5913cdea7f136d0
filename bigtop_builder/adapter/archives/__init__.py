"""Reads archives and compressed files that strangers made, in bounded memory."""
