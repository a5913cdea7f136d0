"""Test beds without an engine: subnets, keys, processes, files, the fragment of an inventory, the shipped examples."""

from __future__ import annotations

import gzip
import os
import signal
import stat
import sys
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.adapter import background_process
from bigtop_builder.adapter.background_process import Process
from bigtop_builder.adapter.containers.testbed import POOL, free_subnets, routes
from bigtop_builder.adapter.repository.listing import revision_of
from bigtop_builder.adapter.ssh.access import keep_key
from bigtop_builder.adapter.store import Store
from bigtop_builder.cli import app
from bigtop_builder.flow.testbed.create import default_hosts
from bigtop_builder.flow.testbed.files import Files
from bigtop_builder.flow.testbed.repositories import ambari_packages, stack_repositories
from bigtop_builder.flow.testbed.testbed import testbed_document as document_of
from bigtop_builder.model.errors import ConfigurationError, NothingSelectedError
from bigtop_builder.model.testbed import AmbariPackages, ServedRepository, TestBed
from bigtop_builder.recipe.inventory import load_inventory
from bigtop_builder.recipe.settings import load_settings
from tests.rpmfile import Spec, write_rpm

INVENTORIES = Path(__file__).resolve().parents[2] / "inventories"
BED = TestBed(
    name="demo",
    subnet="10.241.0.0/24",
    hosts={"node1.demo.test": "10.241.0.11", "node2.demo.test": "10.241.0.12"},
    published=False,
    repositories=[ServedRepository(id="BIGTOP-3.2.0", url="http://10.241.0.2/stack", gpg_key="http://10.241.0.2/key")],
    ambari="http://10.241.0.1:8080",
)
PLACES = {name: (address, 22) for name, address in BED.hosts.items()}
SMALL = """
cluster: small
ambari: {url: "http://ambari.example.com:8080", password: env:NOT_SET}
groups:
  all: {hosts: ["node[1-2].demo.test"], components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]}
"""

subnets = st.builds(
    lambda address, prefix: IPv4Network((address, prefix), strict=False),
    st.one_of(
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**16 - 1).map(lambda low: int(POOL[0][0]) + low),
        st.integers(0, 2**16 - 1).map(lambda low: int(POOL[1][0]) + low),
    ),
    st.integers(8, 30),
)


@given(st.lists(subnets, max_size=8), st.integers(1, 500))
def test_a_subnet_clashes_with_nothing_and_has_room(taken: list[IPv4Network], hosts: int) -> None:
    for found in list(free_subnets(taken, hosts))[:3]:
        assert not any(found.overlaps(other) for other in taken)
        assert found.is_private
        assert found.num_addresses >= hosts + 16


def test_no_subnet_is_left() -> None:
    assert not list(free_subnets(POOL, 3))


def test_routes_of_this_machine(tmp_path: Path) -> None:
    table = tmp_path / "route"
    table.write_text(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "br0\t0000F10A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    )
    assert routes(table) == [IPv4Network("10.241.0.0/24")]
    assert routes(tmp_path / "none") == []


def test_keys_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "key"
    public = keep_key(path, "a comment")
    assert public.startswith("ssh-ed25519 AAAA")
    assert public.endswith(" a comment")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    load_ssh_private_key(path.read_bytes(), password=None)
    before = path.read_bytes()
    assert keep_key(path, "a comment") == public
    assert path.read_bytes() == before


def test_a_process_ends_and_no_other_of_its_number(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "import time; print('here', flush=True); time.sleep(600)"
    process = background_process.start([sys.executable, "-c", script], environment=os.environ, log=log)
    try:
        while log.stat().st_size == 0:
            pass
        assert log.read_text() == "here\n"
        assert os.getsid(process.pid) == process.pid
        other = Process(process.pid, str(int(process.started) - 1))
        assert not other.running
        other.end()
        assert process.running
    finally:
        process.end()
    assert not process.running
    assert not Process(process.pid, "").running


def test_a_process_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_process, "END_SECONDS", 0.3)
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(600)"
    )
    log = tmp_path / "log"
    process = background_process.start([sys.executable, "-c", script], environment=os.environ, log=log)
    while log.stat().st_size == 0:
        pass
    process.end()
    assert not process.running
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, signal.SIGCONT)


def _kept(tmp_path: Path, bed: TestBed, places: dict[str, tuple[str, int]]) -> Files:
    files = Files(Store(tmp_path / "store"), bed.name)
    files.public_key(bed.name)
    files.keep_password(simulated=bed.packages is None)
    files.keep_record(bed, places)
    return files


def test_the_fragment_leads_an_inventory_to_the_test_bed(tmp_path: Path) -> None:
    files = _kept(tmp_path, BED, PLACES)
    inventory = tmp_path / "small.yaml"
    inventory.write_text(SMALL)
    loaded = load_inventory(inventory, document_of(Store(tmp_path / "store"), "demo"))
    assert [(host.name, host.address, host.port) for host in loaded.hosts] == [
        ("node1.demo.test", "10.241.0.11", 22),
        ("node2.demo.test", "10.241.0.12", 22),
    ]
    found = loaded.inventory
    assert found.ssh.key == str(files.key)
    assert found.ssh.host_keys == "strict"
    assert found.ambari is not None
    assert found.ambari.url == "http://10.241.0.1:8080"
    assert found.ambari.password == f"file:{files.password}"
    assert found.ambari.setup is None
    assert [one.url for one in found.repositories] == ["http://10.241.0.2/stack"]


def test_an_inventory_may_have_fewer_hosts_than_the_test_bed(tmp_path: Path) -> None:
    _kept(tmp_path, BED, PLACES)
    inventory = tmp_path / "small.yaml"
    inventory.write_text(SMALL.replace("node[1-2]", "node2"))
    over = document_of(Store(tmp_path / "store"), "demo")
    assert [host.address for host in load_inventory(inventory, over).hosts] == ["10.241.0.12"]
    inventory.write_text(SMALL.replace("node[1-2]", "node2") + "hosts: {node1.demo.test: {rack: /a}}\n")
    with pytest.raises(ConfigurationError, match=r"node1\.demo\.test is in no group"):
        load_inventory(inventory, over)


def test_with_packages_the_deployer_sets_ambari_up(tmp_path: Path) -> None:
    packages = AmbariPackages(repository="http://10.241.0.2/ambari", gpg_check=False)
    _kept(tmp_path, BED.model_copy(update={"packages": packages, "ambari": "http://10.241.0.11:8080"}), PLACES)
    inventory = tmp_path / "small.yaml"
    inventory.write_text(SMALL)
    loaded = load_inventory(inventory, document_of(Store(tmp_path / "store"), "demo"))
    assert loaded.inventory.ambari is not None
    assert loaded.inventory.ambari.setup is not None
    assert loaded.inventory.ambari.setup.host == "node1.demo.test"
    assert loaded.inventory.ambari.setup.repository == "http://10.241.0.2/ambari"
    assert not loaded.inventory.ambari.setup.gpg_check


def test_known_hosts_name_the_port_that_leads_to_a_host(tmp_path: Path) -> None:
    files = _kept(tmp_path, BED, {"node1.demo.test": ("127.0.0.1", 32001), "node2.demo.test": ("127.0.0.1", 32002)})
    lines = files.known_hosts.read_text().splitlines()
    assert [line.split()[0] for line in lines] == [
        "node1.demo.test,[127.0.0.1]:32001",
        "node2.demo.test,[127.0.0.1]:32002",
    ]
    assert [" ".join(line.split()[1:]) for line in lines] == [files.host_key(host)[1] for host in BED.hosts]


def test_what_is_kept_is_for_the_owner_alone(tmp_path: Path) -> None:
    files = _kept(tmp_path, BED, PLACES)
    assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.folder.iterdir() if path.is_file()} == {0o600}
    assert files.state() == BED


def test_a_damaged_state_says_what_to_do(tmp_path: Path) -> None:
    files = _kept(tmp_path, BED, PLACES)
    (files.folder / "state.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"state\.json cannot be read"):
        files.state()


@pytest.mark.parametrize("name", ["", "Demo", "1st", "a_b", "a.b", "../x", "-a", "a-", "x" * 31])
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be the name of a test bed"):
        Files(Store(tmp_path), name)


def test_no_such_test_bed_names_the_near_one(tmp_path: Path) -> None:
    _kept(tmp_path, BED, PLACES)
    with pytest.raises(NothingSelectedError) as caught:
        document_of(Store(tmp_path / "store"), "dema")
    assert caught.value.hint == "Did you mean demo?"


def _settings(tmp_path: Path, *published: str):  # type: ignore[no-untyped-def]
    (tmp_path / "bigtop-builder.yaml").write_text("stack: bigtop-3.2.0\nplatforms: [el8, el9]\n")
    for place in published:
        (tmp_path / "repository" / place / "repodata").mkdir(parents=True)
        (tmp_path / "repository" / place / "RPM-GPG-KEY-x").touch()
    return load_settings(tmp_path, {}, {})


def test_repositories_of_the_project(tmp_path: Path) -> None:
    settings = _settings(tmp_path, "bigtop-3.2.0/el8", "bigtop-3.2.0/el9", "bigtop-3.2.0/el7")
    folders, found = stack_repositories(settings, None, "http://10.0.0.2")
    assert folders == {"stack": str(tmp_path / "repository")}
    assert [(one.id, one.url) for one in found] == [
        ("BIGTOP-3.2.0", "http://10.0.0.2/stack/bigtop-3.2.0/el8"),
        ("BIGTOP-3.2.0-el9", "http://10.0.0.2/stack/bigtop-3.2.0/el9"),
    ]
    assert found[0].gpg_key == found[0].url + "/RPM-GPG-KEY-x"


def test_a_repository_that_is_given(tmp_path: Path) -> None:
    settings = _settings(tmp_path, "bigtop-3.2.0/el8")
    assert stack_repositories(settings, "https://r.example.com/x", "http://10.0.0.2") == (
        {},
        [ServedRepository(id="BIGTOP-3.2.0", url="https://r.example.com/x")],
    )
    folder = tmp_path / "repository/bigtop-3.2.0/el8"
    folders, found = stack_repositories(settings, str(folder), "http://10.0.0.2")
    assert (folders, found[0].url) == ({"stack": str(folder)}, "http://10.0.0.2/stack")
    with pytest.raises(ConfigurationError, match="no repository in"):
        stack_repositories(settings, str(tmp_path), "http://10.0.0.2")


def test_nothing_is_published_yet(tmp_path: Path) -> None:
    assert stack_repositories(_settings(tmp_path), None, "http://10.0.0.2") == ({}, [])


def test_a_publication_is_mounted_with_its_root(tmp_path: Path) -> None:
    """The next publication replaces the link, which a mount follows only once."""
    settings, place = _settings(tmp_path), "bigtop-3.2.0/el8"
    snapshots = tmp_path / "public/.snapshots/bigtop-3.2.0-el8"
    (snapshots / "000001-a/repodata").mkdir(parents=True)
    published = tmp_path / "public" / place
    published.parent.mkdir()
    published.symlink_to("../.snapshots/bigtop-3.2.0-el8/000001-a")
    mounted = str(tmp_path / "public")
    folders, found = stack_repositories(settings, str(published), "http://10.0.0.2")
    assert (folders, found[0].url) == ({"stack": mounted}, f"http://10.0.0.2/stack/{place}")
    folders, packages = ambari_packages(str(published), "http://10.0.0.2", tmp_path / "scratch", print)
    assert (folders, packages.repository) == ({"ambari": mounted}, f"http://10.0.0.2/ambari/{place}")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.symlink_to(snapshots / "000001-a")
    folders, found = stack_repositories(settings, str(elsewhere), "http://10.0.0.2")
    assert (folders, found[0].url) == ({"stack": str(snapshots / "000001-a")}, "http://10.0.0.2/stack")


def test_a_folder_of_ambari_packages_becomes_a_repository(tmp_path: Path) -> None:
    rpms, done = tmp_path / "rpms", list[str]()
    rpms.mkdir()
    write_rpm(rpms, Spec(name="ambari-server"))
    with pytest.raises(ConfigurationError, match="no package ambari-agent"):
        ambari_packages(str(rpms), "http://10.0.0.2", tmp_path / "scratch", done.append)
    write_rpm(rpms, Spec(name="ambari-agent"))
    folders, packages = ambari_packages(str(rpms), "http://10.0.0.2", tmp_path / "scratch", done.append)
    assert folders == {"ambari": str(tmp_path / "scratch"), "ambari/packages": str(rpms)}
    assert packages == AmbariPackages(repository="http://10.0.0.2/ambari", gpg_check=False)
    assert (tmp_path / "scratch/repodata/repomd.xml").is_file()
    assert (tmp_path / "scratch/packages").is_dir()
    assert done == [f"wrote the metadata of 2 packages in {rpms}"]


def test_a_repository_that_is_served_is_only_changed_when_its_packages_are(tmp_path: Path) -> None:
    rpms, scratch, done = tmp_path / "rpms", tmp_path / "scratch", list[str]()
    for name in ("ambari-server", "ambari-agent"):
        write_rpm(rpms, Spec(name=name))

    def again() -> tuple[dict[str, tuple[int, bytes]], bytes]:
        ambari_packages(str(rpms), "http://10.0.0.2", scratch, done.append)
        served = {str(path): (path.stat().st_ino, path.read_bytes()) for path in scratch.rglob("*") if path.is_file()}
        primary = next((scratch / "repodata").glob("*-primary.xml.gz"))
        return served, gzip.decompress(primary.read_bytes())

    first, _ = again()
    mounted = [folder.stat().st_ino for folder in (scratch, scratch / "packages")]
    assert again()[0] == first and len(done) == 1
    write_rpm(rpms, Spec(name="ambari-agent", version="9.9"))
    second, primary = again()
    assert second != first and b"9.9" in primary and len(done) == 2
    names = {path.name for path in (scratch / "repodata").iterdir()}
    assert len(names) == 4 and all(name == "repomd.xml" or name.encode() in _repomd(scratch) for name in names)
    assert [folder.stat().st_ino for folder in (scratch, scratch / "packages")] == mounted
    assert {path.name for path in scratch.iterdir()} == {"packages", "repodata"}


def test_its_revision_increases_even_if_the_clock_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rpms, scratch, revisions = tmp_path / "rpms", tmp_path / "scratch", []
    for index, version in enumerate(("1.0", "1.1", "1.2")):
        for name in ("ambari-server", "ambari-agent"):
            write_rpm(rpms, Spec(name=name, version=version))
        monkeypatch.setattr("time.time", lambda index=index: 1_800_000_000 - index)
        ambari_packages(str(rpms), "http://10.0.0.2", scratch, lambda text: None)
        revisions.append(revision_of(scratch / "repodata/repomd.xml"))
    assert revisions == [1_800_000_000, 1_800_000_001, 1_800_000_002]


def _repomd(folder: Path) -> bytes:
    return (folder / "repodata/repomd.xml").read_bytes()


def test_hosts_by_number() -> None:
    assert default_hosts("x", 2) == ("node1.x.test", "node2.x.test")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hosts", "2", "--inventory", "x.yaml"], "--hosts and --inventory cannot be combined"),
        (["--inventory", "x.yaml"], "there is no inventory"),
        (["--hosts", "2", "--repository", "nowhere"], "is not a folder"),
        (["--hosts", "2", "--inject", "nowhere"], "is not a file"),
        (["--hosts", "2", "--inject", "x", "--ambari-packages", "http://x"], "--inject works only with"),
        (["--hosts", "2", "--name", "No"], "cannot be the name of a test bed"),
        (["--hosts", "0"], "Invalid value for '--hosts'"),
    ],
)
def test_mistakes_of_up_are_told_before_anything_is_made(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    code = app.run(["testbed", "up", "-C", str(tmp_path), "--store", str(tmp_path / "store"), *arguments])
    assert code == 2
    assert message in capfd.readouterr().err
    assert not (tmp_path / "store" / "testbeds").exists()


@pytest.mark.parametrize("path", sorted(INVENTORIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_inventories_are_sound(path: Path) -> None:
    loaded = load_inventory(path)
    assert loaded.hosts


def test_the_shipped_inventories_are_those_that_are_told_of() -> None:
    names = {path.stem for path in INVENTORIES.glob("*.yaml")}
    assert names >= {"one-host", "three-hosts", "ha-ten-hosts", "demo"}


def test_each_test_bed_has_a_password_of_its_own(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        files = Files(Store(tmp_path), name)
        files.keep_password(simulated=True)
        found.append(files.password.read_text())
        assert files.password.stat().st_mode & 0o777 == 0o600
        files.keep_password(simulated=True)
        assert files.password.read_text() == found[-1]
    assert found[0] != found[1]
    assert min(map(len, found)) > 20
    files.write(files.password.name, "admin\n")
    files.keep_password(simulated=True)
    assert files.password.read_text() not in ("admin\n", *found)
