"""Compiled templates of earlier runs: used when they are what compiling would give, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2.sandbox import SandboxedEnvironment

from bigtop_builder.recipe.template_cache import CodeCache

TEXT = "Hello {{ name }}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cache = CodeCache(tmp_path / "templates", "settings")
    assert cache.get(TEXT) is None
    cache.put(TEXT, SandboxedEnvironment().compile(TEXT))
    cache.save()
    return tmp_path / "templates"


def test_a_later_run_finds_the_code(folder: Path) -> None:
    code = CodeCache(folder, "settings").get(TEXT)
    assert code is not None
    env = SandboxedEnvironment()
    assert env.template_class.from_code(env, code, {}).render(name="you") == "Hello you"


def test_another_text_or_other_settings_find_nothing(folder: Path) -> None:
    assert CodeCache(folder, "settings").get(TEXT + "!") is None
    assert CodeCache(folder, "other settings").get(TEXT) is None


@pytest.mark.parametrize("harm", ["cut", "changed", "writable for others"])
def test_a_file_that_cannot_be_trusted_is_not_used(folder: Path, harm: str) -> None:
    (file,) = folder.iterdir()
    content = file.read_bytes()
    if harm == "cut":
        file.write_bytes(content[:-1])
    elif harm == "changed":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        file.chmod(0o666)
    assert CodeCache(folder, "settings").get(TEXT) is None


def test_nothing_new_writes_nothing(folder: Path) -> None:
    (file,) = folder.iterdir()
    before = file.stat().st_ino
    cache = CodeCache(folder, "settings")
    cache.get(TEXT)
    cache.save()
    assert file.stat().st_ino == before


def test_without_a_store_nothing_is_made(tmp_path: Path) -> None:
    cache = CodeCache(tmp_path / "store" / "cache" / "templates", "settings")
    cache.put(TEXT, SandboxedEnvironment().compile(TEXT))
    cache.save()
    assert list(tmp_path.iterdir()) == []
