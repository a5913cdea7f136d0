"""Upgrade a cluster to another version of its stack: what Ambari needs for it, where one stands, what changes.

Ambari moves a cluster to another stack with an upgrade pack only, and BIGTOP has none. Ours does nothing but wait:
Ambari changes stack and configurations when the upgrade begins, the deployment moves the packages, and after that the
upgrade is finalized, or goes back. All tasks of the pack run on the server: hosts with a task of an upgrade that waits
would get no other commands.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

OWN = "bigtop-builder-"
"""What the names of our upgrade packs begin with."""
RESOURCES = "/var/lib/ambari-server/resources/stacks"

PACK = """<?xml version="1.0"?>
<upgrade xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="upgrade-pack.xsd">
  <source>{source}</source>
  <source-stack>{name}-{source}</source-stack>
  <downgrade-allowed>true</downgrade-allowed>
  <type>ROLLING</type>
  <prerequisite-checks>
    <configuration/>
  </prerequisite-checks>
  <order>
    <group xsi:type="cluster" name="HOLD" title="Move the packages">
      <execute-stage title="Wait until the packages have moved">
        <task xsi:type="manual">
          <message>bigtop-builder moves all services to the other packages. Leave this step to it.</message>
        </task>
      </execute-stage>
    </group>
    <group xsi:type="cluster" name="FINALIZE" title="Finalize">
      <execute-stage title="Save the state of the cluster">
        <task xsi:type="server_action" class="org.apache.ambari.server.serveraction.upgrades.FinalizeUpgradeAction"/>
      </execute-stage>
    </group>
  </order>
  <processing>
    <service name="ZOOKEEPER">
      <component name="ZOOKEEPER_SERVER">
        <upgrade>
          <task xsi:type="restart-task"/>
        </upgrade>
      </component>
    </service>
  </processing>
</upgrade>
"""
"""The schema demands at least one service to process; no group refers to it."""

Course = Literal["none", "begin", "forward", "back", "backward"]
"""Where a cluster stands: ``begin`` an upgrade, go on ``forward`` with one that has begun, go ``back`` from it, or go
on ``backward``."""
OVER = frozenset({"COMPLETED", "ABORTED"})
UNFINISHED = "An upgrade is finished with deploy --finalize-upgrade"


@dataclass(frozen=True)
class UpgradeView:
    """An upgrade in Ambari, or the way back of one (``direction`` DOWNGRADE).

    ``version`` is the repository version that the upgrade leads to, also for its way back. ``status`` is that of the
    request; an upgrade that waits is HOLDING.
    """

    request: int
    direction: str
    status: str
    version: str
    pack: str
    suspended: bool = False
    former: str = ""
    """The repository version that services had before."""

    @property
    def source(self) -> str:
        """The version of the stack that the cluster had before."""
        return self.pack.removeprefix(OWN).partition("-to-")[0]

    @property
    def target(self) -> str:
        """The version of the stack that it leads to."""
        return self.pack.partition("-to-")[2]


@dataclass(frozen=True)
class Standing:
    """The course of a deployment, or why there is none (``refusal`` and ``hint``)."""

    course: Course = "none"
    source: str = ""
    """The version of the stack before the upgrade."""
    last: UpgradeView | None = None
    refusal: str = ""
    hint: str = ""


def pack_name(source: str, target: str) -> str:
    """Return the name of our upgrade pack from one version of the stack to another."""
    return f"{OWN}{source}-to-{target}"


def pack_path(stack: str, source: str, target: str) -> str:
    """Return where the server looks for our pack: among those of the stack that it leads to."""
    return f"{RESOURCES}/{stack}/{target}/upgrades/{pack_name(source, target)}.xml"


def upgrade_pack(stack: str, source: str) -> str:
    """Return the text of our upgrade pack."""
    return PACK.format(name=stack, source=source)


def numbers(version: str) -> tuple[int, ...]:
    """Return a dotted version as numbers, for comparison."""
    return tuple(int(part) for part in version.split("."))


def stand(name: str, wanted: str, cluster: str, wanted_packages: str, last: UpgradeView | None) -> Standing:
    """Return where a cluster stands between the stack that it has and the ``wanted`` version of the stack ``name``.

    ``cluster`` is its present stack, ``BIGTOP-3.2.0``; ``last`` its newest upgrade, or way back of one.
    """
    has, _, present = cluster.rpartition("-")
    if has != name:
        return _refused(f"has the stack {cluster}, not {name}-{wanted}", "Ambari has no way from one stack to another.")
    open_ = last is not None and (last.status not in OVER or (last.status == "ABORTED"))
    if last is None or not open_:
        return _between(name, wanted, present)
    if not last.pack.startswith(OWN):
        if last.status == "ABORTED" and not last.suspended:
            return _between(name, wanted, present)
        return _refused(
            f"is being upgraded in Ambari with the upgrade pack {last.pack}", "Finish that upgrade, or its way back."
        )
    return _unfinished(name, wanted, present, wanted_packages, last)


def _between(name: str, wanted: str, present: str) -> Standing:
    if present == wanted:
        return Standing()
    if numbers(wanted) < numbers(present):
        return _refused(
            f"has the stack {name}-{present}, which is newer than {name}-{wanted}",
            f"There is a way back only until an upgrade is finalized. Set stack.version: {present}.",
        )
    return Standing("begin", present)


def _unfinished(name: str, wanted: str, present: str, packages: str, last: UpgradeView) -> Standing:
    source = last.source
    way_back = f"To go back to {name}-{source}: stack.version: {source}."
    if last.suspended:
        return _refused("has an upgrade that was paused in Ambari", f"Resume it there (Stack and Versions). {way_back}")
    if last.direction == "DOWNGRADE" and last.status != "ABORTED":
        if wanted == source:
            return Standing("backward", source, last)
        return _refused(f"is on its way back to {name}-{source}", f"Deploy it with stack.version: {source} first.")
    if wanted == source:
        return Standing("back", source, last)
    if last.status == "ABORTED":
        return _refused(f"has an upgrade from {name}-{source} that was aborted: it can only go back", way_back)
    if wanted != present or packages != last.version:
        return _refused(
            f"has an unfinished upgrade from {name}-{source} to {last.version}", f"{UNFINISHED}. {way_back}"
        )
    return Standing("forward", source, last)


def _refused(refusal: str, hint: str) -> Standing:
    return Standing(refusal=refusal, hint=hint)


@dataclass(frozen=True)
class ConfigurationChanges:
    """What another stack changes in a cluster's configurations, by configuration type."""

    added: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    changed: Mapping[str, Mapping[str, tuple[str, str]]] = field(default_factory=dict)
    """Former and new default of properties that the cluster has as the former stack gave them."""
    kept: Mapping[str, Mapping[str, tuple[str, str]]] = field(default_factory=dict)
    """Present value and new default of properties with another value than the former default."""
    unknown: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Properties that only the former stack knows: Ambari leaves them as they are."""
    renamed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Those of them whose value the new stack has under another name."""


Defaults = Mapping[str, Mapping[str, str]]


def configuration_changes(old: Defaults, new: Defaults, present: Defaults) -> ConfigurationChanges:
    """Return what Ambari's merge does when it moves a cluster from the defaults ``old`` to ``new``.

    It adds what only the new stack has, takes over new defaults of what was never changed, and removes nothing (read in
    the sources of 3.0: UpgradeHelper). Types that the cluster does not have belong to services that it does not have.
    """
    added: dict[str, dict[str, str]] = {}
    changed: dict[str, dict[str, tuple[str, str]]] = {}
    kept: dict[str, dict[str, tuple[str, str]]] = {}
    unknown: dict[str, list[str]] = {}
    renamed: dict[str, dict[str, str]] = {}
    for kind in sorted({*old, *new}):
        before, after, now = old.get(kind, {}), new.get(kind, {}), present.get(kind, {})
        if kind not in present and kind in old:
            continue
        for name, value in after.items():
            if name not in now:
                # What only the cluster lacks, the advisor has taken out.
                if name not in before:
                    added.setdefault(kind, {})[name] = value
            elif now[name] != value and now[name] == before.get(name):
                changed.setdefault(kind, {})[name] = (now[name], value)
            elif now[name] != value and before.get(name) != value and name in before:
                kept.setdefault(kind, {})[name] = (now[name], value)
        gone = [name for name in before if name not in after and name in now]
        for name in gone:
            heirs = [other for other, value in added.get(kind, {}).items() if value and value == before[name]]
            if len(heirs) == 1:
                renamed.setdefault(kind, {})[name] = heirs[0]
            else:
                unknown.setdefault(kind, []).append(name)
    return ConfigurationChanges(added, changed, kept, unknown, renamed)


def shown_changes(changes: ConfigurationChanges) -> list[str]:
    """Return the changes as lines of a diff, without the values of passwords."""
    from bigtop_builder.cluster.configuration import may_be_secret

    def value(name: str, text: str) -> str:
        line = text.splitlines()[0] if text else ""
        return "***" if may_be_secret(name) else line + (" …" if text != line else "")

    lines = [
        f"+{kind}/{name}: {value(name, text)}" for kind, own in changes.added.items() for name, text in own.items()
    ]
    for kind, own in changes.changed.items():
        for name, (old, new) in own.items():
            lines += [f"-{kind}/{name}: {value(name, old)}", f"+{kind}/{name}: {value(name, new)}"]
    lines += [
        f"{kind}/{name} stays {value(name, now)}: it was changed; the new stack's default is {value(name, new)}"
        for kind, own in changes.kept.items()
        for name, (now, new) in own.items()
    ]
    lines += [
        f"{kind}/{old} may be called {new} in the new stack: Ambari keeps it and adds the other"
        for kind, pairs in changes.renamed.items()
        for old, new in pairs.items()
    ]
    lines += [
        f"{kind}/{name} is unknown to the new stack: Ambari keeps it"
        for kind, names in changes.unknown.items()
        for name in names
    ]
    return lines
