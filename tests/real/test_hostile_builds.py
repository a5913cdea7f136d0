"""Builds that reach for what is not their own: they fail, they can be cleared away, and the host stays as it is."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from bigtop_builder.adapter.rpm.header import read_header
from tests.real.conftest import SmallProject

COPY = 'cp hello.txt "$STAGE/"\n'
DEEP = 'cd "$STAGE"; cp /work/src/hello.txt .; perl -e \'for (1..%d) { mkdir "d" or die; chdir "d" or die }\'\n'


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of the host that only root may enter."""
    folder = tmp_path / "victim"
    (folder / "inner").mkdir(parents=True)
    for name in ("hello.txt", "manifest.json", "inner/evil.rpm"):
        (folder / name).write_text("of the host\n")
        (folder / name).chmod(0o600)
    folder.chmod(0o700)
    return folder


def state(folder: Path) -> list[tuple[str, int, int, int, bytes]]:
    found = []
    for path in sorted([folder, *folder.rglob("*")]):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found.append((str(path), status.st_mode, status.st_uid, status.st_mtime_ns, content))
    return found


HOSTILE = {
    "the stage is a link": (
        'rm -rf "$STAGE"; ln -s @VICTIM@ "$STAGE"',
        "a link to /.* at /work/stage",
    ),
    "the stage is a file": ('rmdir "$STAGE"; echo x > "$STAGE"', "a file in the place of the folder stage"),
    "the stage is a pipe": ('rmdir "$STAGE"; mkfifo "$STAGE"', "a special file in the place of the folder stage"),
    "the stage is gone": ('rmdir "$STAGE"', "removed the folder stage"),
    "the stage is empty": ("true", r"left nothing in \$STAGE"),
    "the result is a link": (f"{COPY} ln -s @VICTIM@ /work/result", "a link to /.* at /work/result"),
    "a result is planted": (f"{COPY} mkdir -p /work/result; echo {{}} > /work/result/manifest.json", "/work/result"),
    "a pipe": (f'{COPY} mkfifo "$STAGE/pipe"', "neither a file, a folder nor a link: stage/pipe"),
    "a setuid program": (f'{COPY} cp /bin/ls "$STAGE/ls"; chmod 4755 "$STAGE/ls"', "setuid .*: stage/ls"),
    "a setgid program": (f'{COPY} cp /bin/ls "$STAGE/ls"; chmod 2755 "$STAGE/ls"', "setgid .*: stage/ls"),
    "a line break in a name": (f"{COPY} echo > \"$STAGE/\"$'new\\nline'", r"control characters: stage/new\\nline"),
    "a name in no encoding": (f"{COPY} echo > \"$STAGE/\"$'bad\\xff'", r"not UTF-8: stage/bad"),
    "1,500 folders": (DEEP % 1500, "nested folders too deeply: stage/d/d"),
    "3,000 folders": (DEEP % 3000, "nested folders too deeply: stage/d/d"),
    "a sparse file": (f'{COPY} truncate -s 1T "$STAGE/sparse"', "stage/sparse does not fit"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_build_fails_and_is_cleared_away(fresh_like: SmallProject, victim: Path, kind: str) -> None:
    project = fresh_like
    script, message = HOSTILE[kind]
    before = state(victim)
    project.component("evil", script.replace("@VICTIM@", str(victim)) + "\n")
    failed = project.tool("build", "evil", code=10)
    assert len([line for line in failed.stderr.splitlines() if "evil@el8 failed in compile" in line]) == 1
    assert re.search(message, failed.stderr)
    assert state(victim) == before
    # What it left must not be in the way of the next build, nor of garbage collection.
    project.component("evil", COPY)
    project.tool("build", "evil")
    project.tool("gc", "--older-than", "0s")
    assert not list((project.tool.store / "failed").iterdir())
    assert not list((project.tool.store / "work").iterdir())
    assert state(victim) == before


def test_a_shell_mounts_what_was_recorded_where_no_build_can_write(small: SmallProject, victim: Path) -> None:
    before = state(victim)
    change = f"""
        cat > /work/home/.bashrc <<'END'
        for one in /work/*.json /work/../*.json; do
            sed -e 's#"mounts": \\[#"mounts": [["{victim}", "/hostdir", false], #' -e 's#"uid": [0-9]*#"uid": 0#' \\
                "$one" > /work/.x && mv -f /work/.x "$one"
        done
        END
        for name in shell container manifest; do
            echo '{{"mounts": [["{victim}", "/hostdir", false]], "user": {{"uid": 0}}}}' > /work/$name.json
        done
        exit 1
        """
    small.component("evil", change)
    small.tool("build", "evil", code=10)
    for _ in range(2):
        shown = small.tool("shell", "evil", "--", "bash", "-ic", "id -u; ls -d /hostdir || echo no folder of the host")
        assert "no folder of the host" in shown.stdout
        assert "0" not in shown.stdout.split()
    assert state(victim) == before


def test_a_build_that_fills_the_disk_is_stopped(small: SmallProject) -> None:
    small.write("bigtop-builder.yaml", "stack: small\nplatforms: [el8]\noverlays: [overlay]\nlimits: {disk: 100m}\n")
    small.component("large", "cd /tmp; for i in {1..300}; do head -c 1M /dev/zero > $i; done; sleep 100\n")
    failed = small.tool("build", "large", code=10)
    assert "wrote more than 0.1 GiB to the disk" in failed.stderr
    assert "limits.disk" in failed.stderr


def test_a_build_that_leaves_too_much_fails(small: SmallProject) -> None:
    limits = "limits: {result_files: 20, result_size: 10m}\n"
    small.write("bigtop-builder.yaml", f"stack: small\nplatforms: [el8]\noverlays: [overlay]\n{limits}")
    small.component("many", COPY + 'for i in {1..30}; do echo > "$STAGE/$i"; done\n')
    small.component("large", COPY + 'head -c 20M /dev/zero > "$STAGE/large"\n')
    assert "limits.result_files" in small.tool("build", "many", code=10).stderr
    assert "limits.result_size" in small.tool("build", "large", code=10).stderr


def test_nothing_but_the_own_folder_can_be_written(small: SmallProject) -> None:
    probe = (
        "for f in / /etc /usr /files /opt /root /run /var /home; do touch $f/probe && exit 3; done 2>/dev/null; true\n"
    )
    small.component("probing", f"{probe}touch /tmp/probe /var/tmp/probe /work/probe\nls /hostdir && exit 4\n{COPY}")
    small.tool("build", "probing")


def edit(small: SmallProject, name: str, **changes: object) -> None:
    path = small.root / "overlay" / "components" / name / "component.yaml"
    data = yaml.safe_load(path.read_text())
    data.update(changes)
    path.write_text(yaml.safe_dump(data, sort_keys=False))


def test_an_install_script_cannot_have_files_of_the_host_taken_for_packages(small: SmallProject, victim: Path) -> None:
    before = state(victim)
    small.component("evil", COPY)
    swap = f"""
        install -D "$STAGE/hello.txt" "$BUILDROOT/usr/bigtop/1.0/usr/lib/evil/hello.txt"
        rm -rf /work/rpm/RPMS && mkdir -p /work/rpm/RPMS && ln -s {victim}/inner /work/rpm/RPMS/noarch
        """
    edit(small, "evil", install=swap)
    failed = small.tool("build", "evil", code=10)
    assert "failed in package" in failed.stderr
    assert state(victim) == before


def test_scripts_of_a_package_cannot_change_the_package_that_is_kept(small: SmallProject) -> None:
    small.component("evil", COPY)
    write = "for f in /rpms/*/* /work/* /stage/*; do echo evil > $f; rm -rf $f; done; touch /work/x; true"
    path = small.root / "overlay" / "components" / "evil" / "component.yaml"
    packages = yaml.safe_load(path.read_text())["packages"]
    packages[0]["scripts"] = {"post": write, "pre": write}
    edit(small, "evil", packages=packages)
    built = small.tool.json("build", "evil")
    (artifact,) = built["components"][0]["packages"]
    kept = Path(artifact["path"])
    assert read_header(kept).name == "evil_1_0"
    assert (
        subprocess.run(["sha256sum", kept], capture_output=True, text=True, check=True).stdout.split()[0]
        == (artifact["sha256"])
    )


@pytest.mark.parametrize("mask", ["027", "077", "000"])
def test_every_umask_builds_the_same_packages(small: SmallProject, mask: str) -> None:
    small.component("masked", f'# {time.time_ns()}\nmkdir "$STAGE/folder"\n{COPY}')
    small.component("behind", COPY, depends="masked")
    command = " ".join(small.tool.argv("build", "masked", "behind"))
    done = subprocess.run(
        ["bash", "-c", f"umask {mask}; {command}"],
        cwd=small.root,
        env=small.tool.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    output = small.root / "output"
    for path in [output, *output.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)
    found = subprocess.run(
        ["find", small.tool.store, "-newer", small.root / "bigtop-builder.yaml", "-perm", "-002", "!", "-type", "l"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == ""
