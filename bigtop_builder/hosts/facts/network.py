"""Names, addresses, ports, and what the host reaches over HTTP."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bigtop_builder.hosts.facts.fact import Fact, FactGroup, Rows, firsts, single
from bigtop_builder.model.base import StrictModel

LOOK_UP_SECONDS = 20
URL_SECONDS = 15


class UrlFact(StrictModel):
    """How an address answered: curl's exit code, the status (0 without an HTTP answer), and curl's message."""

    code: int
    status: int
    message: str

    @property
    def reached(self) -> bool:
        """Whether the address answered without an error; a ``file`` address has no status."""
        return self.code == 0 and self.status < 400


# One call of getent resolves all names. Those that are missing from its output are tried singly until the time is up.
LOOK_UPS = r"""
look_up() {
    local ip kind found name one; local -A seen=()
    [ "$#" -gt 0 ] || return
    while read -r ip kind found; do
        [ -z "$found" ] || name=$found
        [ "$kind" = STREAM ] || continue
        seen[$name]=1; emit address "$name" "$ip"
    done < <(timeout __SECONDS__ getent ahostsv4 "$@" 2>/dev/null)
    for one in "$@"; do
        [ -z "${seen[$one]}" ] || continue
        if [ "$SECONDS" -gt __SECONDS__ ]; then emit unanswered "$one"; continue; fi
        seen[$one]=1
        while read -r ip kind found; do
            [ "$kind" = STREAM ] && emit address "$one" "$ip"
        done < <(timeout 5 getent ahosts "$one" 2>/dev/null)
    done
}
fqdn=$(timeout 10 hostname -f 2>/dev/null)
emit fqdn "$fqdn"
look_up "${names[@]}"
[ -n "$fqdn" ] || exit
while read -r ip kind _; do
    [ "$kind" = STREAM ] || continue
    emit own "$ip"
    read -r _ found < <(timeout 5 getent hosts "$ip" 2>/dev/null) && emit reverse "$ip" $found
    found=
done < <(timeout 5 getent ahosts "$fqdn" 2>/dev/null)
""".replace("__SECONDS__", str(LOOK_UP_SECONDS))

# The address goes to curl in a configuration on its standard input, so that it does not show in the process list.
URLS = r"""
probe() {
    local said code url=${1//\\/\\\\}
    url=${url//\"/\\\"}
    said=$(printf 'url = "%s"\n' "$url" | curl -K - -sSL -o /dev/null --connect-timeout 5 --max-time __SECONDS__ \
        -w '\t%{http_code}' 2>&1)
    code=$?
    said=${said//$'\n'/ }
    emit url "$1" "$code" "${said##*$'\t'}" "${said%$'\t'*}"
}
type -P curl >/dev/null || exit
for one in "${urls[@]}"; do probe "$one" & done
wait
""".replace("__SECONDS__", str(URL_SECONDS))

# ss also knows the program that listens. In /proc/net/tcp, 0A is the state LISTEN.
PORTS = r"""
if ! listening=$(ss -ltnp 2>/dev/null); then
    listening=
    while read -r _ here _ state _; do
        [ "$state" = 0A ] && emit port "$((16#${here##*:}))" ""
    done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
fi
while read -r state _ _ here _ owner; do
    [ "$state" = LISTEN ] || continue
    owner=${owner#*\"}; [ "$owner" = "${owner%%\"*}" ] && owner= || owner=${owner%%\"*}
    emit port "${here##*:}" "$owner"
done <<< "$listening"
"""


def _reverse(rows: Rows) -> dict[str, tuple[str, ...]]:
    return {values[0]: tuple(" ".join(values[1:]).split()) for values in rows.of("reverse")}


def _lookups(rows: Rows) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for values in rows.of("address"):
        found.setdefault(values[0].lower(), {}).update(dict.fromkeys(values[1:]))
    return {name: tuple(values) for name, values in found.items()}


def _urls(rows: Rows) -> dict[str, UrlFact]:
    return {
        url: UrlFact(code=int(code), status=int(status or 0), message=message)
        for url, code, status, message in rows.of("url")
    }


def _ports(rows: Rows) -> dict[int, str | None]:
    ports: dict[int, str | None] = {}
    for number, owner in rows.of("port"):
        ports[int(number)] = owner or ports.get(int(number))
    return ports


class NetworkFacts(FactGroup):
    """Names, addresses, ports, and what the host reaches over HTTP."""

    fqdn: Annotated[str | None, Fact(LOOK_UPS, single("fqdn"), background=True)] = None
    """The output of ``hostname -f``."""
    addresses: Annotated[tuple[str, ...], Fact(LOOK_UPS, firsts("own"), background=True)] = ()
    """The addresses that the host itself finds for its FQDN."""
    reverse: Annotated[dict[str, tuple[str, ...]], Fact(LOOK_UPS, _reverse, background=True)] = Field(
        default_factory=dict
    )
    """The names of those addresses; an address without a name has no entry."""
    lookups: Annotated[dict[str, tuple[str, ...]], Fact(LOOK_UPS, _lookups, background=True)] = Field(
        default_factory=dict
    )
    """The wanted names that resolve, with their addresses."""
    unanswered: Annotated[tuple[str, ...], Fact(LOOK_UPS, firsts("unanswered"), background=True)] = ()
    """Wanted names that there was no time for, because the resolver is too slow."""
    urls: Annotated[dict[str, UrlFact], Fact(URLS, _urls, background=True)] = Field(default_factory=dict)
    """How the wanted addresses answered; empty on a host without curl."""
    ports: Annotated[dict[int, str | None], Fact(PORTS, _ports)] = Field(default_factory=dict)
    """TCP ports in use, with the program that listens, if it is known."""
