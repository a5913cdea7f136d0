"""The version that a source tree states in its build files, which is seldom worth finding out after an hour."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from bigtop_builder.model.errors import ConfigurationError, Location

LARGEST = 4 << 20
"""The largest build file that is read, in bytes."""

_PATTERNS = (
    ("gradle.properties", r"version\s*[=:]\s*(\S+)"),
    ("build.gradle", r"\s*version\s*=?\s*['\"]([^'\"$]+)['\"]"),
    ("build.gradle.kts", r"\s*version\s*=\s*\"([^\"$]+)\""),
    ("lucene/version.properties", r"version\.base\s*=\s*(\S+)"),
    ("build.xml", r"\s*<property\s+name=\"version\"\s+value=\"([^\"$]+)\""),
    ("ivy.xml", r"\s*<info\b[^>]*\brevision=\"([^\"$]+)\""),
    ("src/version.h", r"#define\s+\w+_VERSION\s+\"([^\"]+)\""),
    ("VERSION", r"(\d[\w.+~-]*)\s*$"),
    ("VERSION.txt", r"(\d[\w.+~-]*)\s*$"),
)
"""Where projects without a POM say which version they are; the first file that says so counts."""
_PROPERTY = re.compile(r"\$\{([^{}]+)\}")
_SUFFIX = re.compile(r"-incubating$")


@dataclass(frozen=True)
class StatedVersion:
    """What a source tree says, and where."""

    version: str
    file: Path
    line: int

    def place(self, tree: Path, shown: Path) -> Location:
        """Return where it stands, in ``shown`` instead of ``tree``."""
        return Location(shown / self.file.relative_to(tree), self.line)


def stated_version(tree: Path, script: str = "") -> StatedVersion | None:
    """Return the version that a tree states; None when it states none, or ``script`` gives Maven another one."""
    pom = _read(tree / "pom.xml")
    if pom is not None:
        return _of_pom(tree / "pom.xml", pom, script)
    for name, pattern in _PATTERNS:
        text = _read(tree / name)
        for number, line in enumerate((text or b"").decode("utf-8", "replace").splitlines(), 1):
            if found := re.match(pattern, line):
                return StatedVersion(found[1], tree / name, number)
    return None


def check_version(tree: Path, component: str, version: str, script: str, shown: Path | None = None) -> None:
    """Check that a tree states the version that is to be built.

    Raises ConfigurationError with the place, in ``shown`` if the tree is a copy.
    """
    stated = stated_version(tree, script)
    if stated is not None and not same_version(stated.version, version):
        raise ConfigurationError(
            f"the source tree is {component} {stated.version}, not {version}",
            location=stated.place(tree, shown or tree),
            hint=f"Build what it is with --set {component}.version={stated.version}, "
            f"or say that it is {version} with --set {component}.version={version}.",
        )


def same_version(stated: str, version: str) -> bool:
    """Return whether a tree that states a version may be packaged as ``version``.

    ``0.7.1-incubating`` is 0.7.1, and a snapshot may carry any later mark of a version before its release:
    ``3.1.0-SNAPSHOT`` is ``3.1.0~20250513``.
    """
    if version in (stated, _SUFFIX.sub("", stated)):
        return True
    base, tilde, _ = version.partition("~")
    return bool(tilde) and stated in (base, f"{base}-SNAPSHOT")


def _read(file: Path) -> bytes | None:
    try:
        with file.open("rb") as stream:
            return stream.read(LARGEST)
    except OSError:
        return None


def _of_pom(file: Path, content: bytes, script: str) -> StatedVersion | None:
    texts = _pom_texts(content)
    own = texts.get(("project", "version")) or texts.get(("project", "parent", "version"))
    for _ in range(10):
        found = _PROPERTY.search(own[0]) if own else None
        if own is None or found is None:
            break
        if f"-D{found[1]}=" in script:
            return None
        value = texts.get(("project", "properties", found[1]))
        own = (own[0].replace(found[0], value[0]), value[1]) if value else None
    return StatedVersion(own[0], file, own[1]) if own and not _PROPERTY.search(own[0]) else None


def _pom_texts(content: bytes) -> dict[tuple[str, ...], tuple[str, int]]:
    """Return the text of every element of a POM by its path, with its line, as far as the POM is XML."""
    parser = expat.ParserCreate()
    path: list[str] = []
    texts: dict[tuple[str, ...], tuple[str, int]] = {}
    wanted = {("project", "version"), ("project", "parent", "version")}

    def start(name: str, _: object) -> None:
        path.append(name)

    def end(_: str) -> None:
        path.pop()

    def data(text: str) -> None:
        here = tuple(path)
        if text.strip() and (here in wanted or (here[:2] == ("project", "properties") and len(here) == 3)):
            before, line = texts.get(here, ("", parser.CurrentLineNumber))
            texts[here] = (before + text.strip(), line)

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, data
    try:
        parser.Parse(content, True)
    except expat.ExpatError:
        # Maven will say what is wrong; what was read until then is right.
        return texts
    return texts
