"""Stack files: one distribution with its prefix, package suffix, components and versions."""

from __future__ import annotations

from pydantic import Field

from bigtop_builder.model.base import AbsolutePath, Name, StrictModel, UpstreamVersion, Version


class Stack(StrictModel):
    """A stack (``templates/stacks/<name>.yaml``)."""

    name: Name
    """``bigtop-3.2.0``."""
    version: Version
    """``3.2.0``."""
    prefix: AbsolutePath = Field(default="/usr/bigtop", pattern=r"^/[^\s]*[^/\s]$")
    """The stack root, Ambari's ``cluster-env/stack_root``."""
    epoch: int = Field(ge=0, le=0xFFFFFFFF)
    """SOURCE_DATE_EPOCH, in seconds: no file in a package is newer."""
    components: dict[Name, UpstreamVersion] = Field(min_length=1)
    """The components and their versions."""
    properties: dict[str, str] = Field(default_factory=dict)
    """Values that several components share, such as the Scala version: ``stack.properties.scala`` in templates."""

    @property
    def parent_dir(self) -> str:
        """``/usr/bigtop/3.2.0``, Bigtop's parent directory."""
        return f"{self.prefix}/{self.version}"

    @property
    def suffix(self) -> str:
        """``_3_2_0``, Bigtop's package suffix."""
        return "_" + self.version.replace(".", "_")
