"""HDFS during an upgrade of the stack: prepare keeps an image to go back to, finalize gives it up.

Both are HDFS's own rolling upgrade (``dfsadmin -rollingUpgrade``), with one NameNode as with several. Blocks that are
deleted meanwhile stay on the DataNodes until it is finalized; that is done after a way back, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.hosts.hdfs_upgrade import FINALIZE, NONE, PREPARE, QUERY, READY, SINGLE, login
from bigtop_builder.model.errors import AmbariError, HostError, LimitError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.cluster import ClusterView
    from bigtop_builder.adapter.ssh import Output

SECONDS = 900.0
"""Time limit for the image: with several NameNodes a standby writes it at its next checkpoint."""


class HdfsUpgrade:
    """The rolling upgrade of a cluster's HDFS, as NameNodes keep it."""

    def __init__(self, connections: Connections, world: World, reporter: Reporter, view: ClusterView) -> None:
        self.connections, self.reporter = connections, reporter
        self.hosts = [one.host for one in world.components() if one.component == "NAMENODE" and one.state == "STARTED"]
        self.count = sum(one.component == "NAMENODE" for one in world.components())
        self.present = self.count > 0
        kind = "hadoop-env"
        given = (
            connections.client.configuration(world.cluster, kind, view.desired_configs[kind]).properties
            if self.present and kind in view.desired_configs
            else {}
        )
        self.user = given.get("hdfs_user") or "hdfs"
        keytab, principal = given.get("hdfs_user_keytab"), given.get("hdfs_principal_name")
        secured = view.security == "KERBEROS" and keytab and principal
        self.login = login(keytab or "", principal or "") if secured else ""

    def prepare(self) -> None:
        """Make the NameNodes keep an image to go back to, unless they have one. Raises AmbariError."""
        if not self.present:
            return
        self.require_running("prepared")
        if READY in self._state():
            return
        single = self.count == 1
        self.reporter.change(
            "HDFS: prepare a rolling upgrade",
            "hdfs dfsadmin -rollingUpgrade prepare: an image to go back to; until it is finalized, deleted blocks stay"
            + ("; nothing can be written meanwhile (safe mode), for some seconds" if single else ""),
            act=lambda: self._run(SINGLE if single else PREPARE),
            disrupts=["writing to HDFS"] if single else (),
        )

    def finalize(self) -> None:
        """Give the image up, if there is one. Raises AmbariError."""
        if not self.present:
            return
        if not self.reporter.dry_run:
            self.require_running("finalized")
            if not self.preparing():
                return
        self.reporter.change("HDFS: finalize the rolling upgrade", FINALIZE, act=lambda: self._run(FINALIZE))

    def preparing(self) -> bool:
        """Return whether the NameNodes keep an image to go back to. Raises AmbariError."""
        return bool(self.hosts) and NONE not in self._state()

    def require_running(self, what: str) -> None:
        """Raise AmbariError if HDFS exists, and no NameNode runs."""
        if self.present and not self.hosts:
            raise AmbariError(
                f"no NameNode runs, so that HDFS cannot be {what}",
                hint="Start HDFS, then run the deployment again; its packages have not been touched by this step.",
            )

    def _state(self) -> str:
        return self._run(QUERY).stdout

    def _run(self, script: str) -> Output:
        host = self.hosts[0]
        try:
            output = self.connections.fleet.remote(host).run(self.login + script, timeout=SECONDS, user=self.user)
        except (HostError, LimitError) as error:
            raise AmbariError(f"HDFS's rolling upgrade on {host}: {error.message}", hint=error.hint) from error
        if output.code != 0:
            # Hadoop's programs warn of much before they tell what went wrong.
            lines = [line for line in output.stderr.splitlines() if line.strip() and " WARN " not in line]
            said = " | ".join(lines[-3:] or output.stdout.splitlines()[-1:])
            raise AmbariError(
                f"HDFS's rolling upgrade on {host}: exited with {output.code}: {said}",
                hint="See the NameNode's log there; then run the deployment again.",
            )
        return output
