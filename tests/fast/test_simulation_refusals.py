"""What the simulated server says when it refuses, as read in Ambari's sources where no exchange was recorded."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fast.simulated_cluster import Site

SYSTEM = "An internal system exception occurred: "
REPOSITORY = "stacks/BIGTOP/versions/3.2.0/operating_systems/redhat8/repositories/BIGTOP-3.2.0"


@pytest.fixture(scope="module")
def site() -> Site:
    made = Site()
    made.deployed()
    return made


def command(name: str, **target: str) -> dict[str, Any]:
    return {"RequestInfo": {"command": name, "context": "x"}, "Requests/resource_filters": [target]}


CASES: dict[str, tuple[str, str, Any, int, str]] = {
    "a service that no stack has": (
        *("POST", "clusters/c1/services/NONE", None, 400),
        "Unsupported or invalid service in stack, clusterName=c1, serviceName=NONE, stackInfo=BIGTOP-3.2.0",
    ),
    "a service that the cluster has": (
        *("POST", "clusters/c1/services/ZOOKEEPER", None, 409),
        "Attempted to create a service which already exists: , clusterName=c1 serviceName=ZOOKEEPER",
    ),
    "a version that does not exist, before the service": (
        *("POST", "clusters/c1/services/NONE", {"ServiceInfo": {"desired_repository_version_id": 99}}, 400),
        "Could not find any repositories defined by 99",
    ),
    "a check of a service that no stack has": (
        *("POST", "clusters/c1/requests", command("NONE_SERVICE_CHECK", service_name="NONE"), 500),
        f"{SYSTEM}Unsupported action NONE_SERVICE_CHECK for Service: NONE and Component: null",
    ),
    "a check of a service that the cluster lacks": (
        *("POST", "clusters/c1/requests", command("HDFS_SERVICE_CHECK", service_name="HDFS"), 500),
        f"{SYSTEM}Service not found, clusterName=c1, serviceName=HDFS",
    ),
    "a component of a service that the cluster lacks": (
        *("POST", "clusters/c1/requests", command("RESTART", service_name="NONE", component_name="NONE"), 500),
        f"{SYSTEM}Service not found, clusterName=c1, serviceName=NONE",
    ),
    "a component that the service lacks": (
        *("POST", "clusters/c1/requests", command("RESTART", service_name="ZOOKEEPER", component_name="X"), 500),
        f"{SYSTEM}ServiceComponent not found, clusterName=c1, serviceName=ZOOKEEPER, serviceComponentName=X",
    ),
    "a command that the component lacks": (
        *("POST", "clusters/c1/requests"),
        *(command("DECOMMISSION", service_name="ZOOKEEPER", component_name="ZOOKEEPER_SERVER"), 500),
        f"{SYSTEM}Unsupported action DECOMMISSION for Service: ZOOKEEPER and Component: ZOOKEEPER_SERVER",
    ),
    "a cluster with started components": (
        *("DELETE", "clusters/c1", None, 500),
        f"{SYSTEM}Could not delete cluster, clusterName=c1",
    ),
    "a host with started components": (
        *("DELETE", "clusters/c1/hosts/node1.cluster.local", None, 500),
        f"{SYSTEM}Cannot remove host node1.cluster.local from c1.  The following roles exist, and these components are "
        "not in the removable state: ZOOKEEPER_SERVER",
    ),
    "aborting without a reason": (
        *("PUT", "clusters/c1/requests/5", {"Requests": {"request_status": "FLYING"}}, 400),
        "Abort reason can not be empty.",
    ),
    "aborting with an unknown property": (
        *("PUT", "clusters/c1/requests/5", {"Requests": {"nonsense": "1", "abort_reason": "x"}}, 400),
        "The properties [Requests/nonsense] specified in the request or predicate are not supported for the resource "
        "type Request.",
    ),
    "an unknown property of a service": (
        *("PUT", "clusters/c1/services/ZOOKEEPER", {"ServiceInfo": {"nonsense": "1"}}, 400),
        "The properties [ServiceInfo/nonsense] specified in the request or predicate are not supported for the "
        "resource type Service.",
    ),
    "an old repository without its name": (
        *("PUT", REPOSITORY, {"Repositories": {"base_url": "http://a.test"}}, 400),
        "repo_name is required to verify repository",
    ),
    "a repository to be created": (
        *("POST", REPOSITORY, {"Repositories": {"base_url": "http://a.test", "repo_name": "bigtop"}}, 500),
        "Cannot create repositories.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refusals_say_what_ambari_says(site: Site, case: str) -> None:
    method, path, body, status, message = CASES[case]
    assert site.call(method, path, body, status=status)["message"] == message


def test_an_old_repository_is_looked_at_and_not_changed(site: Site) -> None:
    before = site.call("GET", f"{REPOSITORY}?fields=Repositories/base_url")
    own = {"base_url": "http://a.test", "repo_name": "bigtop", "verify_base_url": False}
    site.call("PUT", REPOSITORY, {"Repositories": own}, status=200)
    assert site.call("GET", f"{REPOSITORY}?fields=Repositories/base_url") == before
