"""Clusters from files: a blueprint, whether written or exported, and the cluster template that goes with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigtop_builder.cluster.adoption.found import DEFAULT_RACK, FoundCluster, FoundGroup, FoundServer
from bigtop_builder.cluster.configuration import Configuration
from bigtop_builder.cluster.layout import INSTALL_AND_START, Placed
from bigtop_builder.cluster.layout_rules import OWN_COMPONENTS
from bigtop_builder.model.errors import ConfigurationError, Location
from bigtop_builder.recipe.document import read_text

PROPERTIES, ATTRIBUTES = "properties", "properties_attributes"
STRATEGIES = ("ONLY_STACK_DEFAULTS_APPLY", "ALWAYS_APPLY", "ALWAYS_APPLY_DONT_OVERRIDE_CUSTOM_VALUES")
UNREAD = {
    "settings": "settings of the blueprint (recovery, deployment)",
    "kerberos_descriptor": "the Kerberos descriptor",
    "quicklinks_profile": "the profile of quick links",
    "provision_action": "provision_action of the template",
}
"""Keys of a blueprint or a template that an inventory has nothing for."""
Json = Mapping[str, Any]


@dataclass(frozen=True)
class JsonFile:
    """A blueprint or a cluster template."""

    file: Path
    data: Json

    def wrong(self, message: str, hint: str = "") -> ConfigurationError:
        """Return an error about this file."""
        return ConfigurationError(message, hint=hint or None, location=Location(self.file))

    @property
    def is_blueprint(self) -> bool:
        """Whether this is a blueprint: only its groups have components."""
        return "Blueprints" in self.data or any("components" in group for group in _maps(self.data, "host_groups"))


def read_json(file: Path) -> JsonFile:
    """Read a JSON file. Raises ConfigurationError with line and column."""
    text = read_text(file)
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"is not JSON: {error.msg}",
            hint="Give a blueprint or a cluster template, as Ambari's REST API takes it.",
            location=Location(file, error.lineno, error.colno),
        ) from None
    except RecursionError:
        raise ConfigurationError("is nested too deeply", location=Location(file)) from None
    found = JsonFile(file, data if isinstance(data, dict) else {})
    if not _maps(found.data, "host_groups"):
        raise found.wrong(
            "is neither a blueprint nor a cluster template: it has no host_groups",
            "Export a blueprint with GET /api/v1/clusters/NAME?format=blueprint.",
        )
    return found


def cluster_of(files: Sequence[JsonFile], name: str | None, server: FoundServer) -> FoundCluster:
    """Return the cluster that a blueprint and, if it is given, a template describe. Raises ConfigurationError."""
    blueprints = [one for one in files if one.is_blueprint]
    templates = [one for one in files if not one.is_blueprint]
    if len(blueprints) != 1 or len(templates) > 1:
        raise files[-1].wrong(
            f"{len(blueprints)} blueprints and {len(templates)} cluster templates were given",
            "Give one blueprint, and the template that names its hosts if there is one.",
        )
    blueprint, template = blueprints[0], templates[0] if templates else None
    about = _map(blueprint.data, "Blueprints")
    stack, version = about.get("stack_name"), about.get("stack_version")
    if not isinstance(stack, str) or not isinstance(version, str):
        raise blueprint.wrong("Blueprints has no stack_name and stack_version")
    given = template.data if template else {}
    groups = tuple(_groups(blueprint, template))
    security = _map(given, "security").get("type") or _map(about, "security").get("type") or "NONE"
    configurations = _merged(_configurations(blueprint.data), _configurations(given))
    if template:
        # Ambari sets this for a cluster from a blueprint that does not say otherwise (BlueprintConfigurationProcessor).
        retries = {"cluster-env": Configuration({"command_retry_enabled": "true"})}
        configurations = _merged(retries, configurations)
    repository = str(given.get("repository_version") or "")
    return FoundCluster(
        name=name or _name(about.get("blueprint_name") or blueprint.file.stem),
        source=" and ".join(one.file.name for one in files),
        stack=stack,
        stack_version=version,
        groups=groups,
        configurations=configurations,
        server=server,
        repository_version=repository if re.fullmatch(r"[0-9]+(\.[0-9]+)+(-[0-9]+)?", repository) else None,
        racks={
            str(host["fqdn"]).lower(): str(host["rack_info"])
            for group in _maps(given, "host_groups")
            for host in _maps(group, "hosts")
            if "fqdn" in host and str(host.get("rack_info") or DEFAULT_RACK) != DEFAULT_RACK
        },
        security=str(security),
        administrator=next((str(one["principal"]) for one in _maps(given, "credentials") if "principal" in one), None),
        default_password="default_password" in given,
        recommendation=next((one for one in STRATEGIES if given.get("config_recommendation_strategy") == one), None),
        running=False,
        notes=_notes(blueprint, template, server),
    )


def _notes(
    blueprint: JsonFile, template: JsonFile | None, server: FoundServer
) -> dict[tuple[str, ...], tuple[str, ...]]:
    given = {**blueprint.data, **(template.data if template else {})}
    head = [f"Not taken over: {text}." for key, text in UNREAD.items() if given.get(key)]
    if template is None:
        head.append("A blueprint names no hosts: put them into the groups.")
    return {
        ("cluster",): tuple(head),
        ("ambari",): (
            *(("The server is not known from the files.",) if server.url == FoundServer("").url else ()),
            "repositories: none are known; without them the ones that Ambari has for the stack are used.",
        ),
    }


def _groups(blueprint: JsonFile, template: JsonFile | None) -> Iterator[FoundGroup]:
    members = {str(one.get("name")): one for one in _maps(template.data, "host_groups")} if template else {}
    names = [str(group.get("name")) for group in _maps(blueprint.data, "host_groups")]
    strangers = sorted({*members} - {*names})
    if template and strangers:
        raise template.wrong(
            f"{blueprint.file.name} has no host group {strangers[0]}",
            f"It has {', '.join(names)}: do the two belong together?",
        )
    for group in _maps(blueprint.data, "host_groups"):
        name = str(group.get("name"))
        member = members.get(name, {})
        placed = [
            Placed(str(one["name"]), str(one.get("provision_action") or INSTALL_AND_START))
            for one in _maps(group, "components")
            if "name" in one
        ]
        own = [one.name for one in placed if one.name in OWN_COMPONENTS]
        hosts, notes = _hosts(group, member)
        if own:
            notes.append(f"{', '.join(own)} is Ambari itself, no component of the cluster: left out.")
        yield FoundGroup(
            re.sub(r"[^A-Za-z0-9_-]", "-", name),
            hosts,
            tuple(one for one in placed if one.name not in OWN_COMPONENTS),
            _merged(_configurations(group), _configurations(member)),
            tuple(notes),
        )


def _hosts(group: Json, member: Json) -> tuple[tuple[str, ...], list[str]]:
    """Return the hosts of a group; names that stand for hosts that nobody has named yet, and a note about them."""
    known = [str(host["fqdn"]).lower() for host in _maps(member, "hosts") if host.get("fqdn")]
    if known:
        return tuple(known), []
    wanted = str(member.get("host_count") or group.get("cardinality") or "1")
    count = int(re.sub(r"[^0-9].*", "", wanted) or 1) or 1
    name = re.sub(r"[^a-z0-9]+", "-", str(group.get("name")).lower()).strip("-") or "host"
    hosts = f"{name}-[1-{count}].example.com" if count > 1 else f"{name}-1.example.com"
    predicate = f", with {member['host_predicate']}" if member.get("host_predicate") else ""
    many = "1 host" if count == 1 else f"{count} hosts"
    return (hosts,), [f"The names of {many}{predicate} are not known: write them here."]


def _configurations(data: Json) -> dict[str, Configuration]:
    """Return configurations in any of the shapes that Ambari takes: with or without ``properties``, or with paths."""
    found: dict[str, Configuration] = {}
    for entry in _maps(data, "configurations"):
        for kind, given in entry.items():
            if isinstance(given, Mapping):
                inner = given.get(PROPERTIES)
                properties = (
                    inner if isinstance(inner, Mapping) else {k: v for k, v in given.items() if k != ATTRIBUTES}
                )
                attributes = _map(given, ATTRIBUTES)
            else:
                # ``"core-site/fs.trash.interval": "360"``, as older templates have it.
                kind, _, name = kind.partition("/")
                properties, attributes = {name.removeprefix("properties/"): given}, {}
            own = Configuration(
                {str(name): _text(value) for name, value in properties.items() if value is not None},
                {
                    str(name): {str(key): _text(value) for key, value in values.items()}
                    for name, values in attributes.items()
                    if isinstance(values, Mapping)
                },
            )
            found = _merged(found, {kind: own})
    return found


def _merged(under: Mapping[str, Configuration], over: Mapping[str, Configuration]) -> dict[str, Configuration]:
    return {
        kind: under.get(kind, Configuration())
        .changed(over.get(kind, Configuration()).properties)
        .attributed(over.get(kind, Configuration()).attributes)
        for kind in dict.fromkeys([*under, *over])
    }


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _name(text: object) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", str(text)).strip("-")[:100] or "cluster"


def _maps(data: Json, key: str) -> list[Json]:
    found = data.get(key)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _map(data: Json, key: str) -> Json:
    found = data.get(key)
    return found if isinstance(found, Mapping) else {}
