"""Bigtop's spec files as text: inserting patches as ``packages.gradle`` does, and what the specs refer to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from itertools import pairwise

from bigtop_builder.model.errors import ConfigurationError, Location
from bigtop_builder.recipe.document import near

PATCH_FILES = "#BIGTOP_PATCH_FILES"
PATCH_COMMANDS = "#BIGTOP_PATCH_COMMANDS"

_SOURCE_LINE = re.compile(r"(?:Source|Patch)\d*:\s*(\S+)", re.IGNORECASE)
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
    """Replace Bigtop's two marks in a spec by a ``PatchN:`` and a ``%patch`` line for each patch.

    Bigtop writes ``%patch0 -p1``, which RPM 4.20 rejects; all versions accept ``%patch -P0 -p1``.
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
    """Raise ConfigurationError with the line when a spec needs a file that is not in SOURCES.

    Lines that depend on a condition or on complex macros are left to ``rpmbuild``.
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
        source = _SOURCE_LINE.match(line)
        if source is None:
            continue
        name = _expand(source[1], macros).rsplit("/", 1)[-1]
        if "%" not in name and name not in names:
            raise ConfigurationError(
                f"the spec needs {name}, which is not among its sources; Bigtop takes it from {folder}",
                location=Location(place.file, number, 1),
                hint=near(name, (known for known in names if "/" not in known)) or None,
            )


def setup_folder(spec: str, defines: Iterable[str]) -> str | None:
    """Return the folder that ``%setup`` expects in the first source; None when only rpm can expand its name."""
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
    """Return what the file lists take from the build folder: patterns of relative paths, and further file lists."""
    found: list[str] = []
    for line in _lines(spec):
        if listed := _DOCUMENTS.match(line):
            found += [word for word in listed[1].split() if word[0] not in "/%"]
        elif line.startswith("%files"):
            words = line.split()
            found += [after for word, after in pairwise(words) if word == "-f"]
    return tuple(dict.fromkeys(word for word in found if ".." not in word.split("/")))


def building(spec: str) -> str:
    """Return the sections that run up to ``%install``: only they can depend on the release number when compiling."""
    kept: list[str] = []
    inside = False
    for line in _lines(spec):
        if section := _SECTION.match(line):
            inside = section[1] in ("prep", "build", "install", "check")
        elif inside:
            kept.append(line)
    return "\n".join(kept)


def words(text: str) -> frozenset[str]:
    """Return every word of a text, hence every macro or variable that it could refer to."""
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
    """Split a text as Groovy does: there is no empty line after the last line break."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]
