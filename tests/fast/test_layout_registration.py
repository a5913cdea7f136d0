"""Version definitions and the repo file of Ambari's agents, against what a live server accepted."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.cluster.version_definition import agent_repository_template, version_definition
from bigtop_builder.model.errors import RecipeError

ACCEPTED = """<repository-version>
  <release>
    <type>STANDARD</type>
    <stack-id>BIGTOP-3.2.0</stack-id>
    <version>3.2.0</version>
    <display>BIGTOP-3.2.0</display>
  </release>
  <manifest>
    <service id="ZOOKEEPER-359" name="ZOOKEEPER" version="3.5.9"/><service id="SPARK-323" name="SPARK" version="3.2.3"/>
  </manifest>
  <repository-info>
    <os family="redhat8">
      <package-version>3_2_0</package-version>
      <repo>
        <baseurl>http://172.28.0.1:8099/spark</baseurl>
        <repoid>BIGTOP-3.2.0</repoid>
        <reponame>bigtop</reponame>
        <unique>false</unique>
      </repo>
    </os>
  </repository-info>
</repository-version>"""
"""What is compared of the definition that the recorded server took (exchange 524)."""

SIGNED = (
    "[{{repo_id}}]\nname={{repo_id}}\n{% if mirror_list %}mirrorlist={{mirror_list}}{% else %}baseurl={{base_url}}"
    "{% endif %}\n\npath=/\nenabled=1\nmetadata_expire=1\ngpgcheck=1\ngpgkey=http://172.28.0.1:8099/spark/key.asc"
)
"""The template with which the recorded agents checked signatures (exchange 560), and metadata_expire: without it a
mended repository was not seen for two days (647)."""

REPOSITORY = ("BIGTOP-3.2.0", "bigtop", "http://172.28.0.1:8099/spark")


def texts(element: ElementTree.Element) -> dict[str, str]:
    return {f"{parent.tag}/{child.tag}": (child.text or "").strip() for parent in element.iter() for child in parent}


def services(element: ElementTree.Element) -> set[tuple[str, ...]]:
    return {tuple(sorted(one.attrib.items())) for one in element.iter("service")}  # type: ignore[arg-type]


def test_the_definition_is_like_the_accepted_one() -> None:
    ours = ElementTree.fromstring(version_definition(load_stack(), "3.2.0", {"redhat8": [REPOSITORY]}))
    accepted = ElementTree.fromstring(ACCEPTED)
    assert texts(accepted).items() <= texts(ours).items()
    assert services(accepted) <= services(ours)
    assert ours.find("release/build") is None, "a build would become part of package names"
    assert [child.tag for child in ours] == ["release", "manifest", "available-services", "repository-info"]


def test_addresses_are_escaped_and_families_kept_apart() -> None:
    entry = ("BIGTOP", "bigtop", "http://host/repo?a=1&b=<2>")
    ours = ElementTree.fromstring(
        version_definition(load_stack(), "3.2.1", {"redhat8": [entry], "redhat9": [entry, entry], "redhat7": []})
    )
    assert [one.get("family") for one in ours.iter("os")] == ["redhat8", "redhat9"]
    assert {one.text for one in ours.iter("baseurl")} == {"http://host/repo?a=1&b=<2>"}
    assert len(list(ours.iter("repo"))) == 3


def test_every_service_can_be_added_later() -> None:
    ours = ElementTree.fromstring(version_definition(load_stack(), "3.2.0", {"redhat8": [REPOSITORY]}))
    assert {one.get("name") for one in ours.iter("service")} == set(load_stack().services)


@pytest.mark.parametrize(("version", "families"), [("3.2.0", {}), ("3.2.0", {"redhat8": []}), ("3.3.0", None)])
def test_what_ambari_would_refuse(version: str, families: dict[str, list[tuple[str, str, str]]] | None) -> None:
    with pytest.raises(RecipeError):
        version_definition(load_stack(), version, {"redhat8": [REPOSITORY]} if families is None else families)


def test_repo_file_of_agents() -> None:
    assert agent_repository_template(["http://172.28.0.1:8099/spark/key.asc"]) == SIGNED
    ours = agent_repository_template([]).replace("metadata_expire=1\n", "")
    assert ours == load_stack().defaults["cluster-env"]["repo_suse_rhel_template"]
    assert agent_repository_template(["http://a/key", "http://b/key"]).endswith("gpgkey=http://a/key http://b/key")
