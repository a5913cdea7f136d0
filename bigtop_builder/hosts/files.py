"""Operations on files, folders and links. Content is compared with the facts and written atomically."""

from __future__ import annotations

import difflib
import hashlib
from pathlib import PurePosixPath
from shlex import quote
from typing import TYPE_CHECKING

from bigtop_builder.hosts.operation import Operation

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import FileFact, FileFacts

MAX_DIFF_LINES = 200

# Written next to its path and renamed, so that nobody sees half a file. A file that is mounted into a container
# (/etc/hosts) cannot be replaced and is written in place. Every process costs each host a millisecond or two. install
# makes its file anew, and follows no link that somebody has put in its place.
WRITE = """path={path} folder={folder}
[ -d "$folder" ] || mkdir -p "$folder"
new=$folder/.bigtop-builder.$BASHPID.$RANDOM
trap 'rm -f "$new"' EXIT
install -T -o {owner} -g {group} -m {mode} /dev/stdin "$new"
if mv -fT "$new" "$path" 2>/dev/null; then
    trap - EXIT
else
    [ ! -d "$path" ]
    cat "$new" > "$path"
    chown {owner}:{group} "$path"
    chmod {mode} "$path"
fi
if [ -e /sys/fs/selinux/enforce ]; then restorecon "$path" 2>/dev/null || true; fi
"""


def write_file(
    facts: FileFacts,
    path: str,
    content: bytes,
    *,
    owner: str = "root",
    group: str = "root",
    mode: str = "0644",
    secret: bool = False,
    restarts: tuple[str, ...] = (),
) -> tuple[Operation, ...]:
    """Plan the file with this content, owner, group and mode. The facts must include ``path``.

    ``secret``: keep the content out of the diff. ``restarts``: services to restart if the file changes.
    """
    now = facts.files.get(path)
    sha256 = hashlib.sha256(content).hexdigest()
    if now is not None and now.sha256 == sha256:
        return _attributes(now, path, owner, group, mode, restarts)
    script = WRITE.format(
        path=quote(path),
        folder=quote(str(PurePosixPath(path).parent)),
        owner=quote(owner),
        group=quote(group),
        mode=normal_mode(mode),
    )
    detail = _secret_detail(now) if secret else difference(now, path, content)
    if now is None and (owner, group, normal_mode(mode)) != ("root", "root", "0644"):
        detail += f"\nowner {owner}:{group}, mode {normal_mode(mode)}"
    # For empty content there is no standard input: install then reads /dev/null.
    return (Operation(f"write {path}", detail, script, content, restarts),)


def normal_mode(mode: str) -> str:
    """Return a mode with four digits: ``644`` and ``0644`` → ``0644``."""
    return f"{int(mode, 8):04o}"


def _attributes(
    now: FileFact, path: str, owner: str, group: str, mode: str, restarts: tuple[str, ...]
) -> tuple[Operation, ...]:
    changes: list[str] = []
    script: list[str] = []
    if (now.owner, now.group) != (owner, group):
        changes.append(f"owner {now.owner}:{now.group} -> {owner}:{group}")
        script.append(f"chown {quote(owner)}:{quote(group)} {quote(path)}")
    if normal_mode(now.mode) != normal_mode(mode):
        changes.append(f"mode {normal_mode(now.mode)} -> {normal_mode(mode)}")
        script.append(f"chmod {normal_mode(mode)} {quote(path)}")
    if not script:
        return ()
    return (Operation(f"owner and mode of {path}", ", ".join(changes), "\n".join(script), restarts=restarts),)


def _secret_detail(now: FileFact | None) -> str:
    return "the content differs (not shown: it contains secrets)" if now else "new (not shown: it contains secrets)"


def difference(now: FileFact | None, path: str, content: bytes) -> str:
    """Return a unified diff between the file on the host and ``content``, or one line if there is nothing to show."""
    try:
        new = content.decode()
    except UnicodeDecodeError:
        return f"{len(content)} bytes of binary data"
    if now is not None and now.text is None:
        return f"the content differs (too large to show); new size: {len(content)} bytes"
    old = now.text if now is not None and now.text is not None else ""
    lines = list(
        difflib.unified_diff(old.splitlines(), new.splitlines(), path if now else "/dev/null", path, lineterm="", n=3)
    )
    if not lines:
        return "only the line endings differ"
    if len(lines) > MAX_DIFF_LINES:
        lines = [*lines[:MAX_DIFF_LINES], f"({len(lines) - MAX_DIFF_LINES} more lines)"]
    return "\n".join(lines)


def remove_file(facts: FileFacts, path: str) -> tuple[Operation, ...]:
    """Plan the removal of a file, if it exists. The facts must include ``path``."""
    if path not in facts.files:
        return ()
    return (Operation(f"remove {path}", "the file exists", f"rm -f {quote(path)}"),)


def managed_block(text: str, name: str, lines: list[str]) -> str:
    """Return ``text`` with ``lines`` in our block ``name``; a new block goes to the end. No lines: no block."""
    begin, end = f"# bigtop-builder {name}: begin", f"# bigtop-builder {name}: end"
    old = text.splitlines()
    block = [begin, *lines, end] if lines else []
    if begin in old and end in old[old.index(begin) :]:
        first = old.index(begin)
        last = old.index(end, first)
        new = [*old[:first], *block, *old[last + 1 :]]
    else:
        new = [*old, *block]
    return "".join(f"{line}\n" for line in new)


def block_lines(text: str, name: str) -> list[str]:
    """Return the lines of our block ``name``; an empty list if there is no such block."""
    begin, end = f"# bigtop-builder {name}: begin", f"# bigtop-builder {name}: end"
    lines = text.splitlines()
    if begin not in lines or end not in lines[lines.index(begin) :]:
        return []
    first = lines.index(begin)
    return lines[first + 1 : lines.index(end, first)]
