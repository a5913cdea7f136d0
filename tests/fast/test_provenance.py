"""Attestations from a store's manifests, published beside packages, verified, read again, swept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.repository.pool import DOCUMENTS, ENVELOPE
from bigtop_builder.adapter.rpm.gnupg import Signer
from bigtop_builder.adapter.store import Store
from bigtop_builder.cli.app import run as run_cli
from bigtop_builder.flow.publish.attestation import BUILD_TYPE
from bigtop_builder.flow.publish.publisher import Publication, Rules, publish
from bigtop_builder.flow.publish.verifier import Problem, verify
from bigtop_builder.model.digest import of_file
from bigtop_builder.recipe.catalog import Catalog
from tests.rpmfile import Spec, write_rpm

STACK = "bigtop-3.2.0"
OWN = Spec(name="own", files={"/opt/own": b"own"})
FOREIGN = Spec(name="foreign", files={"/opt/foreign": b"foreign"})
OWN_FILE, FOREIGN_FILE = "own-1.0-1.el8.noarch.rpm", "foreign-1.0-1.el8.noarch.rpm"
IMAGE = {"tag": "bigtop-builder/toolchain:abc", "id": "sha256:" + "1" * 64, "fingerprint": "f" * 64, "base": "base:1"}
COMPILED: dict[str, Any] = {
    "run": "20260101-000000-abcd",
    "builder": "0.1.0",
    "image": IMAGE,
    "logs": {"compile": "3" * 64},
    "ingredients": {"dependency:base": "d" * 64, "patch:0000:fix.patch": "e" * 64},
    "sources": {
        "main": {
            "digest": "sha256:" + "a" * 64,
            "from": "git https://example.org/own.git v1",
            "file": "own.tar",
            "uri": "git+https://example.org/own.git@v1",
            "address": "https://example.org/own.git",
            "digests": {"sha256": "a" * 64, "gitCommit": "b" * 40},
        }
    },
    "patches": [{"name": "fix.patch", "sha256": "c" * 64, "note": "Cures a thing."}],
    "local_source": None,
    "hermetic": True,
    "locked": {"maven": {"org/x/a/1.0/a-1.0.jar": "7" * 64, "org/x/a/maven-metadata.xml": "8" * 64}},
    "built": 1_700_000_000.0,
    "seconds": 60.0,
}
PACKAGED: dict[str, Any] = {
    "run": "20260101-000000-abcd",
    "builder": "0.1.0",
    "image": IMAGE,
    "logs": {"package": "4" * 64},
    "stack": {"name": STACK, "version": "3.2.0", "epoch": 1},
    "packaging": "component file",
    "architecture": "noarch",
    "component": "own",
    "platform": "el8",
    "version": "1.0",
    "release": 1,
    "variant": "source",
    "options": {"hadoop": "bundled"},
    "variables": {"maven_opts": "-Xmx6g", "maven_properties": {"rat.skip": "false"}},
    "key": "p" * 64,
    "compile_key": "k" * 64,
    "ingredients": {"stack": STACK},
    "built": 1_700_000_060.0,
    "seconds": 10.0,
}
NEW = ("run", "builder", "image", "logs", "stack", "packaging", "architecture", "patches", "hermetic", "locked")
"""What manifests did not tell before."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """With one package and the staged tree that it is made of."""
    return fill(Store(tmp_path / "store").open(), COMPILED, PACKAGED)


def fill(store: Store, compiled: dict[str, Any], packaged: dict[str, Any]) -> Store:
    staged = store.root / "work" / "staged"
    staged.mkdir()
    store.commit("compile", packaged["compile_key"], staged, compiled)
    result = store.root / "work" / "result"
    rpm = write_rpm(result / "rpms", OWN)
    store.commit("package", packaged["key"], result, {**packaged, "rpms": {rpm.name: of_file(rpm)}})
    return store


Publish = Callable[..., Publication]


@pytest.fixture
def run(signer: Signer, store: Store, tmp_path: Path) -> Publish:
    def call(*specs: Spec, store: Store | None = store, **rules: Any) -> Publication:
        packages = [write_rpm(tmp_path / "in", spec) for spec in specs]
        return publish(packages, tmp_path / "root", STACK, Catalog().platform("el8"), signer, Rules(**rules), store)

    return call


def documents(publication: Publication) -> set[str]:
    return {path.name for path in (publication.folder / "provenance").iterdir()}


def said(publication: Publication) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((publication.folder / "provenance" / f"{OWN_FILE}.intoto.json").read_text())
    return data


def test_a_package_of_the_store_is_attested(run: Publish, store: Store) -> None:
    done = run(OWN)
    assert done.not_attested == ()
    assert documents(done) == {f"{OWN_FILE}{suffix}" for suffix in DOCUMENTS if suffix != ENVELOPE}
    statement = said(done)
    assert (statement["_type"], statement["predicateType"]) == (
        "https://in-toto.io/Statement/v1",
        "https://slsa.dev/provenance/v1",
    )
    (subject,) = statement["subject"]
    assert subject["name"] == OWN_FILE
    assert subject["digest"] == {"sha256": of_file(done.folder / "packages" / OWN_FILE)}
    (unsigned,) = store.packages("p" * 64)
    assert subject["annotations"]["unsignedSha256"] == of_file(unsigned)
    definition, details = statement["predicate"]["buildDefinition"], statement["predicate"]["runDetails"]
    assert definition["buildType"] == BUILD_TYPE
    assert definition["externalParameters"] == {
        "component": "own",
        "version": "1.0",
        "release": 1,
        "variant": "source",
        "options": {"hadoop": "bundled"},
        "variables": {"maven_opts": "-Xmx6g", "maven_properties": {"rat.skip": "false"}},
        "platform": "el8",
        "architecture": "noarch",
        "stack": {"name": STACK, "version": "3.2.0", "epoch": 1},
        "packaging": "component file",
    }
    inner = definition["internalParameters"]
    assert inner["package"]["key"] == "p" * 64
    assert (inner["compile"]["key"], inner["compile"]["finishedOn"]) == ("k" * 64, "2023-11-14T22:14:20Z")
    assert inner["notRecorded"] == []
    assert details["builder"]["version"] == {"bigtop-builder": "0.1.0"}
    assert details["metadata"] == {
        "invocationId": "20260101-000000-abcd",
        "startedOn": "2023-11-14T22:14:20Z",
        "finishedOn": "2023-11-14T22:14:30Z",
    }


def test_what_it_was_made_from_is_told_with_digests(run: Publish) -> None:
    done = run(OWN)
    predicate = said(done)["predicate"]
    dependencies = {one["name"]: one for one in predicate["buildDefinition"]["resolvedDependencies"]}
    assert dependencies["source main"] == {
        "name": "source main",
        "uri": "git+https://example.org/own.git@v1",
        "digest": {"sha256": "a" * 64, "gitCommit": "b" * 40},
        "downloadLocation": "https://example.org/own.git",
        "annotations": {"file": "own.tar", "from": "git https://example.org/own.git v1"},
    }
    assert dependencies["patch fix.patch"]["digest"] == {"sha256": "c" * 64}
    assert dependencies["patch fix.patch"]["annotations"] == {"note": "Cures a thing."}
    assert dependencies["image of the compile step"]["digest"] == {"sha256": "1" * 64}
    assert dependencies["image of the package step"]["annotations"]["base"] == "base:1"
    assert dependencies["staged tree of base"]["digest"] == {"bigtopBuilderKey": "d" * 64}
    byproducts = {one["name"]: one["digest"]["sha256"] for one in predicate["runDetails"]["byproducts"]}
    bill = f"{OWN_FILE}.cdx.json"
    assert byproducts == {
        bill: of_file(done.folder / "provenance" / bill),
        "compile/compile.log": "3" * 64,
        "package/package.log": "4" * 64,
    }


def test_an_own_source_that_was_fetched_is_named_by_its_address(run: Publish, tmp_path: Path) -> None:
    def main(compiled: dict[str, Any], name: str) -> dict[str, Any]:
        store = fill(Store(tmp_path / name).open(), compiled, PACKAGED)
        definition = said(run(OWN, store=store))["predicate"]["buildDefinition"]
        (source,) = (one for one in definition["resolvedDependencies"] if one["name"] == "source main")
        return dict(source)

    own = COMPILED | {"local_source": "/store/sources/sha256/aa", "ingredients": {"source:main": "a" * 64}}
    assert main(own, "fetched")["digest"]["gitCommit"] == "b" * 40


def test_locked_downloads_are_told_with_digests_and_package_urls(run: Publish) -> None:
    definition = said(run(OWN))["predicate"]["buildDefinition"]
    dependencies = {one["name"]: one for one in definition["resolvedDependencies"]}
    assert dependencies["maven org/x/a/1.0/a-1.0.jar"] == {
        "name": "maven org/x/a/1.0/a-1.0.jar",
        "uri": "pkg:maven/org.x/a@1.0?type=jar",
        "digest": {"sha256": "7" * 64},
    }
    assert dependencies["maven org/x/a/maven-metadata.xml"]["digest"] == {"sha256": "8" * 64}
    assert definition["internalParameters"]["compile"]["hermetic"] is True


def test_a_compile_with_a_network_is_not_called_hermetic(run: Publish, tmp_path: Path) -> None:
    compiled = {name: value for name, value in COMPILED.items() if name != "locked"} | {"hermetic": False}
    store = fill(Store(tmp_path / "other").open(), compiled, PACKAGED)
    inner = said(run(OWN, store=store))["predicate"]["buildDefinition"]["internalParameters"]
    assert inner["compile"]["hermetic"] is False
    assert inner["notRecorded"] == ["compile: what it downloaded or found in download caches, because it had no lock"]


def test_a_compile_that_was_finished_by_hand_is_labelled(run: Publish, tmp_path: Path) -> None:
    by_hand = {"run": "20260102-000000-abcd", "step": "compile", "failed": 1_700_000_000.0}
    store = fill(Store(tmp_path / "other").open(), COMPILED | {"hermetic": False, "by hand": by_hand}, PACKAGED)
    inner = said(run(OWN, store=store))["predicate"]["buildDefinition"]["internalParameters"]
    assert inner["compile"]["finishedByHand"] == {
        "failedStep": "compile",
        "failedRun": "20260102-000000-abcd",
        "failedOn": "2023-11-14T22:13:20Z",
    }
    assert inner["notRecorded"] == ["compile: what was done, and what was downloaded, by hand in a shell"]


def test_an_older_result_is_attested_as_far_as_it_is_known(run: Publish, tmp_path: Path) -> None:
    source = {"digest": "sha256:" + "a" * 64, "from": "Maven g:own:1"}
    compiled = {name: value for name, value in COMPILED.items() if name not in NEW} | {"sources": {"main": source}}
    packaged = {name: value for name, value in PACKAGED.items() if name not in NEW}
    old = fill(Store(tmp_path / "old").open(), compiled, packaged)
    definition = said(run(OWN, store=old))["predicate"]["buildDefinition"]
    missing = definition["internalParameters"]["notRecorded"]
    assert [text.partition(":")[0] for text in missing] == ["package", "compile", "compile"]
    assert "what it downloaded" in missing[-1]
    assert "hermetic" not in definition["internalParameters"]["compile"]
    assert definition["externalParameters"]["stack"] == {"name": STACK}
    names = {one["name"]: one["digest"] for one in definition["resolvedDependencies"]}
    assert names == {
        "source main": {"sha256": "a" * 64},
        "patch fix.patch": {"bigtopBuilderKey": "e" * 64},
        "staged tree of base": {"bigtopBuilderKey": "d" * 64},
    }


def test_a_staged_tree_that_has_gone_is_said_to_be_missing(run: Publish, store: Store) -> None:
    (store.folder("compile", "k" * 64) / "manifest.json").unlink()
    inner = said(run(OWN))["predicate"]["buildDefinition"]["internalParameters"]
    assert inner["compile"] == {"key": "k" * 64}
    assert "no longer in the store" in inner["notRecorded"][0]


def test_a_package_says_by_itself_how_its_staged_tree_was_made(run: Publish, store: Store) -> None:
    tree = store.folder("compile", "k" * 64) / "manifest.json"
    package = next(store.root.glob("package/*/manifest.json"))
    package.write_text(json.dumps({**json.loads(package.read_text()), "compiled": json.loads(tree.read_text())}))
    tree.unlink()
    definition = said(run(OWN))["predicate"]["buildDefinition"]
    assert definition["internalParameters"]["notRecorded"] == []
    assert "source main" in {one["name"] for one in definition["resolvedDependencies"]}


def test_a_package_made_elsewhere_has_an_sbom_alone(run: Publish) -> None:
    done = run(FOREIGN)
    assert done.not_attested == (FOREIGN_FILE,)
    assert documents(done) == {f"{FOREIGN_FILE}.cdx.json", f"{FOREIGN_FILE}.cdx.json.asc"}
    assert verify(str(done.folder)).problems == ()


def test_another_package_of_the_same_name_is_not_attested(run: Publish) -> None:
    done = run(Spec(name="own", files={"/opt/own": b"another"}))
    assert done.not_attested == (OWN_FILE,)


def test_documents_are_made_once(run: Publish, tmp_path: Path) -> None:
    first = run(OWN)
    before = {path.name: path.stat().st_ino for path in (first.folder / "provenance").iterdir()}
    assert not run(OWN).changed
    second = run(FOREIGN)
    after = {path.name: path.stat().st_ino for path in (second.folder / "provenance").iterdir()}
    assert {name: after[name] for name in before} == before
    assert len(after) == 6


def test_documents_go_with_their_package(run: Publish, tmp_path: Path) -> None:
    run(OWN)
    for number in range(2, 5):
        run(Spec(name="foreign", version=str(number), files={"/opt/foreign": b"x"}), only_these=True, keep_snapshots=2)
    assert not any(OWN_FILE in path.name for path in (tmp_path / "root" / ".provenance").iterdir())
    assert len(list((tmp_path / "root" / ".provenance").iterdir())) == 4


def test_a_repository_without_documents_gets_them_with_the_next_publication(run: Publish, tmp_path: Path) -> None:
    done = run(OWN)
    for folder in (tmp_path / "root" / ".provenance", done.folder / "provenance"):
        for path in folder.iterdir():
            path.unlink()
    assert verify(str(done.folder)).problems == ()
    again = run(FOREIGN)
    assert len(documents(again)) == 6
    assert verify(str(again.folder)).problems == ()


NEVRA = "own-0:1.0-1.el8.noarch"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("cdx.json", f"{OWN_FILE}.cdx.json: the signature does not match the content"),
        ("intoto.json", f"{OWN_FILE}.intoto.json: the signature does not match the content"),
    ],
)
def test_a_changed_document_is_found(run: Publish, name: str, found: str) -> None:
    done = run(OWN, FOREIGN)
    path = done.folder / "provenance" / f"{OWN_FILE}.{name}"
    path.write_text(path.read_text().replace("own", "OWN"))
    assert verify(str(done.folder)).problems == (Problem("provenance", NEVRA, found),)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("cdx.json", "it has no SBOM"),
        ("cdx.json.asc", f"{OWN_FILE}.cdx.json: not signed"),
        ("intoto.json", f"{OWN_FILE}.intoto.json, which the SBOM names, is missing"),
        ("intoto.json.asc", f"{OWN_FILE}.intoto.json: not signed"),
    ],
)
def test_a_lost_document_is_found(run: Publish, name: str, found: str) -> None:
    done = run(OWN, FOREIGN)
    (done.folder / "provenance" / f"{OWN_FILE}.{name}").unlink()
    assert verify(str(done.folder)).problems == (Problem("provenance", NEVRA, found),)


def test_documents_of_another_package_are_found(run: Publish, signer: Signer) -> None:
    done = run(OWN, FOREIGN)
    folder = done.folder / "provenance"
    for suffix in (".cdx.json", ".cdx.json.asc"):
        (folder / f"{OWN_FILE}{suffix}").write_bytes((folder / f"{FOREIGN_FILE}{suffix}").read_bytes())
    wrong = Problem("provenance", NEVRA, f"{OWN_FILE}.cdx.json describes another package")
    assert verify(str(done.folder)).problems == (wrong,)


@pytest.mark.parametrize("content", ["[]", "{}", "no json", '{"metadata": {"component": 1}}'])
def test_a_signed_document_of_another_shape_is_found(run: Publish, signer: Signer, content: str) -> None:
    done = run(OWN, FOREIGN)
    for name in ("cdx.json", "intoto.json"):
        path = done.folder / "provenance" / f"{OWN_FILE}.{name}"
        kept = path.read_bytes(), path.with_name(path.name + ".asc").read_bytes()
        path.write_text(content)
        path.with_name(path.name + ".asc").write_bytes(signer.sign_armored(content.encode()))
        (problem,) = verify(str(done.folder)).problems
        assert (problem.kind, problem.subject) == ("provenance", NEVRA)
        path.write_bytes(kept[0])
        path.with_name(path.name + ".asc").write_bytes(kept[1])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project beside the store and the repositories."""
    (tmp_path / "bigtop-builder.yaml").write_text(
        f"stack: {STACK}\nplatforms: [el8]\nstore: {tmp_path / 'store'}\nrepository: {tmp_path / 'root'}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("BIGTOP_BUILDER_STORE", raising=False)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run_cli(["provenance", *arguments, "--json"]) == 0
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    return data


def test_provenance_of_a_published_package(run: Publish, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = run(OWN, FOREIGN)
    for name in ("own", OWN_FILE, str(done.folder / "packages" / OWN_FILE)):
        data = answer(capsys, name, "--sbom")
        assert data["attested"] is True
        assert data["statement"] == said(done)
        assert data["sbom"]["metadata"]["component"]["name"] == "own"
    assert run_cli(["provenance", "own"]) == 0
    text = capsys.readouterr().out
    for part in ("own 1.0, release 1", "Cures a thing.", "git+https://example.org/own.git@v1", "20260101-000000-abcd"):
        assert part in text
    assert "yes, 2 locked downloads of maven" in text and "org/x/a" not in text
    assert "beside the package, signed" in text
    assert "0, and 0 more shaded" in text


def test_provenance_of_a_package_that_is_not_published(store: Store, place: Path, capsys: Any) -> None:
    path = write_rpm(place / "output", OWN)
    for name in (str(path), "own"):
        data = answer(capsys, name)
        assert data["attested"] is False
        assert data["statement"]["subject"][0]["digest"] == {"sha256": of_file(path)}


def test_provenance_of_a_foreign_package_fails_unless_its_contents_are_asked_for(
    store: Store, place: Path, capsys: Any
) -> None:
    path = str(write_rpm(place, FOREIGN))
    assert run_cli(["provenance", path]) == 7
    assert "the provenance of" in capsys.readouterr().err
    assert answer(capsys, path, "--sbom")["statement"] is None
    assert run_cli(["provenance", "ownn"]) == 3
    assert "own" in capsys.readouterr().err


def test_a_file_that_is_not_the_attested_one_is_refused(run: Publish, place: Path, capsys: Any) -> None:
    done = run(OWN)
    path = done.folder / "packages" / OWN_FILE
    path.unlink()
    write_rpm(path.parent, OWN)
    assert run_cli(["provenance", str(path)]) == 7
    assert "describes another file" in capsys.readouterr().err
