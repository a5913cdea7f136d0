"""Checks of hosts: pure rules over facts and the inventory, one module for each topic."""

from bigtop_builder.hosts.checks.check import CHECKS, check, wanted
from bigtop_builder.hosts.checks.rule import Finding

__all__ = ["CHECKS", "Finding", "check", "wanted"]
