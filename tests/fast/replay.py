"""Recorded exchanges played against the simulated server, in their order, at their times, compared field by field.

The clock of the simulated world stands at each exchange's recorded time, so polls must see the recorded states. What
happened between the exchanges without being recorded (calls not published, agents killed) is in a script: number ->
what to do before that exchange. What must differ is told by rules; what is not replayed is in ``replay_left_out``.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from bigtop_builder.ambari_simulator.engine.state import Host, World
from bigtop_builder.ambari_simulator.rest.server import Simulation

FOLDER = Path(__file__).parent / "data" / "ambari" / "transcripts"
ABSENT = "(absent)"
SECOND = 1.0
STEP = 0.1
MOMENTS = 1_700_000_000_000
"""Numbers above are milliseconds since the epoch: one moment is as good as another, but not as -1."""


@dataclass(frozen=True)
class Exchange:
    """One recorded exchange; ``at`` in seconds since the epoch, whole seconds as recorded."""

    number: int
    name: str
    at: float
    elapsed: float
    method: str
    uri: str
    headers: Mapping[str, str]
    body: str
    status: int
    answer_headers: Mapping[str, str]
    text: str

    def document(self) -> Any:
        """The answer's JSON; empty when it has none."""
        return _parsed(self.text)


@dataclass(frozen=True)
class Rule:
    """Values whose path matches ``path`` need only be there; ``why`` says so to a reader."""

    path: str
    why: str


RULES = (
    Rule(r".*/(comments?|desc)$", "prose of the stack's authors is not carried along"),
    Rule(
        r"Hosts/(last_heartbeat_time|last_registration_time|disk_info.*|last_agent_env.*|total_mem)$",
        "figures of the recorded hosts and of the moment",
    ),
    Rule(r".*/configurations/content.*/property_value$", "templates of files are the stack's authors' text"),
    Rule(r"resources/.*/recommendations/blueprint/configurations/.*", "values come from Ambari's own advisor"),
    Rule(r"RootServiceComponents/server_clock", "the moment"),
    Rule(r"RootServiceComponents/properties/.*", "settings of the recorded server's own installation"),
)
"""Rules for everything; the parts of the recording add their own."""

TEXT_RULES = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"(?<=Malformed Request Body\.  An exception occurred parsing the request body: ).*", re.S), "WHY"),
    (re.compile(r"com\.ctc\.wstx\.exc.*", re.S), "XML"),
)
"""Parts of texts that are another each time, or that name a parser's own words."""

NAMES = ("id", "type", "property_name", "service_name", "component_name", "host_name")
"""What tells the items of a minimal answer from each other."""

HEADERS = ("Content-Type", "User", "Set-Cookie", "Cache-Control", "Expires", "WWW-Authenticate", "Allow")
"""Headers that are compared: their values, of ``Set-Cookie`` the name and attributes."""


def exchanges(numbers: range | None = None) -> list[Exchange]:
    """The recorded exchanges in order."""
    return [exchange for exchange in _recorded() if numbers is None or exchange.number in numbers]


@cache
def _recorded() -> list[Exchange]:
    return [_exchange(file) for file in sorted(FOLDER.glob("*.json"))]


def _exchange(file: Path) -> Exchange:
    data = json.loads(file.read_text(encoding="utf-8"))
    request, response = data["request"], data["response"]
    return Exchange(
        number=int(file.name[:3]),
        name=file.stem,
        at=datetime.fromisoformat(data["recorded_at"]).timestamp(),
        elapsed=data["elapsed_s"],
        method=request["method"],
        uri=request["uri"],
        headers=request["headers"],
        body=body_text(request.get("body")),
        status=response["status"],
        answer_headers=dict(response["headers"]),
        text=body_text(response["body"]),
    )


def body_text(body: Any) -> str:
    """A body as text; recordings from 600 on hold parsed JSON."""
    return body if isinstance(body, str) else json.dumps(body, indent=2) if body is not None else ""


@dataclass
class Stage:
    """A simulated world on the recorded hosts, its clock in the hands of the player.

    ``hidden``: what happened before an exchange without being recorded.
    """

    make: Callable[[World], Simulation]
    hidden: Mapping[int, Callable[[Stage], None]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = RULES
    now: float = 0.0
    cookies: dict[str, str] = field(default_factory=dict)
    first: int = 1
    """The exchange that the stage is set for."""

    hosts: Mapping[str, str] = field(
        default_factory=lambda: {f"node{number}.cluster.local": f"172.28.0.1{number}" for number in range(1, 5)}
    )
    """The recorded server's hosts and their addresses, in the order of their registration."""
    memory_kb: int = 24_684_092

    def __post_init__(self) -> None:
        self.now = exchanges(range(self.first, self.first + 1))[0].at
        self.done = self.first - 1
        self.world = World(clock=lambda: self.now)
        for place, (name, address) in enumerate(self.hosts.items(), 1):
            registered = self.now - 2 - place / 10
            self.world.hosts[name] = Host(name, address, memory_kb=self.memory_kb, registers_at=registered)
        self.simulation = self.make(self.world)
        self.world = self.simulation.world
        self.simulation.start()

    def close(self) -> None:
        """Ends the server."""
        self.simulation.close()

    def play(self, exchange: Exchange) -> list[str]:
        """Plays one exchange; the differences, one a line.

        The recording knows whole seconds only: a GET may be asked at any moment of its second.
        """
        for number in range(self.done + 1, exchange.number + 1):
            if number in self.hidden:
                self.now = max(self.now, exchange.at if number == exchange.number else self.now)
                self.hidden[number](self)
        self.done = exchange.number
        self.now = max(self.now, exchange.at)
        headers = dict(exchange.headers)
        if "Cookie" in headers:
            headers["Cookie"] = self._own_cookie(headers["Cookie"])
        self._align(exchange)
        best = self._differences(exchange, headers)
        end = exchange.at + SECOND
        while best and exchange.method == "GET" and self.now < end:
            self.now += STEP
            again = self._differences(exchange, headers)
            best = again if len(again) < len(best) else best
        self.now += exchange.elapsed
        return best

    def _align(self, exchange: Exchange) -> None:
        """Numbers of requests that calls used up which were not published."""
        document = exchange.document()
        if exchange.status == 202 and isinstance(document, dict) and "Requests" in document:
            self.world.skip("request", document["Requests"]["id"] - 1)

    def _differences(self, exchange: Exchange, headers: Mapping[str, str]) -> list[str]:
        status, answered, text = self.call(exchange.method, exchange.uri, exchange.body, headers)
        return list(compare(exchange, status, answered, text, self.rules))

    def call(
        self, method: str, uri: str, body: str = "", headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """One raw call over HTTP; without headers as the administrator."""
        own = headers or {
            "Host": "127.0.0.1:8080",
            "Authorization": "Basic YWRtaW46YWRtaW4=",
            "X-Requested-By": "ambari",
        }
        content = body.encode()
        # The recorded length may be that of the same document, printed otherwise.
        sent = {name: value for name, value in own.items() if name.lower() != "content-length"}
        lines = [f"{method} {uri} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
        lines += [f"Content-Length: {len(content)}", "Connection: close", "", ""]
        with socket.create_connection(("127.0.0.1", self.simulation.port), timeout=30) as connection:
            connection.sendall("\r\n".join(lines).encode() + content)
            with connection.makefile("rb") as stream:
                raw = stream.read()
        head, _, rest = raw.partition(b"\r\n\r\n")
        first, *others = head.decode("iso-8859-1").split("\r\n")
        answered = dict(line.split(": ", 1) for line in others)
        return int(first.split(" ", 2)[1]), answered, rest.decode("utf-8")

    def _own_cookie(self, recorded: str) -> str:
        """The simulated session that stands for a recorded one; sessions named bogus stay unknown."""
        if "bogus" in recorded:
            return recorded
        if recorded not in self.cookies:
            _, answered, _ = self.call("GET", "/api/v1/clusters")
            self.cookies[recorded] = answered["Set-Cookie"].partition(";")[0]
        return self.cookies[recorded]


def compare(
    exchange: Exchange, status: int, headers: Mapping[str, str], text: str, rules: tuple[Rule, ...]
) -> Iterator[str]:
    """The differences between a recorded answer and another."""
    if status != exchange.status:
        yield f"status: {exchange.status} recorded, {status} now: {text[:300]}"
    for name in HEADERS:
        recorded, now = _header(name, exchange.answer_headers), _header(name, headers)
        if recorded != now:
            yield f"header {name}: {recorded!r} recorded, {now!r} now"
    if exchange.method == "OPTIONS":
        return
    left, right = _flat(_parsed(exchange.text)), _flat(_parsed(text))
    ignored = [re.compile(rule.path) for rule in rules]
    for path in sorted(left.keys() | right.keys()):
        if left.get(path, ABSENT) == right.get(path, ABSENT):
            continue
        plain = re.sub(r"^(items/)?\[[^\]]*\]/", "", path)
        if any(rule.match(plain) or rule.match(path) for rule in ignored):
            continue
        yield f"{path}: {left.get(path, ABSENT)!r} recorded, {right.get(path, ABSENT)!r} now"


def _header(name: str, headers: Mapping[str, str]) -> str | None:
    value = headers.get(name)
    return re.sub(r"=node0\w+\.node0", "=COOKIE", value) if value and name == "Set-Cookie" else value


def _parsed(text: str) -> Any:
    if not text.strip():
        return {}
    try:
        return json.loads(text)
    except ValueError:
        return {"text": text}


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Paths of all values; items of arrays are known by address, name or place."""
    if isinstance(value, dict):
        if not value:
            return {path: {}}
        parts = [_flat(inner, f"{path}/{name}" if path else name) for name, inner in value.items()]
    elif isinstance(value, list):
        if not value:
            return {path: []}
        if all(isinstance(inner, str) for inner in value):
            value = sorted(value)
        parts = [_flat(inner, f"{path}/[{_label(inner, place)}]") for place, inner in enumerate(value)]
    else:
        return {path: _plain(value)}
    return {name: inner for part in parts for name, inner in part.items()}


def _label(item: Any, place: int) -> str:
    if isinstance(item, dict):
        kind = str(item.get("StackConfigurations", {}).get("type", ""))
        for name in ("href", "name", "fqdn", "message"):
            if isinstance(item.get(name), str):
                return (str(item[name]).partition("?")[0].partition("/api/v1/")[2] or str(item[name])) + kind
        system = item.get("OperatingSystems")
        if isinstance(system, dict):
            return str(system.get("os_type"))
        main = next((inner for inner in item.values() if isinstance(inner, dict)), {})
        known = [str(main[name]) for name in NAMES if isinstance(main.get(name), str | int)]
        if known:
            return " ".join(known)
        if len(item) == 1:
            return str(next(iter(item)))
    return str(place)


def _plain(value: Any) -> Any:
    if isinstance(value, int) and value > MOMENTS:
        return "a moment"
    if isinstance(value, str):
        for pattern, name in TEXT_RULES:
            value = pattern.sub(name, value)
    return value
