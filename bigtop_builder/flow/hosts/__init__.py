"""Hosts over SSH: facts gathered, checks run, operations carried out."""
