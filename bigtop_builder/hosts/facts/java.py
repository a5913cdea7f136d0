"""The JDKs and JREs of a host."""

from __future__ import annotations

from typing import Annotated

from bigtop_builder.hosts.facts.fact import Fact, FactGroup, Rows
from bigtop_builder.model.base import StrictModel


class Jdk(StrictModel):
    """A Java home. ``compiler``: it contains ``javac``."""

    path: str
    version: str
    compiler: bool


# The file `release` is read first, because starting a JVM is slow, and several homes may be links to one JVM.
JDKS = r"""
declare -A seen=()
declare -A told=()
for home in "${homes[@]}" /usr/lib/jvm/* /usr/java/* /usr/jdk64/* /opt/java* /opt/jdk* /usr/local/java* /usr/local/jdk*
do
    [ -x "$home/bin/java" ] && [ -z "${told[$home]+x}" ] || continue
    told[$home]=1
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
    case $version in [0-9]*) emit jdk "$home" "$version" "$compiler";; esac
done
"""


def _jdks(rows: Rows) -> tuple[Jdk, ...]:
    return tuple(
        Jdk(path=path, version=version, compiler=compiler == "1") for path, version, compiler in rows.of("jdk")
    )


class JavaFacts(FactGroup):
    """The JDKs and JREs of a host."""

    jdks: Annotated[tuple[Jdk, ...], Fact(JDKS, _jdks)] = ()
