"""Wanted files, and the repository files of yum."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated

from pydantic import Field

from bigtop_builder.hosts.facts.fact import Fact, FactGroup, Rows
from bigtop_builder.model.base import StrictModel

MAX_TEXT = 64 << 10


class FileFact(StrictModel):
    """A file, or the target of a link."""

    kind: str
    """As stat prints it: ``regular file``, ``directory``."""
    size: int
    owner: str
    group: str
    mode: str
    """Octal: ``644``."""
    sha256: str | None = None
    """Of a readable regular file."""
    text: str | None = Field(default=None, repr=False)
    """The content if it is UTF-8 and shorter than 64 KiB."""
    link: str | None = None
    """The target if the path itself is a link."""


# One process each for attributes, digests and texts of all files. Texts travel as base64, one after the other in the
# order of the paths behind them, so that no content can look like a row. ``read`` takes a character at a time from a
# pipe; substituting the output of a command does not.
FILES = r"""
for path in /etc/yum.repos.d/*.repo; do
    case " ${files[*]} " in *" $path "*) ;; *) [ -e "$path" ] && files+=("$path");; esac
done
regular=(); present=(); small=(); declare -A sizes=()
for path in "${files[@]}"; do
    [ -e "$path" ] || [ -L "$path" ] || continue
    if [ -L "$path" ]; then emit link "$path" "$(readlink "$path")"; fi
    [ -e "$path" ] || continue
    present+=("$path")
    [ -f "$path" ] && [ -r "$path" ] && regular+=("$path")
done
if [ "${#present[@]}" -gt 0 ]; then
    set -f; IFS=$'\n'
    for value in $(stat -L -c $'%n\t%F\t%s\t%U\t%G\t%a' -- "${present[@]}" 2>/dev/null); do
        emit file "$value"
        size=${value#*$'\t'*$'\t'}; sizes[${value%%$'\t'*}]=${size%%$'\t'*}
    done
    set +f; unset IFS
fi
for path in "${regular[@]}"; do [ "${sizes[$path]:-__MAX_TEXT__}" -lt __MAX_TEXT__ ] && small+=("$path"); done
if [ "${#regular[@]}" -gt 0 ]; then
    set -f; IFS=$'\n'
    for value in $(sha256sum -- "${regular[@]}" 2>/dev/null); do emit sha256 "${value:66}" "${value:0:64}"; done
    set +f; unset IFS
fi
if [ "${#small[@]}" -gt 0 ]; then
    flush; printf 'texts\t'; cat -- "${small[@]}" 2>/dev/null | base64 -w0; emit "" "${small[@]}"; flush
fi
""".replace("__MAX_TEXT__", str(MAX_TEXT))


def _files(rows: Rows) -> dict[str, FileFact]:
    digests, links = rows.pairs("sha256"), rows.pairs("link")
    texts = _texts(rows, digests)
    return {
        path: FileFact(
            kind="regular file" if kind == "regular empty file" else kind,
            size=int(size),
            owner=owner,
            group=group,
            mode=mode,
            sha256=digests.get(path),
            text=texts.get(path),
            link=links.get(path),
        )
        for path, kind, size, owner, group, mode in rows.of("file")
    }


def _texts(rows: Rows, digests: Mapping[str, str]) -> dict[str, str]:
    """Return the texts by path. One that changed while it was read does not have its digest, and is left out."""
    sizes = {path: int(size) for path, _, size, *_ in rows.of("file")}
    found: dict[str, str] = {}
    for encoded, *paths in rows.of("texts"):
        content, start = base64.b64decode(encoded), 0
        for path in paths:
            piece, start = content[start : start + sizes[path]], start + sizes[path]
            with suppress(UnicodeDecodeError):
                if hashlib.sha256(piece).hexdigest() == digests.get(path):
                    found[path] = piece.decode()
    return found


class FileFacts(FactGroup):
    """Wanted files, and the repository files of yum."""

    files: Annotated[dict[str, FileFact], Fact(FILES, _files)] = Field(default_factory=dict)
    """By path; missing files and dangling links have no entry."""
