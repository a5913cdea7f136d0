"""Bigtop's spec files: the patches put in as ``packages.gradle`` does it, and the files that they ask for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from itertools import pairwise

from bigtop_builder.model.errors import ConfigurationError, Location
from bigtop_builder.recipe.document import near

PATCH_FILES = "#BIGTOP_PATCH_FILES"
PATCH_COMMANDS = "#BIGTOP_PATCH_COMMANDS"

_ASKED = re.compile(r"(?:Source|Patch)\d*:\s*(\S+)", re.IGNORECASE)
_NAME = re.compile(r"Name:\s*(\S+)", re.IGNORECASE)
_VERSION = re.compile(r"Version:\s*(\S+)", re.IGNORECASE)
_DEFINE = re.compile(r"\s*%(?:define|global)\s+(\w+)\s+(\S.*)")
_MACRO = re.compile(r"%\{\??(\w+)\}")
_SETUP = re.compile(r"%(?:auto)?setup\b(.*)")
_DOCUMENTS = re.compile(r"%(?:doc|license)\s+(\S.*)")
_SECTION = re.compile(
    r"%(package|description|prep|build|install|check|clean|files|changelog|pre|post|preun|postun|pretrans|posttrans"
    r"|trigger\w*|filetrigger\w*|transfiletrigger\w*|verifyscript)\b"
)
_WORD = re.compile(r"\w+", re.ASCII)
_NESTING = 10


def with_patches(spec: bytes, patches: Sequence[str]) -> bytes:
    """The spec with a ``PatchN:`` line and a ``%patch`` line for each patch in place of Bigtop's two marks.

    Bigtop writes ``%patch0 -p1``, which RPM 4.20 refuses; ``%patch -P0 -p1`` is the same to all of them.
    """
    lines: list[str] = []
    for line in _lines(spec.decode("utf-8", "surrogateescape")):
        if line.startswith(PATCH_FILES):
            lines += [f"Patch{number}: {name}" for number, name in enumerate(patches)]
        elif line.startswith(PATCH_COMMANDS):
            lines += [f"%patch -P{number} -p1" for number in range(len(patches))]
        else:
            lines.append(line)
    return "".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape")


def check_sources(spec: str, place: Location, names: Set[str], defines: Iterable[str], folder: str) -> None:
    """Raise ConfigurationError with the line when a spec asks for a file that is not in SOURCES.

    What depends on a condition, or on macros that are not plain, is left to ``rpmbuild``.
    """
    macros = _macros(defines)
    conditions = 0
    for number, line in enumerate(_lines(spec), 1):
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        if word.startswith("%if"):
            conditions += 1
        elif word == "%endif":
            conditions -= 1
        if conditions:
            continue
        _note(line, macros)
        asked = _ASKED.match(line)
        if asked is None:
            continue
        name = _expand(asked[1], macros).rsplit("/", 1)[-1]
        if "%" not in name and name not in names:
            raise ConfigurationError(
                f"the spec asks for {name}, which is not among its sources; Bigtop takes it from {folder}",
                location=Location(place.file, number, 1),
                hint=near(name, (known for known in names if "/" not in known)) or None,
            )


def setup_folder(spec: str, defines: Iterable[str]) -> str | None:
    """The folder that ``%setup`` expects in the first source; None when its name cannot be told without rpm."""
    macros = _macros(defines)
    for line in _lines(spec):
        _note(line, macros)
        if (found := _SETUP.match(line)) is None:
            continue
        words = found[1].split()
        name = words[words.index("-n") + 1] if "-n" in words[:-1] else "%{name}-%{version}"
        expanded = _expand(name, macros)
        return None if "%" in expanded or "/" in expanded else expanded
    return None


def documents(spec: str) -> tuple[str, ...]:
    """What the file lists take from the build folder itself: patterns of relative paths, and further lists."""
    found: list[str] = []
    for line in _lines(spec):
        if listed := _DOCUMENTS.match(line):
            found += [word for word in listed[1].split() if word[0] not in "/%"]
        elif line.startswith("%files"):
            words = line.split()
            found += [after for word, after in pairwise(words) if word == "-f"]
    return tuple(dict.fromkeys(word for word in found if ".." not in word.split("/")))


def building(spec: str) -> str:
    """The sections that run while a component is built and laid out: all of the spec that can see a release number."""
    kept: list[str] = []
    inside = False
    for line in _lines(spec):
        if section := _SECTION.match(line):
            inside = section[1] in ("prep", "build", "install", "check")
        elif inside:
            kept.append(line)
    return "\n".join(kept)


def words(text: str) -> frozenset[str]:
    """Every word of a text: what it could call a macro or a variable by."""
    return frozenset(_WORD.findall(text))


def _macros(defines: Iterable[str]) -> dict[str, str]:
    macros = {name.replace("-", "_"): value for name, _, value in (define.partition(" ") for define in defines)}
    return {**macros, "nil": ""}


def _note(line: str, macros: dict[str, str]) -> None:
    for pattern, key in ((_NAME, "name"), (_VERSION, "version")):
        if found := pattern.match(line):
            macros[key] = found[1]
    if found := _DEFINE.match(line):
        macros[found[1]] = found[2].strip()


def _expand(text: str, macros: dict[str, str]) -> str:
    for _ in range(_NESTING):
        expanded = _MACRO.sub(lambda found: macros.get(found[1], found[0]), text)
        if expanded == text or len(expanded) > 1000:
            return expanded
        text = expanded
    return text


def _lines(text: str) -> list[str]:
    """As Groovy takes a text apart: no empty line behind the last end of a line."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]
