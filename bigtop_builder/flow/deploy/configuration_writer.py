"""Write configurations to Ambari, and read them back: what a server did not take would otherwise be noticed by nobody.

Ambari replaces a configuration type as a whole. So what is written is the version that was read, with our changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bigtop_builder.cluster.configuration import Configuration, differing
from bigtop_builder.model.errors import AmbariError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.configuration import ConfigGroup

HINT = "Look at the type's versions in Ambari; the earlier one can be made current again there."


def write_configurations(
    client: Ambari,
    cluster: str,
    configurations: Mapping[str, Configuration],
    read: Mapping[str, str],
    note: str,
    services: Mapping[str, str],
) -> None:
    """Create new versions of configuration types; ``services`` has the service of each type.

    ``read`` has the tag of the version that each existing type was read in. Raises AmbariError if there is another
    version by now, or if Ambari has afterwards anything else than what was sent.
    """
    current = client.desired_configurations(cluster)
    changed = sorted(kind for kind in configurations if current.get(kind) != read.get(kind))
    if changed:
        raise AmbariError(
            f"{', '.join(changed)} was changed in Ambari meanwhile",
            hint="Run the deployment again: it starts from the new version.",
        )
    client.put_configurations(cluster, configurations, note, services=services)
    tags = client.desired_configurations(cluster)
    for kind, sent in configurations.items():
        if kind not in tags:
            raise AmbariError(f"Ambari has no {kind} although it accepted it", hint=HINT)
        _compare(client, cluster, kind, tags[kind], sent)


def check_group(
    client: Ambari, cluster: str, name: str, service: str, hosts: frozenset[str], sent: Mapping[str, Configuration]
) -> None:
    """Read a configuration group back. Raises AmbariError if it has anything else than what was sent."""
    groups = [one for one in client.config_groups(cluster) if (one.name, one.service) == (name, service)]
    if len(groups) != 1:
        raise AmbariError(f"Ambari has {len(groups)} configuration groups {name} of {service} after it was written")
    group: ConfigGroup = groups[0]
    if group.hosts != hosts or {*group.tags} != {*sent}:
        raise AmbariError(
            f"the configuration group {name} of {service} has other hosts or types than were written: "
            f"{', '.join(sorted(group.hosts))}; {', '.join(sorted(group.tags))}"
        )
    for kind, configuration in sent.items():
        _compare(client, cluster, kind, group.tags[kind], configuration)


def _compare(client: Ambari, cluster: str, kind: str, tag: str, sent: Configuration) -> None:
    """Raise AmbariError with the names of what differs; never with values, which may be secrets."""
    names = differing(sent, client.configuration(cluster, kind, tag))
    if names:
        listing = ", ".join(f"{kind}/{name}" for name in names[:10]) + (" …" if len(names) > 10 else "")
        raise AmbariError(f"Ambari accepted {kind} but did not take it as it was sent: {listing}", hint=HINT)
