"""Old folders of the user's cache: which go, which stay."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from tokamask.cache_directory import KEPT_FOLDERS, KEPT_SECONDS, mark_used, remove_unused
from tokamask.masking.disk_cache import Arrays, DiskCache


def folder(directory: Path, name: str, days: float) -> Path:
    """A folder with a file, last used so many days ago."""
    made = directory / name
    made.mkdir()
    (made / "data").write_bytes(b"1")
    when = time.time() - days * 24 * 3600
    os.utime(made, (when, when))
    return made


def test_the_oldest_go(tmp_path: Path) -> None:
    tables = [folder(tmp_path, f"pieces-{number}", 100 + number) for number in range(KEPT_FOLDERS + 3)]
    others = [folder(tmp_path, name, 900) for name in ("kernels-1", "models", "pieces", "my-pieces-1")]
    (tmp_path / "pieces-file").write_text("")
    assert sorted(remove_unused(tmp_path, "pieces")) == sorted(tables[KEPT_FOLDERS:])
    left = [*tables[:KEPT_FOLDERS], *others, tmp_path / "pieces-file"]
    assert sorted(tmp_path.iterdir()) == sorted(left)
    assert remove_unused(tmp_path, "pieces") == []


def test_what_was_used_lately_stays_however_many_there_are(tmp_path: Path) -> None:
    days = KEPT_SECONDS / 24 / 3600
    lately = [folder(tmp_path, f"pieces-{number}", days - 1) for number in range(2 * KEPT_FOLDERS)]
    old = folder(tmp_path, "pieces-old", days + 1)
    again = folder(tmp_path, "pieces-again", days + 1)
    mark_used(again)
    assert remove_unused(tmp_path, "pieces") == [old]
    assert sorted(tmp_path.iterdir()) == sorted([*lately, again])


def test_folders_that_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert remove_unused(tmp_path / "nowhere", "pieces") == []
    mark_used(tmp_path / "nowhere")
    tables = [folder(tmp_path, f"pieces-{number}", 100 + number) for number in range(KEPT_FOLDERS + 1)]

    def in_use(*_: object) -> None:
        raise PermissionError("used by another process")

    monkeypatch.setattr(Path, "rename", in_use)
    assert remove_unused(tmp_path, "pieces") == []
    assert sorted(tmp_path.iterdir()) == sorted(tables)


def test_a_new_entry_puts_old_ones_out_and_reading_keeps_them(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path)

    def build() -> Arrays:
        return {"rows": np.arange(10_000)}

    kept = cache.load_or_build("pieces-0", build)["rows"]
    for number in range(1, KEPT_FOLDERS + 2):
        cache.load_or_build(f"pieces-{number}", build)
    for number in range(KEPT_FOLDERS + 2):
        when = time.time() - 2 * KEPT_SECONDS - number
        os.utime(tmp_path / f"pieces-{number}", (when, when))
    oldest = f"pieces-{KEPT_FOLDERS + 1}"
    cache.load_or_build(oldest, build)
    cache.load_or_build("pieces-new", build)
    names = {path.name for path in tmp_path.iterdir()}
    assert len(names) == KEPT_FOLDERS
    assert {"pieces-new", oldest, "pieces-0"} <= names
    for number in range(KEPT_FOLDERS):
        cache.load_or_build(f"pieces-x{number}", build)
    assert not (tmp_path / "pieces-0").exists()
    assert kept.sum() == sum(range(10_000)), "a mapped file is still there for who has it"
