"""The addresses of an alternative, in the order to try them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote

from bigtop_builder.adapter.secret import read_secret
from bigtop_builder.adapter.sources.errors import public
from bigtop_builder.adapter.sources.web import Auth
from bigtop_builder.adapter.tools.addresses import Addresses
from bigtop_builder.model.base import Credentials
from bigtop_builder.model.build_tools import apache, debian, maven
from bigtop_builder.model.purl import package_url
from bigtop_builder.model.source import (
    Alternative,
    ApacheSource,
    DebianSource,
    GitSource,
    HttpsSource,
    MavenSource,
    PypiSource,
)


@dataclass(frozen=True)
class Candidate:
    """One address, and the user and password that it needs."""

    address: str
    auth: Auth | None = None


def describe(alternative: Alternative) -> str:
    """Describe the alternative in a few words, without credentials."""
    match alternative:
        case HttpsSource():
            return public(alternative.https)
        case ApacheSource():
            return f"Apache {alternative.apache}"
        case MavenSource():
            return f"Maven {alternative.maven}"
        case PypiSource():
            return f"PyPI {alternative.pypi}" + (f" ({alternative.file})" if alternative.file else "")
        case DebianSource():
            return f"Debian source {alternative.debian} ({alternative.file})"
        case GitSource():
            return f"git {public(alternative.git)} {alternative.tag or alternative.commit}"
        case _:
            return f"file {alternative.file}"


def uri(alternative: Alternative) -> str:
    """Return a name of the source that does not depend on the mirror.

    That is a package URL if there is a scheme for it, else the address (for Apache, in Apache's archive); for a local
    file only its name.
    """
    match alternative:
        case HttpsSource():
            return public(alternative.https)
        case ApacheSource():
            return f"{apache.ARCHIVE}/{alternative.apache.lstrip('/')}"
        case MavenSource():
            group, artifact, version, *rest = alternative.maven.split(":")
            qualifiers = dict(zip(("type", "classifier"), rest, strict=False))
            return package_url("maven", artifact, version, group=group, **qualifiers)
        case PypiSource():
            name, _, version = alternative.pypi.partition("==")
            return package_url("pypi", name, version, file_name=alternative.file or "")
        case DebianSource():
            return package_url("deb", alternative.debian, "", group="debian", arch="source", file_name=alternative.file)
        case GitSource():
            return f"git+{public(alternative.git)}@{alternative.tag or alternative.commit}"
        case _:
            return f"file:{quote(PurePosixPath(alternative.file).name)}"


def file_name(alternative: Alternative) -> str:
    """Return the file's name outside the store."""
    return alternative.file_name


def of_https(source: HttpsSource, addresses: Addresses) -> list[Candidate]:
    """Return the address itself; for one of Apache's own, the mirrors first."""
    for base in (apache.ARCHIVE, *apache.PUBLIC["default"]):
        if source.https.startswith(base + "/"):
            path = source.https.removeprefix(base + "/")
            found = [f"{mirror}/{path}" for mirror in apache.releases(addresses)]
            return [at(address, addresses) for address in dict.fromkeys(found)]
    return [at(source.https, addresses)]


def of_apache(source: ApacheSource, addresses: Addresses) -> list[Candidate]:
    """Return the file on the chosen mirrors, then in Apache's archive."""
    return [at(f"{base}/{source.apache.lstrip('/')}", addresses) for base in apache.releases(addresses)]


def of_maven(source: MavenSource, addresses: Addresses) -> list[Candidate]:
    """Return the file on the Maven mirrors of Central, in the standard repository layout."""
    path = source.path
    return [
        Candidate(f"{mirror.url.rstrip('/')}/{path}", _auth(mirror.credentials, f"mirrors.maven ({mirror.id})"))
        for mirror in maven.central(addresses)
    ]


def of_debian(source: DebianSource, addresses: Addresses) -> list[Candidate]:
    """Return the file in Debian's pool, whose folders are the first letter, or ``lib`` and one more letter."""
    name = source.debian
    letter = name[:4] if name.startswith("lib") else name[0]
    return [at(f"{debian.mirror(addresses)}/pool/{source.section}/{letter}/{name}/{quote(source.file)}", addresses)]


def _auth(credentials: Credentials | None, place: str) -> Auth | None:
    if credentials is None:
        return None
    return read_secret(credentials.user, place), read_secret(credentials.password, place)


def at(address: str, addresses: Addresses) -> Candidate:
    """Return ``address``, with the credentials of the site's cache if it is on that server."""
    return Candidate(address, _auth(addresses.credentials(address), "mirrors.cache.credentials"))
