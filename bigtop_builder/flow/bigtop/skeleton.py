"""A component file made from a spec of Bigtop, as a starting point: packages, requirements, file lists, scripts.

It loads and renders. How the component is compiled and installed is still to be written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bigtop_builder.flow.bigtop.spec_query import SCRIPTS, ReadSpec
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.source import Alternative, FileSource, Source
from bigtop_builder.recipe.bigtop.tree import BigtopRecipe
from bigtop_builder.recipe.spec_files import Listed

PHASES = dict(zip(SCRIPTS.values(), ("pre", "post", "preun", "postun", "pretrans", "posttrans"), strict=True))
HEAD = """\
# Made from what Bigtop {version} packages as {name}: 'build' and 'install' are still to be written.
"""
FLAG_KEYS: Mapping[str, Mapping[str, Any]] = {
    "c": {"config": True},
    "cn": {"config": "noreplace"},
    "d": {"doc": True},
    "g": {"ghost": True},
    "l": {"license": True},
}
"""What an entry of ``files:`` says for the flags of an entry in a spec."""


class _Entry(dict[str, Any]):
    """An entry of ``files:``, written on one line."""


class _Dumper(yaml.SafeDumper):
    """Writes scripts as blocks and entries of file lists on one line."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


def _one_line(dumper: yaml.SafeDumper, entry: _Entry) -> yaml.MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", entry, flow_style=True)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(_Entry, _one_line)


def write_skeleton(folder: Path, packaging: BigtopRecipe, spec: ReadSpec, source: Source | None) -> Path:
    """Write ``components/NAME/component.yaml`` into an overlay. Raises ConfigurationError when it exists already."""
    file = folder / "components" / packaging.component.name / "component.yaml"
    if file.exists():
        raise ConfigurationError(f"{file} already exists", hint="Choose another folder with --write.")
    head = HEAD.format(version=packaging.bom.version, name=packaging.component.name)
    data = _component(packaging, spec, source)
    text = head + yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from error
    return file


def _component(packaging: BigtopRecipe, spec: ReadSpec, source: Source | None) -> dict[str, Any]:
    one, first = packaging.component, spec.headers[0]
    release: dict[str, Any] = {"release": int(one.release) if one.release.isdecimal() else 1}
    if source is not None:
        alternatives = [_alternative(packaging, alternative) for alternative in source.alternatives]
        release["sources"] = [{"alternatives": alternatives}]
    return {
        "name": one.name,
        "summary": _plain(first["summary"]),
        "license": first["license"],
        "arch": "noarch" if all(header["arch"] == "noarch" for header in spec.headers) else "native",
        "versions": {one.version: release},
        "install": "# Copy the tree in $STAGE to its places below $BUILDROOT.\n",
        "packages": [_package(packaging, header, spec) for header in spec.headers if header["name"] in spec.files],
    }


def _alternative(packaging: BigtopRecipe, alternative: Alternative) -> dict[str, Any]:
    """Make the path of a file absolute: it was relative to the tree, and would be to the component file."""
    data = alternative.model_dump(exclude_none=True)
    if isinstance(alternative, FileSource):
        data["file"] = str(packaging.bom.file.parent / alternative.file)
    return data


def _package(packaging: BigtopRecipe, header: Mapping[str, str], spec: ReadSpec) -> dict[str, Any]:
    itself = f"{header['version']}-{header['release']}"
    needs = sorted(
        {need for need in header["requires"].split("\x1e") if need and not need.startswith(("rpmlib(", "/bin/sh"))}
    )
    provides = [one for one in header["provides"].split("\x1e") if one and not one.startswith(header["name"])]
    texts = header["scripts"].split("\x1e")
    found: dict[str, Any] = {
        "name": _template(packaging, header["name"]),
        "summary": _plain(header["summary"]),
        "requires": [_template(packaging, need.replace(itself, "%{version}-%{release}")) for need in needs],
        "provides": [_template(packaging, one) for one in provides if not one.startswith("config(")],
        "files": [_file(packaging, entry) for entry in spec.files[header["name"]]],
        "scripts": {
            PHASES[name]: _script(packaging, text) for name, text in zip(texts[0:-1:2], texts[1::2], strict=True)
        },
    }
    return {key: value for key, value in found.items() if value}


def _script(packaging: BigtopRecipe, text: str) -> str:
    """Remove tabs and trailing blanks, because YAML writes no block of a text that has them."""
    lines = [line.rstrip().expandtabs(4) for line in text.strip().splitlines()]
    return _template(packaging, "\n".join(lines)) + "\n"


def _file(packaging: BigtopRecipe, listed: Listed) -> str | _Entry:
    path = _template(packaging, listed.path)
    entry = _Entry(path=path)
    if listed.owner != "root:root":
        entry["owner"], _, entry["group"] = listed.owner.partition(":")
    entry.update(FLAG_KEYS.get(listed.flags, {}))
    return entry if len(entry) > 1 else path


def _template(packaging: BigtopRecipe, text: str) -> str:
    """Replace suffix and prefix of the stack by templates, and escape braces that look like one."""
    text = text.replace("{{", "{{ '{{' }}").replace("{%", "{{ '{%' }}").replace("{#", "{{ '{#' }}")
    if packaging.parent_dir:
        text = text.replace(packaging.parent_dir, "{{ parent_dir }}")
    return text.replace(packaging.suffix, "{{ suffix }}") if packaging.suffix else text


def _plain(text: str) -> str:
    return text.replace("{{", "{ {").replace("{%", "{ %")
