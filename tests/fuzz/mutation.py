"""How input is damaged: bytes without knowledge of their format, documents with knowledge of YAML."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 63, (1 << 64) - 1)
TEXTS = (
    b"../../escaped",
    b"/tmp/escaped",
    b"\x00",
    b"\n\x1b[2J",
    b"-1",
    b"99999999999999999999",
    b"[" * 3000,
    b"{" * 3000,
    b"a" * 5000,
    b"\xff\xfe\xfd",
    b"&a [*a, *a]",
    b"<!DOCTYPE x [<!ENTITY a 'aa'>]>",
    "²٣\u202e".encode(),
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1 << 70,
    float("nan"),
    float("inf"),
    "",
    " ",
    ".",
    "..",
    "../..",
    "/etc/passwd",
    "a\nb",
    "a\x00b",
    "\x1b]0;title\x07",
    "{{",
    "{{ 1/0 }}",
    "{% for x in range(9) %}",
    "{{ stack.__class__ }}",
    "%{expand:",
    "${X}",
    "é" * 300,
    "1" * 5000,
    "host-[1-999999999]",
    "https://[",
    "http://a:b@c:99999/",
    [],
    {},
    [[[[[[[[[]]]]]]]]],
    {"": ""},
    ["a", "a"],
    {"a": {"b": {"c": {}}}},
)


def mutated(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Damage the bytes in one to four places; ``others`` are inputs whose parts may be put in."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        data = random.choice(BYTES)(data, random, others or (data,))
    return data


def _place(data: bytes | bytearray, random: Random) -> int:
    # Formats keep what steers them at the beginning and at the end.
    reach = random.choice((len(data), min(len(data), 600)))
    place = random.randint(0, max(reach - 1, 0))
    return place if random.random() < 0.8 else max(len(data) - 1 - place, 0)


def _flip(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(random.choice((1, 1, 2, 8))):
        changed[_place(changed, random)] ^= 1 << random.randint(0, 7)
    return bytes(changed)


def _number(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    size = random.choice((1, 2, 4, 8))
    value = random.choice(NUMBERS) & ((1 << 8 * size) - 1)
    written = random.choice(
        (value.to_bytes(size, "big"), value.to_bytes(size, "little"), b"%o" % value, b"%d" % value, b"%08x" % value)
    )
    place = _place(data, random)
    return data[:place] + written + data[place + len(written) :]


def _cut(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    return data[: _place(data, random)]


def _drop(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    place = _place(data, random)
    return data[:place] + data[place + random.choice((1, 4, 16, 512)) :]


def _repeat(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    place, size = _place(data, random), random.choice((1, 16, 512, 1024))
    block = data[place : place + size]
    return data[:place] + block * random.choice((2, 3, 50)) + data[place + size :]


def _splice(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    other = random.choice(others)
    start = _place(other, random)
    piece = other[start : start + random.choice((4, 64, 512, len(other)))]
    place = _place(data, random)
    return data[:place] + piece + data[place + random.choice((0, len(piece))) :]


def _insert(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    place, text = _place(data, random), random.choice(TEXTS)
    return data[:place] + text + data[place + random.choice((0, len(text))) :]


BYTES: tuple[Callable[[bytes, Random, Sequence[bytes]], bytes], ...] = (
    _flip,
    _flip,
    _number,
    _number,
    _cut,
    _drop,
    _repeat,
    _splice,
    _insert,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of everything in a document but the document itself."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in inside for place in ((*path, key), *places(item, (*path, key)))]


def changed(document: Any, random: Random) -> Any:
    """Return a copy of a YAML document in which one to three things are replaced, dropped, renamed or moved."""
    made = copy.deepcopy(document)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        found = places(made)
        if not found:
            return random.choice(VALUES)
        *above, key = random.choice(found)
        holder = made
        for step in above:
            holder = holder[step]
        _change(holder, key, made, random)
    return made


def _change(holder: Any, key: Any, document: Any, random: Random) -> None:
    how = random.choice(("replace", "replace", "drop", "rename", "copy", "extend"))
    if how == "drop":
        del holder[key]
    elif how == "rename" and isinstance(holder, dict):
        holder[str(random.choice(VALUES))] = holder.pop(key)
    elif how == "copy":
        *above, other = random.choice(places(document))
        source = document
        for step in above:
            source = source[step]
        holder[key] = copy.deepcopy(source[other])
    elif how == "extend" and isinstance(holder[key], str):
        holder[key] = random.choice((str.__add__, lambda a, b: b + a))(holder[key], str(random.choice(VALUES)))
    elif how == "extend" and isinstance(holder[key], list):
        holder[key] = holder[key] * random.choice((2, 100))
    else:
        holder[key] = copy.deepcopy(random.choice(VALUES))
