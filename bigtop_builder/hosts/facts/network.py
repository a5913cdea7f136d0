"""Names, addresses, ports, and what the host reaches over HTTP."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bigtop_builder.hosts.facts.fact import Fact, FactGroup, Rows, firsts, pairs, single
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

# yum's variables: of its files, else built in. The release is the version of what provides ``system-release``.
# The address goes to curl in a configuration on its standard input, so that it does not show in the process list.
URLS = r"""
release() {
    local key name version found
    for key in {system,distribution}-release{'(releasever)',} redhat-release; do
        found=$(rpm -q --whatprovides "$key" --qf '%{VERSION}\n[%{PROVIDENAME} %{PROVIDEVERSION}\n]' 2>/dev/null) ||
            continue
        value=${found%%$'\n'*}
        while read -r name version; do
            [ "$name" = "$key" ] && [ -n "$version" ] && value=$version
        done <<< "${found#*$'\n'}"
        return
    done
}
declare -A values=()
for key in "${variables[@]}"; do
    value=
    for path in "/etc/dnf/vars/$key" "/etc/yum/vars/$key"; do
        [ -r "$path" ] && IFS= read -r value < "$path" && break
    done
    case ${value:+known}$key in
        basearch) value=${HOSTTYPE/powerpc/ppc}; case $value in i?86) value=i386;; armv[78]*) value=armhfp;; esac;;
        arch) value=$(uname -m);;
        releasever) release;;
    esac
    [ -n "$value" ] && values[$key]=$value && emit variable "$key" "$value"
done
probe() {
    local said code key more= url=$1
    for key in "${variables[@]}"; do
        [ -n "${values[$key]}" ] && url=${url//"\$$key"/${values[$key]}}
    done
    for key in "${url_options[@]}"; do
        [ "${key%%$'\n'*}" = "$1" ] && more=${key#*$'\n'}
    done
    url=${url//\\/\\\\}
    url=${url//\"/\\\"}
    said=$(printf 'url = "%s"\n%s\n' "$url" "$more" |
        curl -K - -sSL -o /dev/null --connect-timeout 5 --max-time __SECONDS__ \
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
    urls: Annotated[dict[str, UrlFact], Fact(URLS, _urls, background=True, about=("urls", "variables"))] = Field(
        default_factory=dict
    )
    """How the wanted addresses answered; empty on a host without curl."""
    variables: Annotated[
        dict[str, str], Fact(URLS, pairs("variable"), background=True, about=("urls", "variables"))
    ] = Field(default_factory=dict)
    """The wanted variables of yum that the host has."""
    ports: Annotated[dict[int, str | None], Fact(PORTS, _ports)] = Field(default_factory=dict)
    """TCP ports in use, with the program that listens, if it is known."""
