"""A platform file: what packages are labelled with, and the image that builds them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from bigtop_builder.model.base import Name, StrictModel

Family = Literal["rhel", "openeuler", "kylin", "debian"]


class Image(StrictModel):
    """The image that a platform's builder starts from."""

    reference: str | None = None
    """A public image: ``rockylinux:8``."""
    digest: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")
    """The registry digest that ``reference`` must have."""
    debootstrap: str | None = None
    """Instead of a public image: the Debian suite to make one from."""
    template: str
    """The Dockerfile template below ``templates/images`` that adds the toolchain."""

    @model_validator(mode="after")
    def _one_origin(self) -> Image:
        if self.reference is not None and self.debootstrap is not None:
            raise ValueError("has both reference and debootstrap")
        return self


SYSTEM = (
    *("/bin/*", "/sbin/*", "/usr/bin/*", "/usr/sbin/*", "/lib/lsb/init-functions"),
    *("libc.so.6*", "libm.so.6*", "libdl.so.2*", "libpthread.so.0*", "librt.so.1*", "ld-linux*", "rtld(GNU_HASH)"),
    *("libgcc_s.so.1*", "libstdc++.so.6*", "libcap.so.2*", "libcrypto.so.*", "libssl.so.*", "libz.so.1*"),
    *("bash", "chkconfig", "coreutils", "curl", "findutils", "gcc", "grep", "initscripts", "openssh-server", "openssl"),
    *("procps-ng", "psmisc", "python3", "rpcbind", "sed", "shadow-utils", "tar", "unzip", "util-linux", "which"),
)


class Platform(StrictModel):
    """A platform (``templates/platforms/<name>.yaml``)."""

    name: Name
    title: str
    """``Rocky Linux 8 and its kin``."""
    family: Family
    dist: str = Field(pattern=r"^\.[a-z0-9]+$")
    """The dist tag: ``.el8``."""
    architectures: list[Literal["x86_64", "aarch64"]] = Field(min_length=1)
    ambari_os: str | None = None
    """The OS family by which Ambari knows it: ``redhat8``."""
    package_format: Name = "rpm"
    """The format of its packages."""
    macros: dict[str, str] = Field(default_factory=dict)
    """RPM macros that specs branch on: ``rhel: "8"``."""
    payload: str = Field(pattern=r"^w[0-9]{1,2}\.(gzdio|xzdio|zstdio)$")
    """The payload compression that the platform's rpm can read."""
    image: Image
    """The builder image of the platform itself: what native packages need."""
    host_provides: list[str] = Field(default_factory=list)
    """Capabilities that a bare host of the platform has outside RPM's knowledge (Debian hosts)."""
    system_provides: list[str] = Field(default_factory=lambda: list(SYSTEM))
    """What packages may ask of the system's own repositories: names, paths and patterns. ``repo verify`` looks for
    everything else in the stack's; without it, what every Linux with RPM has."""
    note: str = ""
