"""The stacks of a server, and its stack advisor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bigtop_builder.adapter.ambari.connection import Connection, Json, listed
from bigtop_builder.adapter.ambari.errors import AdvisorError, ServerError, UnexpectedAnswerError
from bigtop_builder.adapter.ambari.query import fields, path
from bigtop_builder.cluster.configuration import Configuration

SERVICE_FIELDS = (
    "StackServices/service_name,StackServices/service_version,StackServices/required_services,"
    "StackServices/config_types,StackServices/service_check_supported,components/StackServiceComponents/*,"
    "components/dependencies/Dependencies/*,components/auto_deploy"
)

Kind = Literal["host_groups", "configurations"]


@dataclass(frozen=True)
class StackProperty:
    """The default of a property.

    ``type`` is the configuration type (``zoo.cfg``), ``kinds`` has PASSWORD, USER …; nothing may override a ``final``
    one.
    """

    type: str
    name: str
    value: str | None
    kinds: tuple[str, ...] = ()
    final: bool = False


@dataclass(frozen=True)
class ValidationItem:
    """A remark of the stack advisor.

    ``level`` is ERROR, WARN or NOT_APPLICABLE; ``kind`` is host-component, configuration, or ``advisor`` if the advisor
    itself failed.
    """

    level: str
    message: str
    kind: str
    component: str | None = None
    host: str | None = None
    config_type: str | None = None
    config_name: str | None = None


class StackCalls(Connection):
    """``/stacks``."""

    def stacks(self) -> list[tuple[str, str]]:
        """Return the names and versions: ``[("BIGTOP", "3.2.0"), …]``."""
        names = [str(item["Stacks"]["stack_name"]) for item in self.items("stacks")]
        return [
            (name, str(item["Versions"]["stack_version"]))
            for name in names
            for item in self.items(path("stacks", name, "versions"))
        ]

    def stack_services(self, name: str, version: str) -> list[Json]:
        """Return services, components, dependencies and configuration types as Ambari renders them.

        The items have ``StackServices`` and ``components``.
        """
        return list(self.items(path("stacks", name, "versions", version, "services"), fields=SERVICE_FIELDS))

    def os_families(self, name: str, version: str) -> tuple[str, ...]:
        """Return the OS families that the stack has repositories for: ``redhat8``."""
        found = self.items(
            path("stacks", name, "versions", version, "operating_systems"), fields="repositories/Repositories"
        )
        return tuple(sorted(str(item["OperatingSystems"]["os_type"]) for item in found))

    def stack_properties(self, name: str, version: str, service: str | None = None) -> list[StackProperty]:
        """Return a service's properties with their defaults; without ``service`` the stack's own (``cluster-env``)."""
        kind = "StackConfigurations" if service else "StackLevelConfigurations"
        parts = ["services", service] if service else []
        names = "property_name property_value type final"
        requested = fields(kind, f"{names} property_type" if service else names)
        found = self.items(path("stacks", name, "versions", version, *parts, "configurations"), fields=requested)
        return [_property(item.get(kind, {})) for item in found]

    def stack_defaults(self, name: str, version: str, service: str | None = None) -> dict[str, Configuration]:
        """Return the defaults by configuration type; properties without one are left out.

        Final properties have the attribute that Ambari gives them in a cluster from a blueprint (762).
        """
        known = [item for item in self.stack_properties(name, version, service) if item.value is not None]
        defaults: dict[str, Configuration] = {}
        for type in dict.fromkeys(item.type for item in known):
            own = [item for item in known if item.type == type]
            final = {item.name: "true" for item in own if item.final}
            properties = {item.name: item.value for item in own if item.value is not None}
            defaults[type] = Configuration(properties, {"final": final} if final else {})
        return defaults

    def recommend(
        self,
        name: str,
        version: str,
        kind: Kind,
        hosts: Sequence[str],
        services: Sequence[str],
        recommendations: Json | None = None,
    ) -> Json:
        """Return the advisor's ``recommendations`` (``blueprint``, ``blueprint_cluster_binding``).

        For configurations the layout is passed in ``recommendations``, in the same format. Hosts must be registered.

        Raises AdvisorError.
        """
        body = _advice("recommend", kind, hosts, services, recommendations)
        found = self._advised(path("stacks", name, "versions", version, "recommendations"), body)
        return found.get("recommendations") or {}

    def validate(
        self,
        name: str,
        version: str,
        kind: Kind,
        hosts: Sequence[str],
        services: Sequence[str],
        recommendations: Json,
    ) -> list[ValidationItem]:
        """Return the advisor's remarks on a layout or configurations; empty if there are none.

        If the advisor itself fails, which happens on live servers, that is the only remark.
        """
        body = _advice("validate", kind, hosts, services, recommendations)
        try:
            found = self._advised(path("stacks", name, "versions", version, "validations"), body)
        except AdvisorError as error:
            return [ValidationItem("WARN", error.answer or error.message, "advisor")]
        return [_remark(item) for item in listed(found.get("items"))]

    def _advised(self, where: str, body: Json) -> Json:
        try:
            data = self.post(where, body).data
        except ServerError as error:
            raise AdvisorError(error.message, status=error.status, answer=error.answer, hint=error.hint) from error
        resources = listed(data.get("resources")) if isinstance(data, dict) else []
        if not resources:
            raise UnexpectedAnswerError("the response of the stack advisor is empty")
        return resources[0]


def _advice(verb: str, kind: str, hosts: Sequence[str], services: Sequence[str], recommendations: Json | None) -> Json:
    body: Json = {verb: kind, "hosts": list(hosts), "services": list(services)}
    if recommendations is not None:
        body["recommendations"] = recommendations
    return body


def _property(item: dict[str, Any]) -> StackProperty:
    value = item.get("property_value")
    return StackProperty(
        type=str(item.get("type", "")).removesuffix(".xml"),
        name=str(item.get("property_name", "")),
        value=None if value is None else str(value),
        kinds=tuple(item.get("property_type") or ()),
        final=item.get("final") in (True, "true"),
    )


def _remark(item: dict[str, Any]) -> ValidationItem:
    return ValidationItem(
        level=str(item.get("level", "")),
        message=str(item.get("message", "")),
        kind=str(item.get("type", "")),
        component=item.get("component-name"),
        host=item.get("host"),
        config_type=item.get("config-type"),
        config_name=item.get("config-name"),
    )
