"""The script that looks at a host: one round trip, nothing but bash, coreutils and what the host happens to have."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import Wanted

SYSCTLS = ("vm.swappiness", "vm.overcommit_memory", "vm.max_map_count", "fs.file-max", "net.core.somaxconn")
COMMANDS = ("dnf", "yum", "curl", "python", "python2", "python3", "sudo", "systemctl", "chkconfig", "hostname", "ss")
FIREWALLS = ("firewalld", "iptables", "nftables")
MAX_TEXT = 64 << 10
LOOK_UP_SECONDS = 20
URL_SECONDS = 15

# Every fact is a line of words with tabs between them. bash 4.2 (EL 7) must do, and each process that is not started
# is a millisecond won. Look-ups and addresses may be slow: they go on in the background, each of their lines written
# at once, and are read at the end.
SCRIPT = r"""set +e +u; umask=$(umask); cd /
tell() { local IFS=$'\t'; printf '%s\n' "$*"; }
now() { if [ -n "$EPOCHREALTIME" ]; then clock=${EPOCHREALTIME/,/.}; else clock=$(date +%s.%N); fi; }
now; tell facts 1 "$clock"
names=(__NAMES__) addresses=(__URLS__) files=(__FILES__) services=(__SERVICES__)

look_up() {
    local ip kind found name one; local -A seen=()
    [ "$#" -gt 0 ] || return
    while read -r ip kind found; do
        [ -z "$found" ] || name=$found
        [ "$kind" = STREAM ] || continue
        seen[$name]=1; tell address "$name" "$ip"
    done < <(timeout __LOOK_UP__ getent ahostsv4 "$@" 2>/dev/null)
    for one in "$@"; do
        [ -z "${seen[$one]}" ] || continue
        if [ "$SECONDS" -gt __LOOK_UP__ ]; then tell unanswered "$one"; continue; fi
        seen[$one]=1
        while read -r ip kind found; do
            [ "$kind" = STREAM ] && tell address "$one" "$ip"
        done < <(timeout 5 getent ahosts "$one" 2>/dev/null)
    done
}
probe() {
    local said code url=${1//\\/\\\\}
    url=${url//\"/\\\"}
    said=$(printf 'url = "%s"\n' "$url" | curl -K - -sSL -o /dev/null --connect-timeout 5 --max-time __URL__ \
        -w '\t%{http_code}' 2>&1)
    code=$?
    said=${said//$'\n'/ }
    tell url "$1" "$code" "${said##*$'\t'}" "${said%$'\t'*}"
}
read -r kernel 2>/dev/null < /proc/sys/kernel/osrelease || kernel=$(uname -r)
fqdn=$(timeout 10 hostname -f 2>/dev/null)
exec 8< <(
    look_up "${names[@]}"
    [ -n "$fqdn" ] || exit
    while read -r ip kind _; do
        [ "$kind" = STREAM ] || continue
        tell own "$ip"
        read -r _ found < <(timeout 5 getent hosts "$ip" 2>/dev/null) && tell reverse "$ip" $found
        found=
    done < <(timeout 5 getent ahosts "$fqdn" 2>/dev/null)
)
exec 9< <(
    type -P curl >/dev/null || exit
    for one in "${addresses[@]}"; do probe "$one" & done
    wait
)
while IFS='=' read -r key value; do
    case $key in ID|VERSION_ID|PRETTY_NAME) value=${value#[\"\']}; tell os "$key" "${value%[\"\']}";; esac
done 2>/dev/null < /etc/os-release
tell machine "$HOSTNAME" "$kernel" "${HOSTTYPE/powerpc/ppc}" "$(nproc 2>/dev/null)"
tell fqdn "$fqdn"
tell umask "$umask"
tell limits "$(ulimit -Sn)" "$(ulimit -Hn)" "$(ulimit -Su)" "$(ulimit -Hu)"
while read -r key value _; do
    case $key in MemTotal:|MemAvailable:|SwapTotal:) tell memory "${key%:}" "$value";; esac
done 2>/dev/null < /proc/meminfo
while read -r _ size _ free _ mount; do
    case $size in *[!0-9]*) ;; *) tell mount "$size" "$free" "$mount";; esac
done < <(timeout 5 df -Pkl 2>/dev/null)
for key in __SYSCTLS__; do
    if read -r value 2>/dev/null < "/proc/sys/${key//.//}"; then tell sysctl "$key" "$value"; fi
done
if read -r value 2>/dev/null < /sys/fs/selinux/enforce; then
    [ "$value" = 1 ] && tell selinux enforcing || tell selinux permissive
elif [ -r /proc/filesystems ]; then
    case $(< /proc/filesystems) in *selinuxfs*) ;; *) tell selinux disabled;; esac
fi
if read -r value 2>/dev/null < /sys/kernel/mm/transparent_hugepage/enabled; then
    value=${value#*[}; tell thp "${value%%]*}"
fi
systemd=; [ -d /run/systemd/system ] && systemd=1
tell systemd "${systemd:-0}"
container=0
if [ -e /.dockerenv ] || [ -e /run/.containerenv ]; then container=1; fi
while IFS= read -r -d '' value; do case $value in container=*) container=1;; esac; done 2>/dev/null < /proc/1/environ
tell container "$container"
for key in __COMMANDS__; do type -P "$key" >/dev/null && tell command "$key"; done

declare -A seen=()
for home in /usr/lib/jvm/* /usr/java/* /opt/java* /opt/jdk* /usr/local/java* /usr/local/jdk*; do
    [ -x "$home/bin/java" ] || continue
    version=
    while IFS='=' read -r key value; do
        [ "$key" = JAVA_VERSION ] && value=${value#\"} && version=${value%\"}
    done 2>/dev/null < "$home/release"
    if [ -z "$version" ]; then
        real=$(readlink -f "$home/bin/java")
        if [ -z "${seen[$real]+x}" ]; then
            value=$(timeout 10 "$real" -Xint -XX:+UseSerialGC -version 2>&1)
            value=${value#*version \"}; seen[$real]=${value%%\"*}
        fi
        version=${seen[$real]}
    fi
    compiler=0; [ -x "$home/bin/javac" ] && compiler=1
    case $version in [0-9]*) tell jdk "$home" "$version" "$compiler";; esac
done

if ! listening=$(ss -ltnp 2>/dev/null); then
    listening=
    while read -r _ here _ state _; do
        [ "$state" = 0A ] && tell port "$((16#${here##*:}))" ""
    done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
fi
while read -r state _ _ here _ owner; do
    [ "$state" = LISTEN ] || continue
    owner=${owner#*\"}; [ "$owner" = "${owner%%\"*}" ] && owner= || owner=${owner%%\"*}
    tell port "${here##*:}" "$owner"
done <<< "$listening"

(timeout 10 getent passwd || cat /etc/passwd) 2>/dev/null | while IFS=: read -r name _ id group _ home shell; do
    tell user "$name" "$id" "$group" "$home" "$shell"
done
(timeout 10 getent group || cat /etc/group) 2>/dev/null | while IFS=: read -r name _ id members; do
    tell group "$name" "$id" "$members"
done
if type -P rpm >/dev/null; then
    tell rpm "$(type -P rpm)"
    rpm -qa --qf 'package\t%{NAME}\t%{EPOCHNUM}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\t%{VENDOR}\n' 2>/dev/null
fi
for path in /usr/bigtop/* /usr/bigtop/.[!.]*; do
    [ -e "$path" ] || [ -L "$path" ] && tell bigtop "${path##*/}"
done
[ -d /usr/bigtop/current ] && find /usr/bigtop/current -maxdepth 1 -type l -printf 'current\t%f\t%l\n' 2>/dev/null

firewall=none
for path in /proc/[0-9]*/comm; do
    if read -r value 2>/dev/null < "$path" && [ "$value" = firewalld ]; then firewall=firewalld; fi
done
if [ -n "$systemd" ]; then
    id= load= active= state= pid=
    while IFS='=' read -r key value; do
        case $key in
            Names) id=${value//.service/};; LoadState) load=$value;; ActiveState) active=$value;;
            UnitFileState) state=$value;; MainPID) pid=$value;;
            '') tell unit "$id" "$load" "$active" "$state" "$pid"; id= load= active= state= pid=;;
        esac
    done < <(for one in __FIREWALLS__ "${services[@]}"; do printf '%s\0' "$one.service"; done |
        timeout 20 xargs -0 systemctl show -p Names,LoadState,ActiveState,UnitFileState,MainPID 2>/dev/null; echo)
fi
enabled() {
    local link
    for link in /etc/rc.d/rc[2345].d/S[0-9][0-9]"$1" /etc/rc[2345].d/S[0-9][0-9]"$1"; do
        [ -e "$link" ] && { echo 1; return; }
    done
    echo 0
}
for one in "${services[@]}"; do
    [ -e "/etc/init.d/$one" ] || continue
    running=; pids=
    if [ -z "$systemd" ]; then
        timeout 20 "/etc/init.d/$one" status >/dev/null 2>&1 < /dev/null && running=1 || running=0
        for path in "/run/$one.pid" "/run/$one"/*.pid "/var/run/$one.pid" "/var/run/$one"/*.pid; do
            read -r value 2>/dev/null < "$path" && [ -d "/proc/$value" ] && pids="$pids $value"
        done
    fi
    tell script "$one" "$running" "$(enabled "$one")" "${pids# }"
done
tell firewall "$firewall"

for path in /etc/yum.repos.d/*.repo; do [ -e "$path" ] && files+=("$path"); done
regular=(); present=(); declare -A sizes=()
for path in "${files[@]}"; do
    [ -e "$path" ] || [ -L "$path" ] || continue
    if [ -L "$path" ]; then tell link "$path" "$(readlink "$path")"; fi
    [ -e "$path" ] || continue
    present+=("$path")
    [ -f "$path" ] && [ -r "$path" ] && regular+=("$path")
done
if [ "${#present[@]}" -gt 0 ]; then
    while IFS=$'\t' read -r path kind size value; do
        tell file "$path" "$kind" "$size" "$value"
        sizes[$path]=$size
    done < <(stat -L -c $'%n\t%F\t%s\t%U\t%G\t%a' -- "${present[@]}" 2>/dev/null)
fi
if [ "${#regular[@]}" -gt 0 ]; then
    while read -r value path; do tell sha256 "${path#\*}" "$value"; done < <(sha256sum -- "${regular[@]}" 2>/dev/null)
    for path in "${regular[@]}"; do
        [ "${sizes[$path]:-__MAX_TEXT__}" -lt __MAX_TEXT__ ] && tell text "$path" "$(base64 -w0 < "$path")"
    done
fi
for key in 8 9; do
    while IFS= read -r value; do printf '%s\n' "$value"; done <&"$key"
done
now; tell end "$clock"
"""


def gather_script(wanted: Wanted) -> str:
    """A bash script whose output ``parse_facts`` understands. It changes nothing and always ends with 0."""
    script = SCRIPT
    for place, text in {
        "__NAMES__": _words(wanted.names),
        "__URLS__": _words(dict.fromkeys(wanted.urls)),
        "__FILES__": _words(dict.fromkeys(wanted.files)),
        "__SERVICES__": _words(dict.fromkeys(wanted.services)),
        "__SYSCTLS__": _words(SYSCTLS),
        "__COMMANDS__": _words(COMMANDS),
        "__FIREWALLS__": _words(FIREWALLS),
        "__LOOK_UP__": str(LOOK_UP_SECONDS),
        "__URL__": str(URL_SECONDS),
        "__MAX_TEXT__": str(MAX_TEXT),
    }.items():
        script = script.replace(place, text)
    return script


def _words(values: Iterable[str]) -> str:
    return " ".join(quote(value) for value in values)
