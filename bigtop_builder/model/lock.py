"""Lock files: everything that compiling one version of a component downloads."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from bigtop_builder.model.base import Name, Sha256, StrictModel, UpstreamVersion
from bigtop_builder.model.build_tools.registry import CacheName


def _inside(path: str) -> str:
    parts = path.split("/")
    if not path.isprintable() or not path.isascii() or len(path) > 1000 or {"", ".", ".."} & set(parts):
        raise ValueError("is not a path inside a cache")
    return path


LockedPath = Annotated[str, AfterValidator(_inside)]


class LockedFile(StrictModel):
    """One download."""

    size: int = Field(ge=0)
    """Bytes."""
    sha256: Sha256
    text: str | None = None
    """The file itself, where a repository changes it: the list of an artifact's versions, as it was."""

    @model_validator(mode="after")
    def _is_its_digest(self) -> LockedFile:
        from bigtop_builder.model.digest import of_text

        if self.text is not None and of_text(self.text) != self.sha256:
            raise ValueError("the text does not match its digest")
        return self


class Lock(StrictModel):
    """What compiling a component downloads, with which it compiles without a network."""

    format: Literal[1] = 1
    component: Name
    version: UpstreamVersion
    variant: Name | None = None
    builder: Name
    """The platform whose image compiles."""
    architecture: str
    downloads: dict[CacheName, dict[LockedPath, LockedFile]] = Field(default_factory=dict)
    """By build tool, and by the path in the tool's cache, which names no server."""
