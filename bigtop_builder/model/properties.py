"""Values of configuration properties in an inventory: plain ones, secrets, and values with attributes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field, StringConstraints, Tag

from bigtop_builder.model.base import SECRET, StrictModel

SecretReference = Annotated[str, StringConstraints(pattern=SECRET)]
"""``env:NAME``, ``file:PATH``, ``command:COMMAND LINE`` (the first line of its output) or ``prompt``: secrets are
never written into our files."""

PlainValue = str | int | float | bool
"""A value as it is written in the file: ``022`` stays ``022``, ``no`` stays ``no``."""


class Secret(StrictModel):
    """A secret as the value of a configuration property."""

    secret: SecretReference
    """Where the secret is: ``env:NAME``, ``file:PATH``, ``command:COMMAND LINE`` or ``prompt``."""


class Setting(StrictModel):
    """A value with attributes of the property."""

    value: PlainValue
    """The value, as it is written in the file."""
    final: bool | None = None
    """Whether Hadoop lets nobody override the value. Without it, the property keeps what it has in Ambari."""
    attributes: dict[str, str] = Field(default_factory=dict)
    """Further attributes of the property in Ambari, such as ``hidden``."""

    @property
    def wanted(self) -> dict[str, str | None]:
        """The attributes that the property should have; None for one that it should not have."""
        final = {} if self.final is None else {"final": "true" if self.final else None}
        return {**self.attributes, **final}


def _kind(value: Any) -> str:
    if isinstance(value, Setting | Secret):
        return "is-setting" if isinstance(value, Setting) else "is-secret"
    if not isinstance(value, dict):
        return "is-plain"
    return "is-setting" if set(Setting.model_fields) & set(value) else "is-secret"


_Plain = Annotated[PlainValue, Tag("is-plain")]
_Secret = Annotated[Secret, Tag("is-secret")]
_Setting = Annotated[Setting, Tag("is-setting")]
PropertyValue = Annotated[_Plain | _Secret | _Setting, Discriminator(_kind)]
Properties = dict[str, PropertyValue]
Configurations = dict[str, Properties]
"""Configuration type (``zoo.cfg``) → property → value."""
