"""Texts of component files that end in packages: names, paths and requirements as the packaging tool takes them.

What it does not take is a mistake of the file, with its place, before anything is built.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from bigtop_builder.model.base import GROUP_NAME, PACKAGE_NAME, SERVICE_UNIT, USER_NAME, unless_template
from bigtop_builder.model.safe_text import absolute_path, file_name, plain_text

LONGEST_ACCOUNT = 32
"""Characters of the name of a user or group, as ``useradd`` takes it."""

_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?")
_MACRO = r"%\{[^{}]*\}"
_CAPABILITY = rf"(?:[A-Za-z0-9_/.]|{_MACRO})(?:[^\s,()<>=%]|{_MACRO}|\([^\s()]*\))*"
_REQUIREMENT = re.compile(rf"{_CAPABILITY}(?:\s+(?:<=|>=|=|<|>)\s+(?:[A-Za-z0-9._+~:^-]|{_MACRO})+)?")


def one_line(text: str) -> str:
    """Return a text of one line that is not empty. Raises ValueError."""
    if not text.strip():
        raise ValueError("must not be empty")
    return plain_text(text)


def _named(pattern: str, kind: str, longest: int | None = None) -> Callable[[str], str]:
    expression = re.compile(pattern)

    def check(text: str) -> str:
        file_name(text)
        if not expression.search(text) or (longest and len(text) > longest):
            raise ValueError(f"is not the name of {kind}")
        return text

    return check


def owner(text: str) -> str:
    """Return the name or number of a user or group that owns files. Raises ValueError."""
    if not _OWNER.fullmatch(text):
        raise ValueError("is not the name of a user or group")
    return text


def installed_path(text: str) -> str:
    """Return an absolute path on a host as a word of a shell. Raises ValueError."""
    absolute_path(text)
    if not re.fullmatch(r"[^\s'\"`$;&|<>()\\]+", text):
        raise ValueError("must not have blanks, quotes or other characters with a meaning for shells")
    return text


def path_or_nothing(text: str) -> str:
    """Return such a path, or an empty text. Raises ValueError."""
    return installed_path(text) if text else text


def listed_path(text: str) -> str:
    """Return an entry of a file list: an absolute path or pattern, or nothing. Raises ValueError."""
    plain_text(text)
    path = text.strip()
    if not path or (path.startswith('"/') and path.endswith('"')):
        return text
    if not path.startswith(("/", "%")):
        raise ValueError("must be an absolute path: what is at $BUILDROOT/usr/lib/x is /usr/lib/x in a package")
    if ".." in path.split("/") or not path.strip("/"):
        raise ValueError("must not have '..', nor be the root of all")
    if re.search(r"\s", re.sub(r"\[[^]]*\]|%\{[^}]*\}", "", path)):
        raise ValueError("has a blank: each path is an entry of its own; one with blanks is quoted: '\"/a b\"'")
    return text


def requirement(text: str) -> str:
    """Return what a package requires or provides: ``NAME``, ``NAME >= VERSION``, or nothing. Raises ValueError.

    Several are separated by commas. A rich one, in parentheses, only has to be balanced: rpm has a grammar for it.
    """
    plain_text(text)
    rest = text.strip()
    if rest.startswith("("):
        if rest.count("(") != rest.count(")") or not rest.endswith(")"):
            raise ValueError("has parentheses that nothing closes or opens")
        return text
    for one in rest.split(",") if rest else ():
        if not _REQUIREMENT.fullmatch(one.strip()):
            raise ValueError("must be NAME, or NAME = VERSION with one of = < > <= >=")
    return text


def comment(text: str) -> str:
    """Return the comment of an account, which is a field of ``/etc/passwd``. Raises ValueError."""
    plain_text(text)
    if re.search(r'[:"`$\\]', text):
        raise ValueError("must not have colons, quotes or other characters with a meaning for shells")
    return text


Line = Annotated[str, unless_template(one_line)]
"""A text of one line that is not empty."""
PackageName = Annotated[str, unless_template(_named(PACKAGE_NAME, "a package: letters, digits and . _ + -"))]
"""The name of a package."""
AccountName = Annotated[str, unless_template(_named(USER_NAME, "an account: lower case, at most 32 characters", 32))]
"""The name of a user."""
AccountGroup = Annotated[str, unless_template(_named(GROUP_NAME, "a group: at most 32 characters", LONGEST_ACCOUNT))]
"""The name of a group."""
ServiceName = Annotated[str, unless_template(_named(SERVICE_UNIT, "a service: letters, digits and . _ @ -"))]
"""The name of a service."""
Owner = Annotated[str, unless_template(owner)]
"""The name or number of the user or group that files belong to."""
InstalledPath = Annotated[str, unless_template(installed_path)]
"""An absolute path on a host."""
OptionalPath = Annotated[str, unless_template(path_or_nothing)]
"""An absolute path on a host, or nothing."""
Requirement = Annotated[str, unless_template(requirement)]
"""What a package requires, provides, conflicts with or replaces."""
Comment = Annotated[str, unless_template(comment)]
"""The comment of an account."""
