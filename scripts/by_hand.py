"""A cluster that somebody has made by hand: call by call through Ambari's REST API, without the product's client."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests
from trial import demand

SECONDS = 1200
"""Time limit for a request of Ambari's."""


@dataclass
class ByHand:
    """The calls of a person with curl."""

    url: str
    user: str
    password: str

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Make one call and return what the server answers; a refusal ends the trial."""
        answer = requests.request(
            method,
            f"{self.url}/api/v1/{path}",
            auth=(self.user, self.password),
            headers={"X-Requested-By": "somebody", "Content-Type": "text/plain"},
            json=body,
            timeout=120,
        )
        demand(answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.text else {}

    def register(self, definition: str) -> int:
        """Register a version definition (XML); return its id."""
        encoded = base64.b64encode(definition.encode()).decode()
        made = self.call("POST", "version_definitions", {"VersionDefinition": {"version_base64": encoded}})
        return int(made["resources"][0]["VersionDefinition"]["id"])

    def defaults(self, stack: str, version: str, services: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return the stack's own properties of the cluster and of these services, by configuration type."""
        found: dict[str, dict[str, str]] = {}
        base = f"stacks/{stack}/versions/{version}"
        places = {f"{base}/configurations": "StackLevelConfigurations"}
        places |= {f"{base}/services/{name}/configurations": "StackConfigurations" for name in services}
        for where, key in places.items():
            for item in self.call("GET", f"{where}?fields={key}/*")["items"]:
                about = item[key]
                if about.get("property_value") is not None:
                    kind = str(about["type"]).removesuffix(".xml")
                    found.setdefault(kind, {})[about["property_name"]] = about["property_value"]
        return found

    def make(
        self, cluster: str, stack: tuple[str, str], version: int, layout: Mapping[str, Mapping[str, Sequence[str]]]
    ) -> None:
        """Make a cluster of ``layout``: service → component → hosts; then install it and start it."""
        self.call("POST", f"clusters/{cluster}", {"Clusters": {"version": "-".join(stack)}})
        for service in layout:
            info = {"service_name": service, "desired_repository_version_id": version}
            self.call("POST", f"clusters/{cluster}/services", [{"ServiceInfo": info}])
        self.configure(cluster, self.defaults(*stack, list(layout)), "made by hand")
        hosts = sorted({host for components in layout.values() for own in components.values() for host in own})
        self.call("POST", f"clusters/{cluster}/hosts", [{"Hosts": {"host_name": host}} for host in hosts])
        for service, components in layout.items():
            for component, own in components.items():
                self.call("POST", f"clusters/{cluster}/services/{service}/components/{component}")
                for host in own:
                    self.call("POST", f"clusters/{cluster}/hosts/{host}/host_components/{component}")
        for state in ("INSTALLED", "STARTED"):
            self.state(cluster, state)

    def configure(self, cluster: str, types: Mapping[str, Mapping[str, str]], note: str) -> None:
        """Send configurations as their newest versions."""
        tag = f"version{time.time_ns()}"
        wanted = [
            {"type": kind, "tag": tag, "properties": properties, "service_config_version_note": note}
            for kind, properties in types.items()
        ]
        self.call("PUT", f"clusters/{cluster}", [{"Clusters": {"desired_config": wanted}}])

    def state(self, cluster: str, state: str) -> None:
        """Give all services a state, and wait for it."""
        info = {"context": f"{state} by hand", "operation_level": {"level": "CLUSTER", "cluster_name": cluster}}
        body = {"RequestInfo": info, "Body": {"ServiceInfo": {"state": state}}}
        number = self.call("PUT", f"clusters/{cluster}/services", body)["Requests"]["id"]
        deadline = time.monotonic() + SECONDS
        while True:
            status = self.call("GET", f"clusters/{cluster}/requests/{number}")["Requests"]["request_status"]
            if status == "COMPLETED":
                return
            demand(status not in ("FAILED", "ABORTED", "TIMEDOUT"), f"{info['context']}: request {number} is {status}")
            demand(time.monotonic() < deadline, f"{info['context']}: request {number} is still {status}")
            time.sleep(3)

    def host_state(self, host: str) -> str:
        """Return what Ambari thinks of a host: HEALTHY, HEARTBEAT_LOST …"""
        return str(self.call("GET", f"hosts/{host}?fields=Hosts/host_state")["Hosts"]["host_state"])
