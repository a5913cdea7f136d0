"""Publish, verify and describe package repositories."""
