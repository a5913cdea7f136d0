"""Hosts over SSH: run scripts on many of them at once."""

from bigtop_builder.adapter.ssh.fleet import Fleet
from bigtop_builder.adapter.ssh.remote import Output, Remote

__all__ = ["Fleet", "Output", "Remote"]
