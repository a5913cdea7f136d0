"""One version of a configuration type, as Ambari keeps it: properties, and attributes of properties."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

SECRET_REFERENCE = "SECRET:"
"""Ambari returns such a reference instead of a password, so passwords cannot be compared."""

_PASSWORD = re.compile(r"(password|passwd|pwd|passphrase|secret([._-]?key)?)$|^fs\.azure\.account\.key", re.IGNORECASE)


def is_password(name: str) -> bool:
    """Return whether a property is a password by its name: not every stack says so."""
    return _PASSWORD.search(name) is not None


MEBIBYTES = frozenset(
    {
        *(("hadoop-env", name) for name in ("namenode_heapsize", "namenode_opt_newsize", "namenode_opt_maxnewsize")),
        *(("hadoop-env", name) for name in ("namenode_opt_permsize", "namenode_opt_maxpermsize", "dtnode_heapsize")),
        *(("mapred-env", name) for name in ("jtnode_opt_newsize", "jtnode_opt_maxnewsize", "jtnode_heapsize")),
        *(("hbase-env", name) for name in ("hbase_master_heapsize", "hbase_regionserver_heapsize")),
        *(("oozie-env", name) for name in ("oozie_heapsize", "oozie_permsize")),
        ("zookeeper-env", "zk_server_heapsize"),
    }
)
"""Sizes of heaps, as configuration type and property, to which Ambari adds its unit ``m`` when it creates a cluster
from a blueprint (AMBARI-4933, the server's ``UnitValidatedProperty``), but not when a configuration changes later."""


def with_unit(kind: str, name: str, value: str) -> str:
    """Return the value as Ambari has it in a cluster that it has created: ``384m`` for 384 of a size in MEBIBYTES."""
    return f"{value}m" if (kind, name) in MEBIBYTES and value.isdigit() else value


_PERHAPS = re.compile(r"passw(or)?d|secret|credential|token$|private[._-]?key", re.IGNORECASE)


def may_be_secret(name: str) -> bool:
    """Return whether a property may hold a secret by its name: rather one too many is hidden where values are shown."""
    return is_password(name) or _PERHAPS.search(name) is not None


def value_lines(place: str, old: str | None, new: str | None) -> list[str]:
    """Return the change of a value as lines of a diff; None: not set. Of several lines, those that differ."""
    if old is not None and new is not None and old != new and "\n" in old + new:
        changed = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0))[2:]
        return [f"{place}:", *(line for line in changed if not line.startswith("@@"))]
    return [*_signed("-", place, old), *_signed("+", place, new)]


def _signed(sign: str, place: str, value: str | None) -> list[str]:
    if value is None:
        return []
    first, *more = value.split("\n")
    return [f"{sign}{place}: {first}", *(f"{sign}{line}" for line in more)]


Attributes = Mapping[str, Mapping[str, str]]
"""Attribute → property → value: ``{"final": {"dfs.datanode.data.dir": "true"}}`` (762)."""
WantedAttributes = Mapping[str, Mapping[str, str | None]]
"""Attributes as an inventory gives them; None for one that a property should not have."""


@dataclass(frozen=True)
class Configuration:
    """Properties and attributes of a configuration type. Ambari replaces both as a whole."""

    properties: Mapping[str, str] = field(default_factory=dict)
    attributes: Attributes = field(default_factory=dict)

    def changed(self, properties: Mapping[str, str]) -> Configuration:
        """Return the same with other values for some properties; everything else stays."""
        return replace(self, properties={**self.properties, **properties})

    def replaced(self, properties: Mapping[str, str]) -> Configuration:
        """Return the same with exactly these properties; attributes of properties that go are dropped."""
        attributes = {
            attribute: {name: value for name, value in values.items() if name in properties}
            for attribute, values in self.attributes.items()
        }
        return Configuration(dict(properties), {name: values for name, values in attributes.items() if values})

    def texts(self) -> dict[str, str]:
        """Return the properties, and each attribute as ``NAME (final)``, for people."""
        attributes = {
            f"{name} ({attribute})": value for attribute, own in self.attributes.items() for name, value in own.items()
        }
        return {**self.properties, **attributes}

    def attributed(self, wanted: WantedAttributes) -> Configuration:
        """Return the same with these attributes of its properties; all others stay."""
        attributes = {name: dict(values) for name, values in self.attributes.items()}
        for attribute, values in wanted.items():
            own = {**attributes.get(attribute, {}), **values}
            attributes[attribute] = {name: value for name, value in own.items() if value is not None}
        return replace(self, attributes={name: values for name, values in attributes.items() if values})


def set_attributes(wanted: WantedAttributes) -> dict[str, dict[str, str]]:
    """Return the wanted attributes without those that a property should not have."""
    return {name: dict(values) for name, values in Configuration().attributed(wanted).attributes.items()}


AttributeChanges = Mapping[tuple[str, str], tuple[str | None, str | None]]
"""Attribute and property → its current value and the wanted one; None: not set."""


def attribute_changes(wanted: WantedAttributes, actual: Attributes) -> AttributeChanges:
    """Return the attributes that differ: attribute and property → its value now and the wanted one."""
    return {
        (attribute, name): (old, new)
        for attribute, values in wanted.items()
        for name, new in values.items()
        if (old := actual.get(attribute, {}).get(name)) != new
    }


def differing(sent: Configuration, found: Configuration) -> list[str]:
    """Return the names of properties and attributes (``final of NAME``) that differ; passwords are not compared."""
    names = [
        name
        for name in sorted({*sent.properties, *found.properties})
        if not (name in sent.properties and found.properties.get(name, "").startswith(SECRET_REFERENCE))
        and sent.properties.get(name) != found.properties.get(name)
    ]
    for attribute in sorted({*sent.attributes, *found.attributes}):
        ours, theirs = sent.attributes.get(attribute, {}), found.attributes.get(attribute, {})
        names += [f"{attribute} of {name}" for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    return names
