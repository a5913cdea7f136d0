"""Operations on packages and their repositories. They call ``yum``, which on newer systems is another name of dnf."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from shlex import quote
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bigtop_builder.hosts.files import remove_file, write_file
from bigtop_builder.hosts.operation import Operation

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import FileFacts, PackageFacts

REPOSITORIES = "/etc/yum.repos.d"
METADATA_SECONDS = 1
"""How long yum relies on what it knows of our repositories: a mended repository must be seen at once."""
NAMES = "rpm -qa --qf '%{NAME}\\n'"
"""Prints the names of all installed packages."""
REFRESH = "yum -q clean expire-cache"
"""Makes yum look at every repository again, whatever its file says."""

# yum does not install an older version than the installed one: that takes its command downgrade.
INSTALL = """yum -y install {words}
for name in {names}; do
    rpm -q "$name" >/dev/null && continue
    echo "no package is called $name; use the one that provides it: $(rpm -q --whatprovides "$name")" >&2
    exit 1
done
"""
INSTALL_VERSION = """yum -y install {word} || true
rpm -q {word} >/dev/null || yum -y downgrade {word}
rpm -q {word}
"""


def install_packages(
    facts: PackageFacts,
    names: Iterable[str],
    *,
    versions: Mapping[str, str] | None = None,
    restarts: tuple[str, ...] = (),
) -> tuple[Operation, ...]:
    """Plan the installation of missing packages, in one transaction.

    ``versions``: the required version by name (``2.8.0.0``, or with the release ``2.8.0.0-1``); other packages may have
    any version.
    """
    wanted = list(dict.fromkeys(names))
    versions = versions or {}
    missing = [name for name in wanted if name not in facts.packages]
    words = [f"{name}-{versions[name]}" if name in versions else name for name in missing]
    operations: list[Operation] = []
    if missing:
        script = INSTALL.format(words=_quoted(words), names=_quoted(missing))
        operations.append(Operation(f"install {_some(words)}", ", ".join(words), script, restarts=restarts))
    for name in wanted:
        if name in facts.packages and name in versions and not _has_version(facts, name, versions[name]):
            word = f"{name}-{versions[name]}"
            found = ", ".join(package.evr for package in facts.packages[name])
            script = INSTALL_VERSION.format(word=quote(word))
            operations.append(Operation(f"install {word}", f"{name} {found} is installed", script, restarts=restarts))
    return tuple(operations)


def remove_packages(facts: PackageFacts, names: Iterable[str]) -> tuple[Operation, ...]:
    """Plan the removal of installed packages in one transaction; it fails for a package that others still need.

    With rpm, because yum would also remove the packages that depend on them and those that only they needed.
    """
    present = [name for name in dict.fromkeys(names) if name in facts.packages]
    if not present:
        return ()
    script = f"rpm --erase --allmatches {_quoted(present)}"
    return (Operation(f"remove {_some(present)}", ", ".join(present), script),)


def _has_version(facts: PackageFacts, name: str, version: str) -> bool:
    return any(version in (package.version, f"{package.version}-{package.release}") for package in facts.packages[name])


def _quoted(words: Iterable[str]) -> str:
    return " ".join(quote(word) for word in words)


def _some(words: list[str]) -> str:
    return " ".join(words[:4]) + (f" and {len(words) - 4} more" if len(words) > 4 else "")


@dataclass(frozen=True)
class Access:
    """How a host gets at a repository: the values of ``RepositoryAccess``."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    proxy: str | None = None
    """``none`` for no proxy at all."""
    proxy_user: str | None = None
    proxy_password: str | None = field(default=None, repr=False)

    @property
    def secret(self) -> bool:
        """Whether it contains a password."""
        return self.password is not None or self.proxy_password is not None

    def lines(self) -> list[str]:
        """Return the lines of a repository file."""
        values = {
            "username": self.user,
            "password": self.password,
            "proxy": "_none_" if self.proxy == "none" else self.proxy,
            "proxy_username": self.proxy_user,
            "proxy_password": self.proxy_password,
        }
        return [f"{key}={value}" for key, value in values.items() if value is not None]

    def curl(self, *, same_host: bool = True) -> str:
        """Return the lines of curl's configuration; the repository's password is for its own host alone."""
        lines = []
        if self.user is not None and same_host:
            lines.append(_option("user", f"{self.user}:{self.password or ''}"))
        if self.proxy == "none":
            lines.append(_option("noproxy", "*"))
        elif self.proxy is not None:
            lines.append(_option("proxy", self.proxy))
        if self.proxy_user is not None:
            lines.append(_option("proxy-user", f"{self.proxy_user}:{self.proxy_password or ''}"))
        return "\n".join(lines)


def _option(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name} = "{escaped}"'


OPEN = Access()
"""A repository that everybody can read, without a proxy."""


@dataclass(frozen=True)
class RepositoryFile:
    """A repository, as one of our ``.repo`` files describes it to yum."""

    id: str
    url: str
    gpg_key: str | None
    """The address of the public key."""
    gpg_check: bool = True
    repo_gpg_check: bool = True
    certificates: str | None = None
    """The path on the host of the authorities that signed the server's certificate."""
    access: Access = OPEN
    key_source: str | None = None
    """Where this host downloads the key, if ``gpg_key`` has variables of yum."""

    @property
    def path(self) -> str:
        """The path of the file on the host."""
        return repository_path(self.id)

    def content(self) -> bytes:
        """Return the text of the file."""
        lines = [
            f"[{self.id}]",
            f"name={self.id}",
            f"baseurl={self.url}",
            "enabled=1",
            f"gpgcheck={int(self.gpg_check)}",
            f"repo_gpgcheck={int(self.repo_gpg_check)}",
            f"metadata_expire={METADATA_SECONDS}",
        ]
        if self.gpg_key is not None:
            lines.append(f"gpgkey={self.gpg_key}")
        if self.certificates is not None:
            lines.append(f"sslcacert={self.certificates}")
        lines += self.access.lines()
        return "".join(f"{line}\n" for line in ["# Written by bigtop-builder.", *lines]).encode()


def repository_path(name: str) -> str:
    """Return the path of our repository file with that id."""
    return f"{REPOSITORIES}/bigtop-builder-{name}.repo"


PASSWORD = re.compile(r"^(proxy_)?password\s*=", re.MULTILINE)
"""A password in a repository file."""

# Importing a key twice adds nothing.
TRUST = """key=$(mktemp)
trap 'rm -f "$key"' EXIT
curl --config - --fail --silent --show-error --location --max-time 60 --retry 2 {ca} --output "$key" {address}
rpm --import "$key"
rpm -q gpg-pubkey
"""


def repository(facts: FileFacts, wanted: RepositoryFile) -> tuple[Operation, ...]:
    """Plan to trust the repository's key, then to write its file. The facts must include ``wanted.path``.

    In this order, so that an existing file implies that its key is trusted, too.
    """
    former = facts.files.get(wanted.path)
    mode = "0600" if wanted.access.secret else "0644"
    # The former password is none that we know, and would show in the difference.
    secret = wanted.access.secret or bool(former and PASSWORD.search(former.text or ""))
    written = write_file(facts, wanted.path, wanted.content(), mode=mode, secret=secret)
    if not written or wanted.gpg_key is None or not (wanted.gpg_check or wanted.repo_gpg_check):
        return written
    ca = f"--cacert {quote(wanted.certificates)}" if wanted.certificates else ""
    source = wanted.key_source or wanted.gpg_key
    options = wanted.access.curl(same_host=urlsplit(source).netloc == urlsplit(wanted.url).netloc)
    trust = Operation(
        f"trust the key of {wanted.id}",
        f"rpm --import {source}",
        TRUST.format(ca=ca, address=quote(source)),
        options.encode(),
    )
    return (trust, *written)


def no_repository(facts: FileFacts, name: str) -> tuple[Operation, ...]:
    """Plan the removal of our repository file with that id."""
    return remove_file(facts, repository_path(name))
