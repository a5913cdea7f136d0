"""Platform files: the label of packages, and the image that builds them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from bigtop_builder.model.base import FileName, Name, PlainText, RelativePath, StrictModel

Family = Literal["rhel", "openeuler", "kylin", "debian"]


class Image(StrictModel):
    """The base image of a platform's builder."""

    reference: PlainText | None = Field(default=None, pattern=r"^[A-Za-z0-9]")
    """A public image: ``rockylinux:8``."""
    digest: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")
    """The registry digest that ``reference`` must have."""
    debootstrap: FileName | None = None
    """Instead of a public image: the Debian suite to bootstrap one from."""
    template: RelativePath
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


Compressor = Literal["gzip", "bzip2", "lzma", "xz", "zstd"]
KeyAlgorithm = Literal["RSA", "EdDSA"]
KeyDigest = Literal["SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512"]


PAYLOADS: dict[str, Compressor] = {"gzdio": "gzip", "xzdio": "xz", "zstdio": "zstd"}
"""Names of compressors in rpm's terms of input and output."""


class RpmRules(StrictModel):
    """What the platform's own rpm reads with its default settings: ``repo publish`` refuses everything else for it."""

    version: str = Field(default="4.11.3", pattern=r"^[0-9]{1,3}(\.[0-9]{1,5}){1,3}$")
    """The version of rpm, which tells the features that packages may require of it (``rpmlib(RichDependencies)``)."""
    payloads: list[Compressor] = Field(default=["gzip", "bzip2", "lzma", "xz"], min_length=1)
    """Compressions of the payload, besides that of ``payload``. The default is what rpm 4.11 and later read."""
    keys: list[KeyAlgorithm] = Field(default=["RSA"], min_length=1)
    """Algorithms of signing keys. DSA is not among them: it is too weak on every platform."""
    rsa_bits: int = Field(default=2048, ge=2048)
    """The shortest RSA key, in bits. Shorter ones are too weak on every platform."""
    key_digests: list[KeyDigest] = Field(default=["SHA-224", "SHA-256", "SHA-384", "SHA-512"])
    """Digests of the signatures by which a key vouches for itself."""


class Platform(StrictModel):
    """A platform (``templates/platforms/<name>.yaml``)."""

    name: Name
    """The name, as the command line takes it: ``el8``."""
    title: str
    """``Rocky Linux 8 and compatible``."""
    family: Family
    """The family of the system, which selects the packages of builder images."""
    dist: str = Field(pattern=r"^\.[a-z0-9]+$")
    """The dist tag: ``.el8``."""
    architectures: list[Literal["x86_64", "aarch64"]] = Field(min_length=1)
    """The processors that it runs on."""
    ambari_os: str | None = None
    """Ambari's name for the OS family: ``redhat8``."""
    package_format: Name = "rpm"
    """The format of the packages."""
    macros: dict[str, str] = Field(default_factory=dict)
    """RPM macros that specs branch on: ``rhel: "8"``."""
    payload: str = Field(pattern=r"^w[0-9]{1,2}\.(gzdio|xzdio|zstdio)$")
    """A payload compression that the platform's rpm supports."""
    rpm: RpmRules = RpmRules()
    """What the platform's own rpm reads."""
    image: Image
    """The platform's own builder image, which native packages need."""
    host_packages: list[str] = Field(default_factory=list)
    """Further packages of the system for a bare host (Debian hosts): what packages of a stack expect to find."""
    host_provides: list[str] = Field(default_factory=list)
    """Capabilities of a bare host that its RPM database does not record (Debian hosts)."""
    system_provides: list[str] = Field(default_factory=lambda: list(SYSTEM))
    """What packages may require from the system's own repositories: names, paths and patterns. ``repo verify`` expects
    everything else in the stack's repository. The default is what every Linux with RPM has."""
    note: str = ""
    """Anything else to know about the platform."""

    @property
    def readable_payloads(self) -> list[Compressor]:
        """The compressions that the platform's rpm reads; the one that its packages get is among them."""
        return list(dict.fromkeys([*self.rpm.payloads, PAYLOADS[self.payload.rpartition(".")[2]]]))
