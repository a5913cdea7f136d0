"""All operations of a host as one bash script, and its output as outcomes: one round trip does the work."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote, split

from bigtop_builder.hosts.operation import RESTARTS, Operation

LAST_LINES = 40

# Content travels in hexadecimal escapes into shell variables before the first operation runs: a connection that breaks
# half way truncates no file, and a secret is never in an argument, a temporary file or a trace of the shell. printf and
# read are built into bash; base64 and head would be a process for each. Output goes through a file, because a daemon
# that an init script starts would otherwise keep the connection open.
HEAD = r"""umask 022
cd /
output=$(mktemp) || exit 1
trap 'rm -f "$output"' EXIT
content=() received=
receive() {
    IFS= read -r -N "$1" received || { echo "the content did not arrive completely" >&2; exit 1; }
}
run() {
    local index=$1 code began ended service
    shift
    for service in "$@"; do
        mkdir -p RESTARTS && : > "RESTARTS/$service" || exit 1
    done
    read -r began _ < /proc/uptime
    if [ -n "${content[$index]-}" ]; then
        printf %b "${content[$index]}" | (set -euo pipefail; "operation_$index") > "$output" 2>&1
        code=${PIPESTATUS[1]}
    else
        (set -euo pipefail; "operation_$index") > "$output" 2>&1 < /dev/null
        code=$?
    fi
    read -r ended _ < /proc/uptime
    if [ "$code" != 0 ]; then
        tail -c 65536 "$output" | tail -n LINES
        printf '\n'
    fi
    printf '%s %s %s %s %s\n' "$mark" "$index" "$code" "$began" "$ended"
    [ "$code" = 0 ] || KEEP_GOING || exit 0
}
""".replace("RESTARTS", RESTARTS).replace("LINES", str(LAST_LINES))


@dataclass(frozen=True)
class Outcome:
    """How an operation ended. ``lines``: the last lines of its output if it failed."""

    index: int
    code: int
    seconds: float
    lines: tuple[str, ...] = ()


def render(operations: Sequence[Operation], mark: str, *, keep_going: bool = False) -> tuple[str, bytes]:
    """Return the script and its standard input; ``mark`` is a word that no operation prints.

    The script exits with 0 even if an operation failed. Without ``keep_going`` it stops at the first failure.
    """
    parts = [HEAD.replace("KEEP_GOING", str(keep_going).lower()), f"mark={quote(mark)}\n"]
    stdin, pieces = b"", []
    for index, operation in enumerate(operations):
        parts.append(f"operation_{index}() {{\n{operation.script}\n}}\n")
        if operation.stdin:
            encoded = b"\\x" + operation.stdin.hex("x").replace("x", "\\x").encode()
            pieces.append(f"content[{index}]=${{received:{len(stdin)}:{len(encoded)}}}\n")
            stdin += encoded
    parts += [f"receive {len(stdin)}\n", *pieces] if pieces else []
    for index, operation in enumerate(operations):
        parts.append(" ".join(["run", str(index), *(quote(service) for service in operation.restarts)]) + "\n")
    return "".join(parts), stdin


@dataclass(frozen=True)
class Received:
    """An operation as a host receives it."""

    script: str
    stdin: bytes
    restarts: tuple[str, ...]


def read_back(script: str, stdin: bytes) -> tuple[str, tuple[Received, ...]] | None:
    """Return the mark and the operations that ``render`` made a script of; None for any other script."""
    head, found, body = script.partition("\nmark=")
    if not found or not head.startswith(HEAD.partition("KEEP_GOING")[0]):
        return None
    mark, _, body = body.partition("\n")
    scripts = {int(number): text for number, text in _OPERATION.findall(body)}
    rest = _OPERATION.sub("", body)
    pieces = {int(number): stdin[int(start) : int(start) + int(size)] for number, start, size in _PIECE.findall(rest)}
    runs = {int(words[1]): tuple(words[2:]) for words in map(split, _RUN.findall(rest))}
    return split(mark)[0], tuple(
        Received(scripts[index], bytes.fromhex(pieces.get(index, b"").decode().replace("\\x", "")), restarts)
        for index, restarts in runs.items()
    )


_OPERATION = re.compile(
    r"^operation_(\d+)\(\) \{\n(.*?)\n\}\n(?=operation_\d|receive \d|run \d)", re.MULTILINE | re.DOTALL
)
_PIECE = re.compile(r"^content\[(\d+)\]=\$\{received:(\d+):(\d+)\}$", re.MULTILINE)
_RUN = re.compile(r"^run \d+.*$", re.MULTILINE)


def parse(output: str, mark: str) -> tuple[Outcome, ...]:
    """Parse the outcomes from the output of the script, in order."""
    outcomes: list[Outcome] = []
    lines: list[str] = []
    for line in output.splitlines():
        words = line.split(" ")
        if words[0] == mark and len(words) == 5:
            seconds = round(float(words[4]) - float(words[3]), 2)
            outcomes.append(Outcome(int(words[1]), int(words[2]), seconds, tuple(_trimmed(lines))))
            lines = []
        else:
            lines.append(line)
    return tuple(outcomes)


def _trimmed(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip():
        lines.pop()
    return lines
