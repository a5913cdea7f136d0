"""A small tree in Bigtop's layout, with specs and build scripts of its own, built to the end in containers."""

from __future__ import annotations

import json
import re
import tarfile
import time
from pathlib import Path

import pytest
import yaml

from bigtop_builder.adapter.rpm.header import read_header
from bigtop_builder.model.digest import of_file
from tests.real.conftest import SmallProject

BOM = """\
bigtop {
  version = "3.5.1"
  base_version = version
  stack {
    'jdk' { version = "1.8"; version_base = version }
    'scala' { version = '2.12.13'; version_base = version }
  }
  apache {
    APACHE_MIRROR = "https://mirror.example.org/apache"
    APACHE_ARCHIVE = "https://archive.example.org/dist"
  }
  dependencies = [ rig:['sail'] ]
  components {
    'rig' {
      name = 'rig'
      rpm_pkg_suffix = "_" + bigtop.base_version.replace(".", "_")
      version { base = '1.0'; pkg = base; release = 2 }
      tarball { source = "rig-${version.base}.tar.gz"; destination = source }
      url { site = "${apache.APACHE_ARCHIVE}/rig"; archive = site }
    }
    'sail' {
      name = 'sail'
      rpm_pkg_suffix = "_" + bigtop.base_version.replace(".", "_")
      version { base = '0.9'; pkg = base; release = 1 }
      tarball { destination = "sail-${version.base}.tar.gz" }
    }
  }
}
"""

RIG_SPEC = """\
%define rig_name rig
Name: rig%{pkg_name_suffix}
Version: %{rig_version}
Release: %{rig_release}
Summary: Ropes and spars
License: ASL 2.0
BuildArch: noarch
Buildroot: %{_topdir}/INSTALL/%{name}-%{version}
BuildRequires: nothing-that-there-is
Source0: rig-%{rig_base_version}.tar.gz
Source1: do-component-build
Source2: rig.service
#BIGTOP_PATCH_FILES

%description
Ropes and spars.

%package server
Summary: The service of rig
Requires: %{name} = %{version}-%{release}

%description server
The service.

%prep
%setup -n rig-%{rig_base_version}
#BIGTOP_PATCH_COMMANDS

%build
bash %{SOURCE1} %{parent_dir}

%install
%__rm -rf $RPM_BUILD_ROOT
install -d $RPM_BUILD_ROOT/%{parent_dir}/usr/lib/rig $RPM_BUILD_ROOT/var/lib/rig
cp rope.txt versions.txt rig.jar $RPM_BUILD_ROOT/%{parent_dir}/usr/lib/rig/
chmod 0700 $RPM_BUILD_ROOT/var/lib/rig
install -D -m 0644 %{SOURCE2} $RPM_BUILD_ROOT/%{_unitdir}/rig.service

%pre
getent group rig >/dev/null || groupadd -r rig
getent passwd rig >/dev/null || useradd -r -g rig -s /sbin/nologin rig

%post server
%systemd_post rig.service

%files
%defattr(-,root,root)
%doc README
%{parent_dir}/usr/lib/rig
%attr(-,rig,rig) /var/lib/rig

%files server
%{_unitdir}/rig.service
"""

RIG_BUILD = """\
#!/bin/bash
set -ex
. `dirname $0`/bigtop.bom
test "$PWD" = "$(cd $(dirname $0)/../BUILD/*/rig-$RIG_VERSION && pwd)"
echo "rig $RIG_VERSION, sail $SAIL_VERSION, below $1" > versions.txt
mkdir classes && date > classes/made && (cd classes && "$JAVA_HOME/bin/jar" cf ../rig.jar made)
there=$HOME/.m2/repository/org/example/rig/$RIG_VERSION
mkdir -p $there
cp rig.jar $there/rig-$RIG_VERSION.jar
echo "rig-$RIG_VERSION.jar>=" > $there/_remote.repositories
"""

SAIL_SPEC = """\
Name: sail%{pkg_name_suffix}
Version: %{sail_version}
Release: %{sail_release}
Summary: Canvas
License: ASL 2.0
BuildArch: noarch
Source0: do-component-build

%description
Canvas.

%prep
%setup -q -T -c

%build
bash %{SOURCE0}

%install
install -D -m 0644 rig.jar $RPM_BUILD_ROOT%{parent_dir}/usr/lib/sail/rig.jar

%files
%{parent_dir}/usr/lib/sail
"""

SAIL_BUILD = """\
set -e
. `dirname $0`/bigtop.bom
cp ~/.m2/repository/org/example/rig/$RIG_VERSION/rig-$RIG_VERSION.jar rig.jar
"""

PATCH = """\
--- a/rope.txt
+++ b/rope.txt
@@ -1 +1 @@
-hemp
+{0}
"""


class Harbour(SmallProject):
    """A project that packages with the small tree."""

    def lay(self, mark: int) -> None:
        """Write tree, source and project file; ``mark`` makes the keys new."""
        for path, text in {
            "tree/bigtop.bom": BOM,
            "tree/packages.gradle": "",
            "tree/LICENSE": "A licence.\n",
            "tree/bigtop-packages/src/rpm/rig/SPECS/rig.spec": RIG_SPEC,
            "tree/bigtop-packages/src/common/rig/do-component-build": RIG_BUILD + f"# {mark}\n",
            "tree/bigtop-packages/src/common/rig/rig.service": "[Service]\nExecStart=/bin/true\n",
            "tree/bigtop-packages/src/common/rig/patch0-wire.diff": PATCH.format("wire"),
            "tree/bigtop-packages/src/rpm/sail/SPECS/sail.spec": SAIL_SPEC,
            "tree/bigtop-packages/src/common/sail/do-component-build": SAIL_BUILD,
            "unpacked/parent-1.0/rope.txt": "hemp\n",
            "unpacked/parent-1.0/README": "Read.\n",
        }.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text)
        source = self.root / "tree" / "release.tar"
        with tarfile.open(source, "w") as tar:
            tar.add(self.root / "unpacked" / "parent-1.0", "parent-1.0")
        elsewhere = {"file": "release.tar", "sha256": of_file(source)}
        data = {
            "platforms": ["el8"],
            "packaging": {"bigtop": "tree"},
            "sources": {"rig": {"alternatives": [elsewhere]}},
        }
        (self.root / "bigtop-builder.yaml").write_text(yaml.safe_dump(data))

    def rpm(self, name: str, platform: str = "el8") -> Path:
        return self.root / "output" / platform / name

    def steps(self) -> list[str]:
        """The steps that the newest run of this project took."""
        events = max((self.tool.store / "runs").iterdir()) / "events.jsonl"
        found = [json.loads(line) for line in events.read_text().splitlines()]
        return [one["step"] for one in found if one["event"] == "step_finished"]


@pytest.fixture
def harbour(tmp_path: Path, shared_store: Path) -> Harbour:
    made = Harbour(tmp_path, shared_store)
    made.lay(time.time_ns())
    return made


def test_a_tree_in_bigtops_layout_is_built_to_the_end(harbour: Harbour) -> None:
    harbour.tool("build", "--all")
    main, server, sail = (
        read_header(harbour.rpm(name))
        for name in (
            "rig_3_5_1-1.0-2.el8.noarch.rpm",
            "rig_3_5_1-server-1.0-2.el8.noarch.rpm",
            "sail_3_5_1-0.9-1.el8.noarch.rpm",
        )
    )
    files = {file.path: file for file in main.files}
    lib = "/usr/bigtop/3.5.1/usr/lib/rig"
    assert {lib, f"{lib}/rope.txt", f"{lib}/versions.txt", "/usr/share/doc/rig_3_5_1-1.0/README"} <= set(files)
    assert (files["/var/lib/rig"].owner, files["/var/lib/rig"].mode_text) == ("rig", "drwx------")
    assert (files[f"{lib}/rope.txt"].owner, files[f"{lib}/rope.txt"].mode_text) == ("root", "-rw-r--r--")
    assert not [need for need in main.requires if need.startswith(("user(", "group(", "rpmlib(ShortCircuited"))]
    assert "systemctl" in server.scripts["post"].text and "/usr/lib/systemd/system/rig.service" in {
        file.path for file in server.files
    }
    mine = next(file.digest for file in sail.files if file.path.endswith("rig.jar"))
    theirs = next(file.digest for file in main.files if file.path.endswith("rig.jar"))
    assert mine == theirs
    assert not (harbour.tool.store / "cache" / "maven" / "shared" / "org" / "example" / "rig").exists()

    assert "reused" in harbour.tool("build", "--all").stderr
    harbour.tool("build", "rig", "sail", "--platform", "el9")
    assert set(harbour.steps()) <= {"package", "check", "image", "prepare", "keep"}
    assert harbour.rpm("rig_3_5_1-1.0-2.el9.noarch.rpm", "el9").is_file()

    more = harbour.root / "tree/bigtop-packages/src/common/rig/patch1-chain.diff"
    more.write_text(PATCH.format("chain").replace("-hemp", "-wire"))
    plan = harbour.tool.json("plan", "--all")
    reasons = {task["task"]: task["reasons"] for task in plan["tasks"] if task["action"] == "build"}
    assert reasons["rig@debian-bootstrap/compile"] == ["patch patch1-chain added"]
    assert reasons["sail@debian-bootstrap/compile"] == ["dependency rig rebuilt"]


def test_two_builds_of_one_key_give_the_same_bytes(harbour: Harbour) -> None:
    harbour.tool("build", "rig")
    first = harbour.rpm("rig_3_5_1-1.0-2.el8.noarch.rpm").read_bytes()
    time.sleep(1.1)
    done = harbour.tool("build", "rig", "--force")
    assert "not reproducible" not in done.stderr
    assert harbour.rpm("rig_3_5_1-1.0-2.el8.noarch.rpm").read_bytes() == first


def test_without_suffix_and_parent_folder_packages_are_plain(harbour: Harbour) -> None:
    file = harbour.root / "bigtop-builder.yaml"
    data = yaml.safe_load(file.read_text())
    data["packaging"] |= {"suffix": False, "parent_dir": None, "stamp": "7.nightly"}
    file.write_text(yaml.safe_dump(data))
    harbour.tool("build", "rig")
    header = read_header(harbour.rpm("rig-1.0-7.nightly.el8.noarch.rpm"))
    assert "/usr/lib/rig/rope.txt" in {one.path for one in header.files}


def test_a_patch_that_does_not_apply_fails_that_component_and_blocks_what_comes_after(harbour: Harbour) -> None:
    wrong = harbour.root / "tree/bigtop-packages/src/common/rig/patch0-wire.diff"
    wrong.write_text(PATCH.format("wire").replace("-hemp", "-silk"))
    done = harbour.tool("build", "--all", code=10)
    assert "rig" in done.stderr and "rope.txt" in done.stderr
    summary = harbour.tool.json("build", "--all", code=10)
    assert "blocked" in json.dumps(summary)
    assert not harbour.rpm("sail_3_5_1-0.9-1.el8.noarch.rpm").exists()


def test_a_build_of_bigtop_that_was_finished_by_hand_is_packaged(harbour: Harbour) -> None:
    script = harbour.root / "tree/bigtop-packages/src/common/rig/do-component-build"
    script.write_text(RIG_BUILD + f"no-such-tool {time.time_ns()}\n")
    assert "a tool is missing in the builder image: no-such-tool" in harbour.tool("build", "rig", code=10).stderr
    harbour.tool("build", "rig", "--from-shell", code=10)
    mend = "sed -i /no-such-tool/d /work/build/rig/rpm/SOURCES/do-component-build; bash /work/compile.sh"
    harbour.tool("shell", "rig", "--", "bash", "-c", mend)
    for _ in range(2):
        (rig,) = harbour.tool.json("build", "rig", "--from-shell")["components"]
        assert rig["state"] == "done" and any("by hand" in note for note in rig["notes"])
    header = read_header(harbour.rpm("rig_3_5_1-1.0-2.el8.noarch.rpm"))
    assert "/usr/bigtop/3.5.1/usr/lib/rig/rig.jar" in {one.path for one in header.files}
    assert (
        "finished in a shell" in harbour.tool("provenance", str(harbour.rpm("rig_3_5_1-1.0-2.el8.noarch.rpm"))).stdout
    )


def test_import_tells_what_the_packages_are_and_writes_a_component_file_that_renders(harbour: Harbour) -> None:
    told = harbour.tool("import", "bigtop:tree", "rig", "--write", "overlay").stdout
    assert "rig_3_5_1-server 1.0-2.el8 noarch: The service of rig" in told
    assert "  file     /usr/lib/systemd/system/rig.service" in told
    file = harbour.root / "bigtop-builder.yaml"
    file.write_text(yaml.safe_dump({"overlays": ["overlay"]}))
    plan = harbour.tool.json("plan", "rig", "--packaging", "own")
    assert [task["task"] for task in plan["tasks"]] == ["rig@debian-bootstrap/compile", "rig@el8/package"]


def test_import_compares_with_our_component_and_says_by_its_exit_code_what_nobody_explains(harbour: Harbour) -> None:
    harbour.component("rig", "")
    file = harbour.root / "overlay/components/rig/component.yaml"
    data = yaml.safe_load(file.read_text())
    project = yaml.safe_load((harbour.root / "bigtop-builder.yaml").read_text())
    (harbour.root / "bigtop-builder.yaml").write_text(yaml.safe_dump({**project, "overlays": ["overlay"]}))
    found = harbour.tool.json("import", "bigtop:tree", "rig", code=7)
    kinds = {(one["package"], one["kind"], one["path"]) for one in found}
    assert ("rig_3_5_1-server", "package", "") in kinds
    assert ("rig_3_5_1", "scripts", "") in kinds
    assert ("rig_3_5_1", "file", "/var/lib/rig") in kinds
    assert not [path for _, kind, path in kinds if kind == "file" and path.startswith("/usr/bigtop/3.5.1/usr/lib/rig")]
    data["differs_from_bigtop"] = [{"reason": "It is small.", "covers": [{}]}]
    file.write_text(yaml.safe_dump(data))
    assert "0 of them not explained" in harbour.tool("import", "bigtop:tree", "rig").stdout


ROOT_IS_A_LINK = "rm -rf $RPM_BUILD_ROOT; ln -s @VICTIM@ $RPM_BUILD_ROOT"
DEEP = 'cd $RPM_BUILD_ROOT; perl -e \'for (1..1500) { mkdir "d" or die; chdir "d" or die }\''


@pytest.mark.parametrize(
    ("last_lines", "message"),
    [
        (ROOT_IS_A_LINK, "installed nothing|rpmbuild exited"),
        ("rm -rf ~/.m2/repository; ln -s @VICTIM@ ~/.m2/repository", "m2/repository"),
        ("rm -rf ~/.m2; ln -s @VICTIM@ ~/.m2", r"home/\.m2"),
        ("mkfifo $RPM_BUILD_ROOT/pipe", "neither a file, a folder nor a link"),
        (DEEP, "nested folders too deeply"),
    ],
    ids=["root", "repository", "maven", "pipe", "deep"],
)
def test_nothing_of_the_host_is_taken_for_what_was_installed(
    harbour: Harbour, tmp_path: Path, last_lines: str, message: str
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "_remote.repositories").write_text("secret>=\n")
    (victim / "secret").write_text("of the host")
    (victim / "secret").chmod(0o600)
    before = [(path.name, path.stat().st_mode, path.stat().st_mtime_ns) for path in (victim, *victim.iterdir())]
    spec = harbour.root / "tree/bigtop-packages/src/rpm/rig/SPECS/rig.spec"
    # The shell that runs %install ends with what is put in front of the next section.
    hostile = f"{last_lines.replace('@VICTIM@', str(victim))}\nexit 0\n\n%pre\n"
    spec.write_text(spec.read_text().replace("\n%pre\n", f"\n{hostile}", 1))
    failed = harbour.tool("build", "rig", code=10)
    assert re.search(message, failed.stderr)
    assert [(path.name, path.stat().st_mode, path.stat().st_mtime_ns) for path in (victim, *victim.iterdir())] == before
