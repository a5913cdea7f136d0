"""Common parts of all file models: unknown keys are errors, and values never change after loading."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo

from bigtop_builder.model.safe_text import (
    absolute_path,
    file_name,
    host_path,
    plain_text,
    relative_path,
    target_folder,
)

VARIABLE_NAME = r"^[A-Z][A-Z_0-9]*$"
NAME = r"^[a-z0-9][a-z0-9._+-]*$"
USER_NAME = r"^[a-z_][a-z0-9_-]*\$?$"
GROUP_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_-]*$"
PACKAGE_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$"
SERVICE_UNIT = r"^[A-Za-z0-9_.@-]+$"
MODE = r"^0?[0-7]{3,4}$"
ADDRESS = r"^[A-Za-z0-9\[:][A-Za-z0-9.:%\[\]_-]*$"
PUSH_URL = r"^(https?://[^\s@?#]+|ssh://([\w.-]+@)?\w[^\s@?#/]*/\S+)$"
RACK = r"^/.+"
IDENTIFIER = r"^[A-Za-z_][A-Za-z0-9_]*$"
REPOSITORY_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
STACK_NAME = r"^[A-Z][A-Z0-9]*$"
DOTTED_VERSION = r"^[0-9]+(\.[0-9]+)+$"
REPOSITORY_VERSION = r"^[0-9]+(\.[0-9]+)+(-[0-9]+)?$"
AMBARI_VERSION = r"^[0-9]+(\.[0-9]+){2,3}$"
LDAPS_URL, LDAP_NAME = r"^ldaps://[^\s/]+/?$", r"^[A-Za-z]+ *=.+"


class StrictModel(BaseModel):
    """A frozen model that rejects unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Name = Annotated[str, StringConstraints(pattern=NAME, max_length=100)]
"""The name of a component, platform or stack: lower case, as in Bigtop and RPM."""

Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+~]*$", max_length=60)]
"""A version without dashes. In YAML ``3.1`` needs quotes, or it is a number."""

UpstreamVersion = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._+~-]*[A-Za-z0-9])?$", max_length=60)
]
"""A version as upstream writes it, which may have dashes: ``3.1.1-TDP-0.1.0-SNAPSHOT``."""

TEMPLATES = "templates"
"""The key of the validation context that permits templates, which are checked again when they are rendered."""


def is_template(text: str) -> bool:
    """Return whether rendering could change the text."""
    return "{{" in text or "{%" in text


def unless_template(check: Callable[[str], str]) -> AfterValidator:
    """Return a validator that skips templates where the file may have them, which is in component files alone."""

    def run(text: str, info: ValidationInfo) -> str:
        return text if (info.context or {}).get(TEMPLATES) and is_template(text) else check(text)

    return AfterValidator(run)


FileName = Annotated[str, unless_template(file_name)]
"""The name of one file or folder, at most 200 bytes."""
RelativePath = Annotated[str, unless_template(relative_path)]
"""A path below a folder."""
TargetFolder = Annotated[str, unless_template(target_folder)]
"""A path below a folder, or ``.``."""
VariableName = Annotated[str, StringConstraints(pattern=VARIABLE_NAME, max_length=100)]
"""The name of an environment variable."""
PlainText = Annotated[str, AfterValidator(plain_text)]
"""Text of one line, without control characters."""
HostPath = Annotated[str, AfterValidator(host_path)]
"""A path of this machine."""
AbsolutePath = Annotated[str, AfterValidator(absolute_path)]
"""A path on a host."""

SHA256, SHA512, COMMIT = r"^[0-9a-f]{64}$", r"^[0-9a-f]{128}$", r"^[0-9a-f]{40}$"
Sha256 = Annotated[str, StringConstraints(pattern=SHA256)]
Sha512 = Annotated[str, StringConstraints(pattern=SHA512)]
GitCommit = Annotated[str, StringConstraints(pattern=COMMIT)]
DURATION, SIZE = r"^[1-9][0-9]*(s|m|h)$", r"^[1-9][0-9]*(k|m|g)$"
AGE = r"^[1-9][0-9]*(h|d|w)$"
SECRET = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|command:.+|prompt)$"
HOSTS = r"^[A-Za-z0-9][A-Za-z0-9.,\[\]-]*$"
REFERENCE = r"^(env|file):.+$"
BASE_URL = r"^(https?|ftp|file)://[^\s]+$"
DOWNLOAD = r"^https?://"
MAVEN_COORDINATES = r"^[^:\s]+:[^:\s]+:[^:\s]+(:[^:\s]+){0,2}$"
CAPITALS = r"^[A-Z][A-Z0-9_]*$"
PROXY_URL = r"^((https?|socks5h?)://[^\s/@]+/?|none)$"
SERVER_URL, REPOSITORY_URL = r"^https?://[^\s/@]+/?$", r"^(https?|file)://\S+$"
CLUSTER = r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,99}$"
FILE_MODE = r"^([0-7]{3,4}|.*\{\{.*)$"
"""An octal mode, or a template of one."""
Duration = Annotated[str, StringConstraints(pattern=DURATION)]
"""A time span: ``90s``, ``40m``, ``2h``."""

Age = Annotated[str, StringConstraints(pattern=AGE)]
"""A longer time span: ``12h``, ``30d``, ``8w``."""

Address = Annotated[str, StringConstraints(pattern=REPOSITORY_URL)]
"""``https://…``, ``http://…`` or ``file://…``."""

Size = Annotated[str, StringConstraints(pattern=SIZE)]
"""A size in binary units: ``512m``, ``4g``."""


class Credentials(StrictModel):
    """By reference only."""

    user: str = Field(pattern=REFERENCE)
    """``env:NAME`` or ``file:PATH``."""
    password: str = Field(pattern=REFERENCE)
    """``env:NAME`` or ``file:PATH``."""


EXAMPLES = {
    DURATION: "90s, 40m or 2h",
    SIZE: "512m or 4g",
    AGE: "12h, 30d or 8w",
    SECRET: "env:NAME, file:PATH, command:COMMAND LINE or prompt",
    HOSTS: "node1.example.com or node[01-50].example.com",
    CAPITALS: "ZOOKEEPER or ZOOKEEPER_SERVER, as Ambari writes it",
    SERVER_URL: "https://ambari.example.com:8443, without a path; user and password are keys of their own",
    REPOSITORY_URL: "https://repo.example.com/bigtop-3.2.0/el8",
    PROXY_URL: "http://proxy.example.com:3128 (credentials go into proxy_credentials)",
    CLUSTER: "analytics, of letters, digits, _ and -",
    FILE_MODE: '"0755", in quotes',
    MODE: '"0644", in quotes',
    VARIABLE_NAME: "REDIS_PORT, in capitals",
    NAME: "redis, in lower case",
    USER_NAME: "deploy, in lower case and without a domain",
    GROUP_NAME: "workers, of letters, digits, _ and -",
    PACKAGE_NAME: "java-17-openjdk-devel, a package's name without version and address",
    SERVICE_UNIT: "redis, a unit's name without blanks",
    PUSH_URL: "https://repo.example.com/rpm or ssh://user@host/srv/rpm; a password goes into publish.push.credentials",
    ADDRESS: "node1.example.com or 192.0.2.1, without user and port",
    RACK: "/dc1/rack2",
    LDAPS_URL: "ldaps://ad1.example.com; passwords are not sent over plain ldap",
    LDAP_NAME: '"OU=hadoop,DC=example,DC=com"',
    IDENTIFIER: "ambari, of letters, digits and _",
    REPOSITORY_ID: "BIGTOP-3.2.0, of letters, digits, ., _ and -",
    STACK_NAME: "BIGTOP, in capitals",
    DOTTED_VERSION: '"3.2.0", without a build number',
    REPOSITORY_VERSION: '"3.2.0"',
    AMBARI_VERSION: '"3.0.0.0", without a release',
    SHA256: "the 64 digits that sha256sum prints",
    SHA512: "the 128 digits that sha512sum prints",
    COMMIT: "the 40 digits that git rev-parse prints; a tag is no fixed commit, and goes into tag",
    REFERENCE: "env:NAME or file:PATH, never the secret itself",
    BASE_URL: "https://repo.example.com, the root of all repositories",
    DOWNLOAD: "https://downloads.example.com/redis-7.0.15.tar.gz",
    MAVEN_COORDINATES: "org.postgresql:postgresql:42.7.4",
}
"""Pattern → matching examples, for hints."""

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
BYTES = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def seconds(duration: str) -> int:
    """Convert a duration to seconds: ``40m`` → 2400."""
    return int(duration[:-1]) * SECONDS[duration[-1]]


def size_in_bytes(size: str) -> int:
    """Convert a size to bytes: ``4g`` → 4294967296."""
    return int(size[:-1]) * BYTES[size[-1]]
