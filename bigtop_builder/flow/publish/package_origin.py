"""Refuse packages that were made for another platform, architecture or stack than the repository's."""

from __future__ import annotations

import re
from pathlib import Path

from bigtop_builder.adapter.rpm.header import RpmHeader
from bigtop_builder.model.errors import PublishError
from bigtop_builder.model.platform import Platform
from bigtop_builder.model.stack import Stack

DIST_TAG = re.compile(r"\.(?:el|fc|deb|ubuntu|oe|ky|amzn|an|lp|suse|mga)[0-9][a-z0-9]*")
"""Matches the dist tag in a release; ``.el8_6`` counts as ``.el8``."""
SUFFIX = re.compile(r"_[0-9]+(?:_[0-9]+)+(?=-|$)")
"""Matches a stack's suffix in a package name: ``_3_2_0`` in ``hadoop_3_2_0-hdfs``."""
HINT = "Build it for this platform, or pass --allow-foreign if you know that it runs there."


def check_origin(
    path: Path, header: RpmHeader, platform: Platform, stack: Stack | None, *, allow_foreign: bool
) -> None:
    """Raise PublishError for a source package and, unless ``allow_foreign``, for a foreign one."""
    if header.arch == "src":
        raise PublishError(f"{path} is a source package", hint="Publish binary packages only.")
    if allow_foreign:
        return
    if header.arch not in ("noarch", *platform.architectures):
        raise PublishError(f"{path} is built for {header.arch}, which {platform.name} does not support", hint=HINT)
    tags = DIST_TAG.findall(header.release)
    if tags and platform.dist not in tags:
        raise PublishError(
            f"{path} has the dist tag {tags[-1]}, but packages of {platform.name} have {platform.dist}", hint=HINT
        )
    other = stack and _other_stack(header, stack)
    if stack and other:
        raise PublishError(
            f"{path} is of another stack than {stack.name}: {other}",
            hint="Publish it under its own stack (stack in the project file), since Ambari takes any version that it "
            "finds. Pass --allow-foreign if it belongs here nevertheless.",
        )


def _other_stack(header: RpmHeader, stack: Stack) -> str | None:
    """Return by what a package is known to be of another stack: its name, or the folder that it installs into."""
    suffix = SUFFIX.search(header.name)
    if suffix and suffix[0] != stack.suffix:
        return f"its name has {suffix[0]}, and packages of this stack have {stack.suffix}"
    pattern = re.compile(rf"{re.escape(stack.prefix)}/([0-9]+(?:[.-][0-9]+)+)(?:/|$)")
    for file in header.files:
        found = pattern.match(file.path)
        if found and found[1] != stack.version:
            return f"it has {file.path}, and packages of this stack install below {stack.parent_dir}"
    if not suffix:
        return None
    other = re.compile(rf"(/[^/]+/[^/]+/{re.escape(stack.version)})(?:/|$)")
    folders = {found[1] for file in header.files if (found := other.match(file.path))}
    if folders and stack.parent_dir not in folders:
        return f"it installs below {min(folders)}, and packages of this stack below {stack.parent_dir}"
    return None
