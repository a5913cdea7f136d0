"""Installed packages, and the stacks in ``/usr/bigtop``."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from bigtop_builder.hosts.facts.fact import Fact, FactGroup, Rows, firsts, single
from bigtop_builder.model.base import StrictModel


class Package(StrictModel):
    """An installed package."""

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    vendor: str | None = None

    @property
    def evr(self) -> str:
        """``[epoch:]version-release``."""
        return f"{self.epoch}:{self.version}-{self.release}" if self.epoch else f"{self.version}-{self.release}"


RPM = r"""
if type -P rpm >/dev/null; then
    printf 'rpm\t'; type -P rpm
    rpm -qa --qf 'package\t%{NAME}\t%{EPOCHNUM}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\t%{VENDOR}\n' 2>/dev/null
fi
"""

STACKS = r"""
for path in /usr/bigtop/* /usr/bigtop/.[!.]*; do
    [ -e "$path" ] || [ -L "$path" ] && emit bigtop "${path##*/}"
done
"""

SELECTORS = r"""
[ -d /usr/bigtop/current ] && find /usr/bigtop/current -maxdepth 1 -type l -printf 'current\t%f\t%l\n' 2>/dev/null
"""


# yum on newer systems is another name of dnf. Both list what the repositories have by name; neither installs anything.
AVAILABLE = r"""
if type -P rpm yum >/dev/null; then
    absent=() code=0
    for name in "${packages[@]}"; do
        if rpm -q --quiet --whatprovides "$name" 2>/dev/null; then emit available "$name"; else absent+=("$name"); fi
    done
    if [ "${#absent[@]}" -gt 0 ]; then
        text=$(timeout 120 yum -q list available "${absent[@]}" 2>&1) || code=$?
        while read -r name _; do
            for one in "${absent[@]}"; do [ "${name%.*}" = "$one" ] && emit available "$one"; done
        done <<< "$text"
        if [ "$code" -ne 0 ] && [[ $text != *"o matching Packages"* ]]; then
            emit unavailable "yum ended with ${code}: ${text##*$'\n'}"
        fi
    fi
else
    emit unavailable "there is no yum"
fi
"""


def _packages(rows: Rows) -> dict[str, tuple[Package, ...]]:
    packages: dict[str, list[Package]] = {}
    for name, epoch, version, release, arch, vendor in rows.of("package"):
        packages.setdefault(name, []).append(
            Package(
                name=name,
                epoch=int(epoch),
                version=version,
                release=release,
                arch=arch,
                vendor=None if vendor == "(none)" else vendor,
            )
        )
    return {name: tuple(found) for name, found in packages.items()}


def _selectors(rows: Rows) -> dict[str, str]:
    return {
        name: found[1]
        for name, target in rows.pairs("current").items()
        if (found := re.match(r"(?:/usr/bigtop|\.\.)/([^/]+)/", target))
    }


class PackageFacts(FactGroup):
    """Installed packages, and the stacks in ``/usr/bigtop``."""

    rpm: Annotated[bool, Fact(RPM, lambda rows: bool(rows.of("rpm")))] = False
    """Whether rpm is installed; without it ``packages`` is empty."""
    available: Annotated[frozenset[str], Fact(AVAILABLE, firsts("available"), background=True, about=("packages",))] = (
        frozenset()
    )
    """Those of the wanted packages that are installed, or that an enabled repository of the host has."""
    availability_unknown: Annotated[
        str | None, Fact(AVAILABLE, single("unavailable"), background=True, about=("packages",))
    ] = None
    """Why the host cannot say what its repositories have."""
    packages: Annotated[dict[str, tuple[Package, ...]], Fact(RPM, _packages)] = Field(default_factory=dict)
    """By name; several of one name are possible (``kernel``)."""
    bigtop: Annotated[tuple[str, ...], Fact(STACKS, firsts("bigtop"))] = ()
    """The names in ``/usr/bigtop``."""
    selectors: Annotated[dict[str, str], Fact(SELECTORS, _selectors)] = Field(default_factory=dict)
    """The version that the link ``/usr/bigtop/current/NAME`` points to."""

    def has_package(self, name: str) -> bool:
        """Whether a package of that name is installed."""
        return name in self.packages
