"""Reads the file lists of a spec expanded by rpm (``rpmspec -P``), and compares two of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

SECTION = re.compile(
    r"%(package|description|prep|build|install|check|clean|files|changelog|pre|post|preun|postun|pretrans|posttrans"
    r"|trigger\w*|filetrigger\w*|transfiletrigger\w*|verifyscript|sourcelist|patchlist|generate_buildrequires|conf)"
    r"(?=\s|$)(.*)"
)
DIRECTIVE = re.compile(r"%(\w+)\s*(?:\(([^)]*)\))?\s*")
FLAGS = {"config": "c", "doc": "d", "ghost": "g", "license": "l"}
COPIES = {"d": "/usr/share/doc", "l": "/usr/share/licenses"}
"""Where rpm copies what a list names without an absolute path, into a folder of the package."""


@dataclass(frozen=True)
class Listed:
    """One entry of a file list; ``path`` may be a pattern, or a folder that covers its content."""

    path: str
    owner: str
    """``root:root``."""
    flags: str
    """As in rpm's ``%{FILEFLAGS:fflags}``: ``cn`` for ``%config(noreplace)``."""


def file_lists(expanded: str, name: str, version: str) -> dict[str, list[Listed]]:
    """Return the entries of every package that has a file list; ``name`` and ``version`` are those of the spec.

    Exclusions are left out. Documentation without an absolute path is the folder into which rpm copies it.
    """
    found: dict[str, list[Listed]] = {}
    current: list[Listed] | None = None
    default, folder = "root:root", ""
    for line in expanded.splitlines():
        if section := SECTION.match(line):
            current = None
            if section[1] == "files":
                package = _package(section[2], name)
                current = found.setdefault(package, [])
                default, folder = "root:root", f"{package}-{version}"
            continue
        if current is None or not line.strip() or line.startswith("#"):
            continue
        if line.startswith("%defattr"):
            default = _owner(line.partition("(")[2].rstrip(") "), default)
            continue
        current += [entry for entry in _entries(line, default, folder) if entry not in current]
    return found


def _package(arguments: str, name: str) -> str:
    words = arguments.split()
    if "-n" in words:
        return words[words.index("-n") + 1]
    plain = [word for number, word in enumerate(words) if word != "-f" and (not number or words[number - 1] != "-f")]
    return f"{name}-{plain[0]}" if plain else name


def _owner(attributes: str, default: str) -> str:
    """Return ``user:group`` of ``mode, user, group``; a dash stands for the default."""
    parts = [part.strip() for part in attributes.split(",")] + ["-"] * 3
    usual = default.split(":")
    return ":".join(usual[number] if part == "-" else part for number, part in enumerate(parts[1:3]))


def _entries(line: str, default: str, folder: str) -> list[Listed]:
    owner, flags = default, ""
    text, end = line.strip(), 0
    while directive := DIRECTIVE.match(text, end):
        word, arguments = directive[1], directive[2] or ""
        if word == "exclude":
            return []
        if word == "attr":
            owner = _owner(arguments, default)
        flags += FLAGS.get(word, "") + ("n" if word == "config" and "noreplace" in arguments else "")
        end = directive.end()
    try:
        words = shlex.split(text[end:])
    except ValueError:  # A quote that nothing closes: rpm takes it as it is.
        words = text[end:].split()
    copied = [f"{COPIES[flag]}/{folder}" for flag in flags if flag in COPIES and not all(map(_absolute, words))]
    return [Listed(_tidy(path), owner, flags) for path in (*copied, *filter(_absolute, words))]


def _absolute(word: str) -> bool:
    return word.startswith("/")


def _tidy(path: str) -> str:
    return re.sub(r"/+", "/", path).rstrip("/") or "/"


def paired(mine: Sequence[Listed], other: Sequence[Listed]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return both lists without the entries that the other side covers by a pattern or a folder.

    The entries have the shape of ``described``. Where both sides name the same path, owners and flags are kept.
    """
    return _unlike(mine, other), _unlike(other, mine)


def _unlike(mine: Sequence[Listed], other: Sequence[Listed]) -> list[dict[str, str]]:
    paths = {entry.path for entry in other}
    kept: list[dict[str, str]] = []
    for entry in sorted(mine, key=lambda entry: entry.path):
        if entry.path in paths or not _covered(entry.path, paths):
            described = {"path": entry.path, "mode": "listed", "owner": entry.owner}
            kept.append({**described, "flags": entry.flags} if entry.flags else described)
    return kept


def _covered(path: str, others: Iterable[str]) -> bool:
    return any(
        fnmatchcase(path, one) or fnmatchcase(one, path) or path.startswith(f"{one}/") or one.startswith(f"{path}/")
        for one in others
    )


def described(header: Mapping[str, str], files: list[dict[str, str]]) -> dict[str, object]:
    """Return a package in the shape of ``repo compare``'s reference; ``header`` is the output of ``rpmspec -q``.

    Requirements and provisions name the package's own version and release as macros, so that another version is one
    difference and not many.
    """

    itself = f"{header['version']}-{header['release']}"

    def several(key: str) -> list[str]:
        texts = (one.replace(itself, "%{version}-%{release}") for one in header[key].split("\x1e"))
        return sorted({one for one in texts if one and not one.startswith("rpmlib(")})

    return {
        "file": f"{header['name']}-{header['version']}-{header['release']}.{header['arch']}.rpm",
        **{key: header[key] for key in ("name", "version", "release", "arch", "summary", "license", "group")},
        "requires": several("requires"),
        "provides": several("provides"),
        "scripts": sorted(header["scripts"].split("\x1e")[0:-1:2]),
        "files": files,
    }
