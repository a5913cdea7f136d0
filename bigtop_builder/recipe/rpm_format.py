"""How rpm writes packages: file lists of specs, names of package files, text that a spec leaves alone.

The only module on the recipe side that knows rpm's directives. The spec itself is ``templates/rpm/package.spec.j2``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from bigtop_builder.model.component import FileEntry, Package
from bigtop_builder.recipe.packaging_job import PackagingJob

FLAGS = ("doc", "license", "ghost", "dir", "exclude")
"""Keys of an entry that are directives of the same name."""
ATTRIBUTES = ("mode", "owner", "group")
"""The arguments of ``%attr``, in rpm's order."""

LONGEST_LINE = 1000
"""The longest line for which an entry is suggested."""
_DIRECTIVE = re.compile(r"%([a-z]+)\s*(?:\(([^)]*)\))?\s*")
_PATHS = re.compile(r"(?:\{\{.*?\}\}|\S)+")
_PRERELEASE = re.compile(
    r"-(?=(?:snapshot|alpha|beta|milestone|preview|pre|dev|rc|cr|m(?=[-.]?\d))(?![a-z]))", re.IGNORECASE
)
_PLAIN = re.compile(r"[\w/][\w./*-]*")


class RpmFormat:
    """Packages of rpm."""

    name = "rpm"
    suffix = ".rpm"
    spec_template = "package.spec.j2"

    @property
    def filters(self) -> Mapping[str, Callable[[Any], Any]]:
        """Return the filters that spec templates use."""
        return MappingProxyType({"rpm_escape": escape, "rpm_file_list": self.file_list})

    def version(self, upstream: str) -> str:
        """Return a version that rpm permits: ``3.1.1-TDP-0.1.0-SNAPSHOT`` becomes ``3.1.1_TDP_0.1.0~SNAPSHOT``.

        A dash before a mark of what precedes a release becomes a tilde, which sorts before the release; any other dash
        an underscore, so that a vendor's 3.1.1-TDP follows 3.1.1.
        """
        return _PRERELEASE.sub("~", upstream).replace("-", "_")

    def file_name(self, name: str, version: str, release: str, arch: str) -> str:
        """Return the name of a package file; ``release`` includes the dist tag."""
        return f"{name}-{version}-{release}.{arch}{self.suffix}"

    def file_list(self, package: Package) -> list[str]:
        """Return the lines of the package's ``%files`` section, without those of its services."""
        # The generic spec begins every list with %defattr(-,root,root,755).
        default = ["%defattr(-,root,root,-)"] if package.keep_folder_modes else []
        return [*default, *(entry if isinstance(entry, str) else file_line(entry) for entry in package.files)]

    def job(self, component: str, spec: str, script: str, arch: str) -> PackagingJob:
        """Return the call of rpmbuild, whose spec runs ``script`` in its ``%install``."""
        target = ("--target", arch) if arch != "noarch" else ()
        return PackagingJob(
            folders=("SPECS", "SOURCES", "BUILD", "BUILDROOT", "RPMS", "SRPMS"),
            files={
                f"SPECS/{component}.spec": spec,
                "SOURCES/install.sh": "set -euo pipefail\n" + script,
            },
            command=(
                *("rpmbuild", "-bb", "--nodeps", *target),
                *("--define", f"_topdir /work/{self.name}", f"SPECS/{component}.spec"),
            ),
            results="RPMS",
        )

    def correction(self, line: str) -> str | None:
        """Return how a component file says what a line of ``%files`` says; None for a plain path."""
        directive = _DIRECTIVE.match(line.strip())
        if directive is None:
            return None
        if directive[1] == "defattr":
            return (
                "Say mode, owner and group in the entries themselves, and keep_folder_modes: true in the package "
                "to keep the modes that 'install' gave to folders."
            )
        # What it takes to read a line grows with the square of its length.
        entries = file_entries(line) if len(line) <= LONGEST_LINE else None
        if entries is None:
            return "No key of an entry says this. A spec template of the component's own (the key 'spec') may."
        return f"Write: {', '.join(map(flow_mapping, entries))}"


def escape(text: str) -> str:
    """Return text that stays as it is in a spec, where ``%`` begins a macro."""
    return text.replace("%", "%%")


def file_line(entry: FileEntry) -> str:
    """Return an entry as a line of ``%files``: ``%config(noreplace) %attr(0640,redis,redis) /etc/redis/*.conf``."""
    words: dict[str, str] = {}
    for key in entry.order:
        if key in ATTRIBUTES:
            values = (getattr(entry, attribute) for attribute in ATTRIBUTES)
            words["attr"] = f"%attr({','.join('-' if value is None else value for value in values)})"
        elif key == "config" and entry.config:
            words[key] = "%config(noreplace)" if entry.config == "noreplace" else "%config"
        elif key in FLAGS and getattr(entry, key):
            words[key] = f"%{key}"
    return " ".join((*words.values(), entry.path))


def file_entries(line: str) -> list[dict[str, Any]] | None:
    """Return the entries of a component file that a line of ``%files`` stands for, one for each of its paths.

    None when it has a directive that entries do not express, such as ``%verify`` or ``%config(missingok)``.
    """
    rest, keys = line.strip(), dict[str, Any]()
    while directive := _DIRECTIVE.match(rest):
        word, arguments = directive[1], [part.strip() for part in (directive[2] or "").split(",")]
        if word == "attr":
            keys |= {key: value for key, value in zip(ATTRIBUTES, arguments, strict=False) if value not in ("-", "")}
        elif word == "config" and arguments in ([""], ["noreplace"]):
            keys[word] = arguments[0] or True
        elif word in FLAGS:
            keys[word] = True
        else:
            return None
        rest = rest[directive.end() :]
    return [{"path": path, **keys} for path in _PATHS.findall(rest) or ["/PATH"]]


def flow_mapping(entry: Mapping[str, Any]) -> str:
    """Return an entry as one line of YAML: ``{path: "{{ lib }}/logs", mode: "1777"}``."""
    return f"{{{', '.join(f'{key}: {_scalar(value)}' for key, value in entry.items())}}}"


def _scalar(value: Any) -> str:
    if value is True:
        return "true"
    return value if _PLAIN.fullmatch(value) and not value[0].isdigit() else json.dumps(value, ensure_ascii=False)
