"""Check a layout against the rules of Ambari and of the services, and report all mistakes in one pass.

Components that Ambari would add are added here by the same rules (of its BlueprintValidator), so that the blueprint
lists everything that will be installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bigtop_builder.cluster.cardinality import Cardinality
from bigtop_builder.cluster.copies_rule import copies_problems
from bigtop_builder.cluster.demands import wanted_services
from bigtop_builder.cluster.hadoop_rules import (
    NAME_SERVICES,
    hive_problems,
    name_node_problems,
    resource_manager_problems,
)
from bigtop_builder.cluster.layout import Layout, LayoutGroup
from bigtop_builder.cluster.problem import Path, Problem
from bigtop_builder.cluster.property_names import Served, unknown_properties
from bigtop_builder.model.ambari_stack import Dependency, StackDefinition
from bigtop_builder.model.errors import ConfigurationError, ConfigurationErrors, Location
from bigtop_builder.recipe.document import near

Place = Callable[..., Location | None]
"""Returns the location of a path of the inventory: ``LoadedInventory.place``."""

SECONDARY = "SECONDARY_NAMENODE"
OWN_COMPONENTS = ("AMBARI_SERVER", "AMBARI_AGENT")
"""Ambari adds its server to every blueprint that it exports."""
WORDS = ("yes", "no", "on", "off")


@dataclass(frozen=True)
class CheckedLayout:
    """A layout that Ambari accepts; ``added`` lists what was added and why, ``warnings`` what may be unwise."""

    layout: Layout
    added: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass
class _Check:
    stack: StackDefinition
    layout: Layout
    services: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    added: list[str] = field(default_factory=list)

    def wrong(self, path: Path, message: str, hint: str = "") -> None:
        self.problems.append(Problem(path, message, hint))

    def add(self, group: str, component: str, why: str) -> None:
        self.layout = self.layout.adding(group, [component])
        self.added.append(f"{component} on {group}: {why}")


def check_layout(
    layout: Layout,
    stack: StackDefinition,
    place: Place,
    *,
    services: tuple[str, ...] = (),
    kerberos: bool = False,
    default_password: bool = False,
    served: Served | None = None,
) -> CheckedLayout:
    """Return the layout with what Ambari adds to it.

    ``services`` are those of the inventory (if empty, the components determine them), ``kerberos`` is whether the
    cluster gets Kerberos, ``default_password`` whether there is one for missing passwords, ``served`` what
    a server knows of a service's properties. Raises ConfigurationError,
    or ConfigurationErrors for several mistakes, each located with ``place``.
    """
    check = _Check(stack, layout)
    _names(check, services)
    if not check.problems:
        check.services = wanted_services(stack, layout.components)
        if kerberos:
            _kerberos(check)
        _complete(check)
    _configuration_types(check)
    if not check.problems:
        _passwords(check, default_password)
        check.problems += [
            *name_node_problems(check.layout),
            *resource_manager_problems(check.layout),
            *hive_problems(check.layout, check.services),
            *copies_problems(check.layout),
        ]
    errors = [_error(problem, place) for problem in check.problems if not problem.warning]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ConfigurationErrors(errors)
    warnings = [problem.message for problem in check.problems] + _absent(check) + _words(layout)
    warnings += unknown_properties(stack, layout, served)
    return CheckedLayout(check.layout, tuple(check.added), tuple(warnings))


def _error(problem: Problem, place: Place) -> ConfigurationError:
    return ConfigurationError(problem.message, hint=problem.hint or None, location=place(*problem.path))


def _names(check: _Check, services: tuple[str, ...]) -> None:
    """Find services and components that the stack does not have, or that do not belong together."""
    stack = check.stack
    components = [name for service in stack.services.values() for name in service.components]
    for index, name in enumerate(services):
        if name not in stack.services:
            check.wrong(("services", index), f"the stack {stack.id} has no service {name}", near(name, stack.services))
        elif not set(stack.services[name].components) & set(check.layout.components):
            check.wrong(
                ("services", index),
                f"no group has a component of {name}",
                f"Its components are {', '.join(stack.services[name].components)}.",
            )
    for group in check.layout.groups:
        for index, name in enumerate(group.names):
            path = ("groups", group.name, "components", index)
            owner = stack.service_of(name)
            if name in OWN_COMPONENTS:
                check.wrong(path, f"{name} is Ambari itself, not a component of a cluster", "Leave it out.")
            elif owner is None:
                check.wrong(path, f"the stack {stack.id} has no component {name}", near(name, components))
            elif services and owner not in services:
                check.wrong(path, f"{name} belongs to {owner}, which is not in services", f"Add {owner} to services.")
            if name in group.names[:index]:
                check.wrong(path, f"{name} is listed twice in the group {group.name}")


def _kerberos(check: _Check) -> None:
    if "KERBEROS" not in check.stack.services:
        check.wrong(("security", "kerberos"), f"the stack {check.stack.id} has no service KERBEROS")
        return
    if "KERBEROS" not in check.services:
        check.services.append("KERBEROS")
    for group in check.layout.groups:
        if "KERBEROS_CLIENT" not in group.names:
            check.add(group.name, "KERBEROS_CLIENT", "Kerberos needs it on every host")


def _complete(check: _Check) -> None:
    """Add dependencies until nothing is added any more: what is added has dependencies of its own."""
    known, before = list(check.problems), None
    while check.layout != before:
        before, check.problems = check.layout, list(known)
        _dependencies(check)
        _cardinalities(check)


def _dependencies(check: _Check) -> None:
    for group in list(check.layout.groups):
        for name in group.names:
            component = check.stack.component(name)
            for one in component.dependencies if component else ():
                _dependency(check, group, name, one)


def _dependency(check: _Check, group: LayoutGroup, name: str, one: Dependency) -> None:
    wanted = check.stack.component(one.component)
    if wanted is None or not all(_given(check.layout, group, place) for place in one.when):
        return
    if wanted.is_client and one.service not in check.services:
        return
    present = check.layout.groups_with(one.component)
    path = ("groups", group.name, "components", group.names.index(name))
    if one.scope == "cluster":
        if not present:
            reason = f" ({', '.join(one.when)} is given)" if one.when else ""
            check.wrong(
                path,
                f"{name} needs a {one.component} in the cluster{reason}",
                f"Give one to a group, of {one.service}.",
            )
        return
    if any(other.name == group.name for other in present):
        return
    if one.auto:
        check.add(group.name, one.component, f"{name} needs it on its host")
    else:
        check.wrong(path, f"{name} needs {one.component} on the same host", f"Add it to the group {group.name}.")


def _given(layout: Layout, group: LayoutGroup, place: str) -> bool:
    kind, _, name = place.partition("/")
    return layout.property(kind, name) is not None or name in group.configurations.get(kind, {})


def _cardinalities(check: _Check) -> None:
    for service in check.services:
        for name, component in check.stack.services[service].components.items():
            cardinality = Cardinality.parse(component.cardinality)
            if name == SECONDARY and any(check.layout.property("hdfs-site", one) for one in NAME_SERVICES):
                cardinality = Cardinality.parse("0")
            if cardinality.everywhere:
                _everywhere(check, name, bool(component.auto_deploy))
            else:
                _count(check, name, cardinality, component.auto_deploy)


def _everywhere(check: _Check, name: str, auto: bool) -> None:
    for group in check.layout.groups:
        if name in group.names:
            continue
        if auto:
            check.add(group.name, name, "every host has it")
        else:
            check.wrong(("groups", group.name, "components"), f"{name} must be on every host, but the group has none")


def _count(check: _Check, name: str, cardinality: Cardinality, auto: bool | str) -> None:
    """Check the number of a component. Ambari counts groups, but a group of several hosts has more of it than that."""
    groups = check.layout.groups_with(name)
    if not cardinality.holds(len(groups)) and isinstance(auto, str) and cardinality.holds(1) and not groups:
        beside = auto.partition("/")[2]
        found = check.layout.groups_with(beside)
        if found:
            check.add(found[0].name, name, f"it goes with {beside}")
            groups = check.layout.groups_with(name)
    count = len(check.layout.hosts_with(name))
    if cardinality.holds(len(groups)) and cardinality.holds(count):
        return
    path: Path = ("groups",)
    if groups:
        last = groups[-1]
        path = ("groups", last.name, "components", last.names.index(name) if name in last.names else 0)
    where = f"on {count} hosts of {len(groups)} groups" if count else "nowhere"
    hint = "Add it to a group." if not count else "Put it into a group of its own, or remove hosts."
    check.wrong(path, f"{name} is {where}; the stack requires {_described(cardinality)}", hint)


def _described(cardinality: Cardinality) -> str:
    if cardinality.most is None:
        return f"at least {cardinality.least}"
    if cardinality.least == cardinality.most:
        return f"exactly {cardinality.least}" if cardinality.least else "none here"
    return f"{cardinality.least} to {cardinality.most}"


def _configuration_types(check: _Check) -> None:
    known = check.stack.configuration_types()
    places: list[tuple[Path, Mapping[str, object]]] = [(("configurations",), check.layout.configurations)]
    places += [(("groups", one.name, "configurations"), one.configurations) for one in check.layout.groups]
    for path, configurations in places:
        for kind in configurations:
            if kind not in known:
                check.wrong(
                    (*path, kind), f"the stack {check.stack.id} has no configuration type {kind}", near(kind, known)
                )
            elif path[0] == "groups" and known[kind] is None:
                check.wrong(
                    (*path, kind),
                    f"{kind} is the whole cluster's: a group cannot have its own",
                    "Move it to configurations at the top level.",
                )
            elif path[0] == "groups" and known[kind] not in check.services:
                check.wrong(
                    (*path, kind),
                    f"{kind} is a type of {known[kind]}, which the cluster does not have",
                    f"Add the components of {known[kind]}, or remove the type.",
                )


def _passwords(check: _Check, default: bool) -> None:
    if default:
        return
    for service in check.services:
        carrying = [
            group for group in check.layout.groups if set(group.names) & set(check.stack.services[service].components)
        ]
        for place in check.stack.services[service].passwords:
            kind, _, name = place.partition("/")
            if all(_given(check.layout, group, place) for group in carrying):
                continue
            check.wrong(
                ("configurations", kind),
                f"{service} requires the password {place}",
                f"Set {name} to {{secret: env:NAME}} below configurations.{kind}, or give default_password.",
            )


def _words(layout: Layout) -> list[str]:
    """Find ``no`` and the like: they are sent as they are written, but Hadoop knows only true and false."""
    scopes = [layout.configurations, *(group.configurations for group in layout.groups)]
    return [
        f"{kind}/{name} is the word {value!r}; if a truth value is meant, write true or false"
        for configurations in scopes
        for kind, properties in configurations.items()
        for name, value in properties.items()
        if isinstance(value, str) and value.lower() in WORDS
    ]


def _absent(check: _Check) -> list[str]:
    """Find required services that are missing: Ambari accepts that, but the service may not work."""
    found = []
    for service in check.services:
        absent = [one for one in check.stack.services[service].requires if one not in check.services]
        if absent:
            found.append(
                f"according to the stack, {service} requires {', '.join(absent)}, which the cluster does not have"
            )
    return found
