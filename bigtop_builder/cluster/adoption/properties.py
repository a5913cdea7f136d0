"""The properties that an inventory must say: those that a cluster does not get by itself, without any password."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from bigtop_builder.cluster.adoption.found import Configurations, Usual
from bigtop_builder.cluster.configuration import SECRET_REFERENCE, is_password, with_unit
from bigtop_builder.recipe.commented_yaml import property_scalar

_INSIDE = re.compile(r"[?&;]password=[^&;]+|://[^/\s:@]+:[^/\s@]+@", re.IGNORECASE)
"""A password in an address."""
_TOKEN = re.compile(r"%HOSTGROUP::[^%]*%")
HERE = "localhost"
MASKED = "Ambari does not show this password"
LEFT_OUT = "a password, which is not written into this file"


@dataclass
class Written:
    """What goes into the inventory: ``secrets`` has the path of each reference, with what the reader must know."""

    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[tuple[str, str], str] = field(default_factory=dict)
    left_out: int = 0
    """Properties with the value that they get by themselves."""


def written(
    found: Configurations, usual: Usual, hosts: Collection[str], variable: Callable[[str, str], str]
) -> Written:
    """Return the properties that differ from ``usual``; ``variable`` names the environment variable of a password.

    Where Ambari puts hosts into addresses, the default has ``localhost``: a value that says the same is left out.
    """
    result = Written()
    plain = _without(hosts)
    for kind in sorted(found):
        one, known = found[kind], usual.values.get(kind, {})
        attributes = usual.attributes.get(kind, {})
        for name in sorted(one.properties):
            text = one.properties[name]
            own = {attribute: values[name] for attribute, values in one.attributes.items() if name in values}
            theirs = {attribute: values[name] for attribute, values in attributes.items() if name in values}
            defaults = {with_unit(kind, name, value) for value in known.get(name, frozenset())}
            if own == theirs and (
                with_unit(kind, name, text) in defaults or plain(text) in {plain(value) for value in defaults}
            ):
                result.left_out += 1
                continue
            masked = text.startswith(SECRET_REFERENCE)
            value: Any = property_scalar(text)
            if masked or (
                text and (name in usual.passwords.get(kind, ()) or is_password(name) or _INSIDE.search(text))
            ):
                value = {"secret": f"env:{variable(kind, name)}"}
                result.secrets[kind, name] = MASKED if masked else LEFT_OUT
            elif own != theirs:
                value = _setting(value, own, theirs)
            result.data.setdefault(kind, {})[name] = value
    return result


def _setting(value: Any, own: dict[str, str], theirs: dict[str, str]) -> Any:
    """Return the value with its attributes; one that only the stack's default has is taken away, if it is ``final``."""
    setting: dict[str, Any] = {"value": value}
    if own.get("final") != theirs.get("final"):
        setting["final"] = own.get("final") == "true"
    others = {name: text for name, text in own.items() if name != "final" and theirs.get(name) != text}
    if others:
        setting["attributes"] = others
    return setting if len(setting) > 1 else value


def _without(hosts: Collection[str]) -> Callable[[str], str]:
    """Return a function that gives a value a form in which hosts, blanks and the order of JSON do not matter."""
    names = "|".join(re.escape(host) for host in sorted(hosts, key=lambda one: (-len(one), one)))
    pattern = re.compile(rf"(?<![A-Za-z0-9.-])(?:{names})(?![A-Za-z0-9-])") if names else None

    def plain(text: str) -> str:
        if text[:1] in "{[":
            try:
                return json.dumps(json.loads(text), sort_keys=True)
            except ValueError:
                pass
        text = _TOKEN.sub(HERE, " ".join(text.split()))
        text = pattern.sub(HERE, text) if pattern else text
        if HERE in text:
            text = ",".join(dict.fromkeys(part.strip() for part in text.split(",")))
        return text

    return plain


def variable_of(kind: str, name: str, group: str = "") -> str:
    """Return an environment variable for a password: ``HIVE_SITE_JAVAX_JDO_OPTION_CONNECTION_PASSWORD``."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", f"{group} {kind} {name}".strip())
    text = re.sub(r"[^A-Z0-9]+", "_", words.upper()).strip("_")
    return text if text[:1].isalpha() else f"_{text}"
