"""Compare our packages with the metadata of others: the same names, paths, owners and links, or a stated reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.rpm.header import PackagedFile, RpmHeader
from bigtop_builder.model.component import Phase
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.json_text import parse_json
from bigtop_builder.recipe.evaluate import Evaluated

DIST_TAG = re.compile(r"\.(?:el|fc|deb|oe|ky)[0-9][a-z0-9]*")
SCRIPT_NAMES: dict[Phase, str] = {
    "pre": "preinstall",
    "post": "postinstall",
    "preun": "preuninstall",
    "postun": "postuninstall",
    "pretrans": "pretrans",
    "posttrans": "posttrans",
}
DOCUMENTATION = "/share/doc/"
"""Not every rpm flags documentation; whatever is below these folders counts as documentation."""

PLAIN = ("version", "release", "arch", "summary", "license", "group")
LISTS = ("requires", "provides", "scripts")
FILE_FIELDS = ("mode", "owner", "flags", "link")


@dataclass(frozen=True)
class Difference:
    """One difference between two packages.

    ``kind`` is ``package`` if one side lacks the whole package, the name of a field, or ``file`` and ``file mode``,
    ``file owner``, ``file flags``, ``file link``; ``path`` is empty except for files. ``ours`` or ``theirs`` is None if
    that side has no value. ``explained`` is the reason of the matching rule.
    """

    package: str
    kind: str
    path: str
    ours: str | None
    theirs: str | None
    explained: str | None = None

    def __str__(self) -> str:
        what = f"{self.kind} {self.path}".strip()
        sides = f"ours {self.ours or '-'}, theirs {self.theirs or '-'}"
        return f"{self.package}: {what}: {sides}" + (f" ({self.explained})" if self.explained else "")


@dataclass(frozen=True)
class Allowance:
    """An intended difference, with its reason.

    ``package``, ``kind`` and ``subject`` are shell patterns; the subject is the path of a file, or the value on either
    side. Empty ones match everything.
    """

    reason: str
    package: str = "*"
    kind: str = "*"
    subject: str = "*"

    def covers(self, difference: Difference) -> bool:
        """Whether this rule explains a difference."""
        subjects = [difference.path] if difference.path else [difference.ours or "", difference.theirs or ""]
        return (
            fnmatchcase(difference.package, self.package)
            and fnmatchcase(difference.kind, self.kind)
            and any(fnmatchcase(subject, self.subject) for subject in subjects)
        )


def allowances(evaluated: Iterable[Evaluated]) -> list[Allowance]:
    """Return the deviations that component files explain, each only for the packages of its component."""
    found: list[Allowance] = []
    for one in evaluated:
        names = [package.name for package in one.packages] + [gone.package for gone in one.left_out]
        for deviation in one.deviations:
            for covered in deviation.covers:
                found += [
                    Allowance(deviation.reason, name, covered.kind, covered.subject)
                    for name in names
                    if fnmatchcase(name, covered.package)
                ]
        found += [Allowance(gone.reason, gone.package, "package") for gone in one.left_out]
    return found


def read_reference(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Read the packages of reference files: JSON lists of objects with the fields of ``describe``.

    Raises ConfigurationError if a file cannot be read.
    """
    packages: list[dict[str, Any]] = []
    for path in paths:
        try:
            data = parse_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"the reference {path} cannot be read: {error}") from error
        if not isinstance(data, list) or not all(isinstance(item, dict) and "name" in item for item in data):
            raise ConfigurationError(f"the reference {path} is not a list of packages")
        packages += data
    return packages


def describe(header: RpmHeader) -> dict[str, Any]:
    """Describe a package in the form of the reference files; documentation files are counted, not listed."""
    listed = [
        _describe_file(file)
        for file in header.files
        if not file.is_documentation and DOCUMENTATION not in f"{file.path}/"
    ]
    return {
        "file": header.file_name,
        "name": header.name,
        "version": header.version,
        "release": header.release,
        "arch": header.arch,
        "summary": header.summary,
        "license": header.license,
        "group": header.group,
        "requires": list(header.needs),
        "provides": sorted(set(header.provides)),
        "scripts": sorted(SCRIPT_NAMES[phase] for phase in header.scripts),
        "documentation_files": len(header.files) - len(listed),
        "files": listed,
    }


def _describe_file(file: PackagedFile) -> dict[str, str]:
    described = {"path": file.path, "mode": file.mode_text, "owner": f"{file.owner}:{file.group}"}
    if file.flag_letters:
        described["flags"] = file.flag_letters
    if file.link:
        described["link"] = file.link
    return described


def compare(
    headers: Iterable[RpmHeader], reference: Iterable[Mapping[str, Any]], *, allow: Sequence[Allowance] = ()
) -> list[Difference]:
    """Return every difference, by package; those that ``allow`` covers carry its reason. Dist tags do not count."""
    return compare_described(map(describe, headers), reference, allow=allow)


def compare_described(
    packages: Iterable[Mapping[str, Any]], reference: Iterable[Mapping[str, Any]], *, allow: Sequence[Allowance] = ()
) -> list[Difference]:
    """Like ``compare``, for packages that are already described."""
    ours = {str(package["name"]): package for package in packages}
    theirs = {str(package["name"]): package for package in reference}
    differences: list[Difference] = []
    for name in sorted(ours.keys() | theirs.keys()):
        if name in ours and name in theirs:
            differences += _compare_package(name, ours[name], theirs[name])
        else:
            sides = [str(side[name]["file"]) if name in side else None for side in (ours, theirs)]
            differences.append(Difference(name, "package", "", sides[0], sides[1]))
    return [_explained(difference, allow) for difference in differences]


def _explained(difference: Difference, allow: Sequence[Allowance]) -> Difference:
    reason = next((rule.reason for rule in allow if rule.covers(difference)), None)
    return Difference(**{**vars(difference), "explained": reason})


def _compare_package(name: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Difference]:
    differences = []
    for field in PLAIN:
        sides = _untagged(ours[field]), _untagged(theirs.get(field, ""))
        if sides[0] != sides[1]:
            differences.append(Difference(name, field, "", *sides))
    for field in LISTS:
        mine, other = ({_untagged(text) for text in side.get(field, ())} for side in (ours, theirs))
        differences += [Difference(name, field, "", text, None) for text in sorted(mine - other)]
        differences += [Difference(name, field, "", None, text) for text in sorted(other - mine)]
    return differences + _compare_files(name, ours["files"], theirs.get("files", []))


def _compare_files(
    name: str, ours: Sequence[Mapping[str, str]], theirs: Sequence[Mapping[str, str]]
) -> list[Difference]:
    mine, other = ({file["path"]: file for file in side} for side in (ours, theirs))
    differences = []
    for path in sorted(mine.keys() | other.keys()):
        if path not in mine or path not in other:
            sides = [side[path]["mode"] if path in side else None for side in (mine, other)]
            differences.append(Difference(name, "file", path, sides[0], sides[1]))
            continue
        for field in FILE_FIELDS:
            values = mine[path].get(field), other[path].get(field)
            if values[0] != values[1]:
                differences.append(Difference(name, f"file {field}", path, *values))
    return differences


def _untagged(text: str) -> str:
    return DIST_TAG.sub("", text)


def as_text(differences: Sequence[Difference]) -> str:
    """Format each unexplained difference, each explanation and a count as a line."""
    lines = [str(difference) for difference in differences if difference.explained is None]
    unexplained = len(lines)
    for reason in dict.fromkeys(difference.explained for difference in differences if difference.explained):
        covered = [difference for difference in differences if difference.explained == reason]
        first = replace(covered[0], explained=None)
        more = f" (and {len(covered) - 1} more)" if covered[1:] else ""
        lines.append(f"explained: {reason}\n    {first}{more}")
    return "\n".join([*lines, f"{len(differences)} differences, {unexplained} of them not explained"])


def as_json(differences: Sequence[Difference]) -> str:
    """Format the differences as a JSON list."""
    return json.dumps([asdict(difference) for difference in differences], indent=1)
