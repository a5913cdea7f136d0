"""Sessions and images on a real engine."""

from __future__ import annotations

import dataclasses
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bigtop_builder.adapter.containers import engine
from bigtop_builder.adapter.containers.accounts import Account, build_account
from bigtop_builder.adapter.containers.container import Mount, Sandbox, Session, User, remove_orphans
from bigtop_builder.adapter.containers.image import SiteAccess, Workshop, ensure
from bigtop_builder.adapter.containers.image_recipe import ImageSpec, image_spec
from bigtop_builder.adapter.containers.image_record import ImageRecord
from bigtop_builder.adapter.containers.trial import try_container
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.store import Store, remove_tree
from bigtop_builder.adapter.tools.debian_mirror import debian_mirror
from bigtop_builder.adapter.tools.maven_central import central_in_pom
from bigtop_builder.adapter.tools.super_pom import super_pom
from bigtop_builder.model.errors import BuildError, EngineError, InterruptedRunError, LimitError
from bigtop_builder.recipe.catalog import Catalog
from tests.real.conftest import no_fetch

if TYPE_CHECKING:
    from docker import DockerClient

CATALOG = Catalog()
PLATFORM = CATALOG.platform("debian-bootstrap")
SECRET = "correct-horse-battery"


@pytest.fixture(scope="module")
def account(client: DockerClient) -> Account:
    return build_account(engine.facts(client))


@pytest.fixture(scope="module")
def user(account: Account) -> User:
    return account.user


@pytest.fixture(scope="module")
def shop(client: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    store = Store(tmp_path_factory.mktemp("store")).open()
    return Workshop(client, store, SiteAccess(debian_mirror()), no_fetch, "run", threading.Event())


@pytest.fixture(scope="module")
def package_image(shop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> ImageRecord:
    with LogWriter(tmp_path_factory.mktemp("log") / "log", 1 << 22) as log:
        return ensure(shop, image_spec(PLATFORM, "package", CATALOG.image_template), log)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogWriter]:
    with LogWriter(tmp_path / "log", 1 << 20) as writer:
        yield writer


@pytest.fixture
def box(package_image: ImageRecord, user: User, tmp_path: Path) -> Sandbox:
    return Sandbox(
        image=package_image.id,
        run="test-run",
        task=f"t@p/{tmp_path.name}",
        store=tmp_path,
        user=user,
        lifetime=120,
    )


def run(client: DockerClient, box: Sandbox, script: str, log: LogWriter) -> tuple[int, str]:
    with Session(client, box) as session:
        code = session.call(script, log=log, timeout=60, cancelled=threading.Event(), cwd="/")
    return code, log.path.read_text()


def containers(client: DockerClient, box: Sandbox) -> list[str]:
    found = client.api.containers(all=True, filters={"label": [f"org.bigtop-builder.store={box.store}"]})
    return [container["Id"] for container in found]


def test_what_a_build_may_do(client: DockerClient, box: Sandbox, log: LogWriter) -> None:
    script = """
        id -un; id -u
        grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status | tr -d '\\t'
        echo "networks: $(ls /sys/class/net | tr '\\n' ' ')"
        ls /var/run/docker.sock 2>&1 || true
        echo "home: $HOME"
        touch /usr/bin/x 2>&1 || true
    """
    code, text = run(client, box, script, log)
    assert code == 0
    assert text.startswith(f"builder\n{box.user.uid}\n")
    assert "CapBnd:0000000000000000\nNoNewPrivs:1" in text or "CapEff:0000000000000000" in text
    assert "networks: lo \n" in text
    assert "docker.sock': No such file" in text
    assert "home: /work/home\n" in text
    assert "cannot touch '/usr/bin/x': Permission denied" in text
    assert containers(client, box) == []


def test_mounts_environment_and_exit_code(client: DockerClient, box: Sandbox, log: LogWriter, tmp_path: Path) -> None:
    work, files = tmp_path / "work", tmp_path / "files"
    work.mkdir()
    files.mkdir()
    work.chmod(0o777)
    (files / "a").write_text("from outside\n")
    box = dataclasses.replace(
        box, mounts=[Mount(work, "/work", read_only=False), Mount(files, "/files")], environment={"ANSWER": "42"}
    )
    script = "cat /files/a; echo $ANSWER > made; (echo x > /files/b) || exit 7"
    with Session(client, box) as session:
        code = session.call(script, log=log, timeout=60, cancelled=threading.Event())
    assert code == 7
    assert (work / "made").read_text() == "42\n"
    assert not (files / "b").exists()
    assert "from outside" in log.path.read_text()


def test_a_build_has_its_folders_while_it_runs_and_nothing_of_the_shared_caches(
    client: DockerClient, account: Account, box: Sandbox, log: LogWriter, tmp_path: Path
) -> None:
    work, shared = tmp_path / "work", tmp_path / "shared.jar"
    (work / "inner").mkdir(parents=True)
    (work / "inner" / "mine").write_text("before\n")
    account.give(work)
    shared.write_text("shared\n")
    shared.chmod(0o644)
    os.link(shared, work / "linked.jar")
    box = dataclasses.replace(box, mounts=[Mount(work, "/work", read_only=False)])
    script = """
        chmod 0600 inner/mine; echo after >> inner/mine; ln -s /etc/passwd link
        mkdir closed; touch closed/x; chmod 0500 closed
        if chmod u+w linked.jar 2>/dev/null; then echo spoilt > linked.jar; exit 7; fi
        if (echo spoilt > linked.jar) 2>/dev/null; then exit 8; fi
        cp -p linked.jar copy.jar; echo mine > copy.jar
    """
    with Session(client, box) as session:
        code = session.call(script, log=log, timeout=60, cancelled=threading.Event())
        assert account.apart == ((work / "link").lstat().st_uid != os.geteuid())
    if account.apart:
        assert code == 0
        assert shared.read_text() == "shared\n"
    if account.user.lent:
        assert {path.lstat().st_uid for path in (work, *work.iterdir())} == {os.geteuid()}
    assert (work / "inner" / "mine").read_text() == "before\nafter\n"
    remove_tree(work)
    assert not work.exists()
    assert shared.stat().st_uid == os.geteuid()


def test_a_callers_own_id_has_a_name(client: DockerClient, box: Sandbox, log: LogWriter) -> None:
    box = dataclasses.replace(box, user=User(4242, 4343, listed=False))
    code, text = run(client, box, "id -un; id -gn; getent passwd 4242", log)
    assert code == 0
    assert text == "builder\nbuilder\nbuilder:x:4242:4343:builder:/work/home:/bin/bash\n"


def test_time_limit(client: DockerClient, box: Sandbox, log: LogWriter) -> None:
    with Session(client, box) as session, pytest.raises(LimitError, match="time limit of 1 s"):
        session.call("echo before; sleep 100", log=log, timeout=1, cancelled=threading.Event(), cwd="/")
    assert "before\n==> stopped" in log.path.read_text()
    assert containers(client, box) == []


def test_interrupt(client: DockerClient, box: Sandbox, log: LogWriter) -> None:
    cancelled = threading.Event()
    timer = threading.Timer(1, cancelled.set)
    with Session(client, box) as session:
        timer.start()
        with pytest.raises(InterruptedRunError):
            session.call("sleep 100", log=log, timeout=60, cancelled=cancelled, cwd="/")
    timer.join()
    assert containers(client, box) == []


def test_out_of_memory_is_said(
    client: DockerClient, account: Account, box: Sandbox, log: LogWriter, tmp_path: Path
) -> None:
    if not try_container(client, account, tmp_path).memory_limited:
        pytest.skip("this engine does not limit memory; doctor says so")
    box = dataclasses.replace(box, memory=64 << 20)
    with Session(client, box) as session:
        code = session.call("tail /dev/zero", log=log, timeout=60, cancelled=threading.Event(), cwd="/")
        assert session.out_of_memory
    assert code != 0
    assert "out of memory: a process was killed at the container's memory limit of 0.1 GiB" in log.path.read_text()


def test_a_container_removed_from_outside(client: DockerClient, box: Sandbox, log: LogWriter) -> None:
    def remove() -> None:
        for container in containers(client, box):
            client.api.remove_container(container, force=True)

    timer = threading.Timer(1, remove)
    with Session(client, box) as session:
        timer.start()
        with pytest.raises(EngineError):
            session.call("sleep 100", log=log, timeout=60, cancelled=threading.Event(), cwd="/")
    timer.join()


def test_orphans_of_dead_runs_alone_are_removed(client: DockerClient, box: Sandbox, log: LogWriter) -> None:
    dead = Session(client, dataclasses.replace(box, run="dead"))
    dead.__enter__()
    with Session(client, dataclasses.replace(box, run="live")) as live:
        assert remove_orphans(client, box.store, lambda run: run == "live") == [box.task]
        assert live.call("true", log=log, timeout=60, cancelled=threading.Event(), cwd="/") == 0
    assert containers(client, box) == []


def test_no_secret_in_any_layer(shop: Workshop, package_image: ImageRecord, log: LogWriter, tmp_path: Path) -> None:
    """Proxy passwords and the site's certificates are there while an image is made, and nowhere afterwards."""
    certificates = tmp_path / "ca.pem"
    certificates.write_text("-----BEGIN CERTIFICATE-----\nsite-certificate-mark\n")
    proxy = f"http://someone:{SECRET}@127.0.0.1:9"
    site = SiteAccess("https://mirror.invalid/debian", {"http": proxy, "https": proxy, "no_proxy": "x"}, certificates)
    recipe = (
        "ARG BASE\nFROM ${BASE} AS made\nLABEL org.bigtop-builder.stage=certificates\nCOPY ca.pem /run/site-ca.pem\n"
        'RUN grep -q site-certificate-mark /run/site-ca.pem && test -n "$https_proxy$HTTP_PROXY" && echo it > /made\n'
        "RUN chown 1000:1000 /made; rm /run/site-ca.pem\nFROM scratch\nCOPY --from=made / /\n"
    )
    spec = ImageSpec(
        "toolchain", PLATFORM, recipe, recipe, parent=image_spec(PLATFORM, "package", CATALOG.image_template)
    )
    record = ensure(dataclasses.replace(shop, site=site), spec, log)
    image = shop.client.images.get(record.id)
    described = str(image.history()) + str(image.attrs)
    saved = b"".join(image.save())
    assert SECRET not in described
    assert SECRET.encode() not in saved
    assert b"site-certificate-mark" not in saved
    assert SECRET not in log.path.read_text()
    assert file_in(saved, "made").uid == 1000
    assert shop.client.images.list(all=True, filters={"label": "org.bigtop-builder.stage=certificates"}) == []
    shop.client.images.remove(record.tag, force=True)


def file_in(image: bytes, name: str) -> tarfile.TarInfo:
    """A file of the layers of a saved image."""
    with tarfile.open(fileobj=io.BytesIO(image)) as outer:
        for member in outer:
            stream = outer.extractfile(member) if member.isfile() else None
            data = stream.read() if stream else b""
            if data[257:262] == b"ustar":
                with tarfile.open(fileobj=io.BytesIO(data)) as layer:
                    for entry in layer:
                        if entry.name.removeprefix("./") == name:
                            return entry
    raise AssertionError(f"no {name} in the image")


def test_an_image_that_cannot_be_made(shop: Workshop, package_image: ImageRecord, log: LogWriter) -> None:
    recipe = "ARG BASE\nFROM ${BASE}\nRUN echo a reason; exit 3\n"
    spec = ImageSpec(
        "toolchain", PLATFORM, recipe, recipe, parent=image_spec(PLATFORM, "package", CATALOG.image_template)
    )
    with pytest.raises(BuildError, match=r"making the image .* failed"):
        ensure(shop, spec, log)
    assert "a reason" in log.path.read_text()


def test_tasks_side_by_side_make_an_image_once(shop: Workshop, package_image: ImageRecord, tmp_path: Path) -> None:
    recipe = f"ARG BASE\nFROM ${{BASE}}\nRUN echo {tmp_path.name} > /made\n"
    spec = ImageSpec(
        "toolchain", PLATFORM, recipe, recipe, parent=image_spec(PLATFORM, "package", CATALOG.image_template)
    )
    records: list[ImageRecord] = []

    def work(number: int) -> None:
        with LogWriter(tmp_path / f"log{number}", 1 << 20) as log:
            records.append(ensure(shop, spec, log))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(records) == 3
    assert len(set(records)) == 1
    made = [number for number in range(3) if "making the image" in (tmp_path / f"log{number}").read_text()]
    assert len(made) == 1
    shop.client.images.remove(records[0].tag, force=True)


def test_an_image_without_its_record_gets_the_same_fingerprint(
    shop: Workshop, package_image: ImageRecord, log: LogWriter, tmp_path: Path
) -> None:
    other = dataclasses.replace(shop, store=Store(tmp_path / "other").open())
    again = ensure(other, image_spec(PLATFORM, "package", CATALOG.image_template), log)
    assert again.fingerprint == package_image.fingerprint


SPEC = """
Name: trial
Version: 1
Release: 1
Summary: trial
License: ASL 2.0
BuildArch: noarch
Requires: chkconfig, coreutils, initscripts, which, /usr/sbin/useradd, /usr/sbin/groupadd, /sbin/service
Requires: /lib/lsb/init-functions, /usr/bin/env, /bin/bash, python
%description
trial
%install
mkdir -p %{buildroot}/etc/rc.d/init.d %{buildroot}/usr/share/trial
cat > %{buildroot}/etc/rc.d/init.d/trial <<'END'
#!/bin/bash
# chkconfig: 345 85 15
. /lib/lsb/init-functions
case "$1" in status) echo trial is running ;; *) exit 1 ;; esac
END
chmod 755 %{buildroot}/etc/rc.d/init.d/trial
%pre
getent group trial >/dev/null || groupadd -r trial
getent passwd trial >/dev/null || useradd -r -g trial -d /usr/share/trial -s /sbin/nologin trial
%post
alternatives --install /etc/trial trial-conf /usr/share/trial 30
chkconfig --add trial
%preun
chkconfig --del trial
alternatives --remove trial-conf /usr/share/trial
%files
/etc/rc.d/init.d/trial
/usr/share/trial
"""


def test_a_host_installs_packages_as_one_of_red_hats_family_does(
    shop: Workshop, client: DockerClient, box: Sandbox, log: LogWriter, tmp_path: Path
) -> None:
    host = ensure(shop, image_spec(PLATFORM, "host", CATALOG.image_template), log)
    work = tmp_path / "work"
    work.mkdir()
    work.chmod(0o777)
    (work / "trial.spec").write_text(SPEC)
    box = dataclasses.replace(box, mounts=[Mount(work, "/work", read_only=False)])
    with Session(client, box) as session:
        build = ["rpmbuild", "-bb", "--define", "_topdir /work/rpm", "--define", "_rpmdir /work", "/work/trial.spec"]
        code = session.call(build, log=log, timeout=60, cancelled=threading.Event())
    assert code == 0, log.path.read_text()
    script = """
        set -e
        yum --assumeyes --quiet install /work/noarch/trial-1-1.noarch.rpm
        rpm --query trial; readlink /etc/trial /etc/alternatives/trial-conf
        ls /etc/rc.d/rc3.d/S85trial /etc/rc.d/rc1.d/K15trial
        chkconfig trial && echo on; chkconfig --level 345 trial off; chkconfig trial || echo off
        service trial status; /sbin/service trial status
        . /etc/os-release; echo $ID $VERSION_ID
        /usr/lib/jvm/java/bin/java -version 2>&1 | head -n 1
        dnf --assumeyes --quiet remove trial
        test ! -e /etc/trial; ls /etc/rc.d/rc3.d
    """
    volumes = {str(work): {"bind": "/work", "mode": "ro"}}
    said = client.containers.run(
        host.id, ["bash", "-c", script], remove=True, network_mode="none", volumes=volumes, stderr=True
    ).decode()
    expected = ["trial-1-1.noarch", "/etc/alternatives/trial-conf", "/usr/share/trial", "/etc/rc.d/rc1.d/K15trial"]
    expected += ["/etc/rc.d/rc3.d/S85trial", "on", "off", "trial is running", "trial is running", "rocky 8.10"]
    assert [line for line in said.splitlines() if line in expected] == expected
    assert 'openjdk version "1.8' in said


def test_the_address_of_maven_central_without_a_maven_here(
    shop: Workshop, package_image: ImageRecord, user: User, log: LogWriter
) -> None:
    pom = super_pom(shop, package_image, user, log)
    assert central_in_pom(pom).startswith("https://")
    assert super_pom(dataclasses.replace(shop, run="none"), package_image, user, log) == pom
