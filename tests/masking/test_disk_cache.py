"""The disk cache, with everything that can be wrong with a folder."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import threading
import warnings
from collections.abc import Callable
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest

from tokamask.masking import disk_cache
from tokamask.masking.disk_cache import Arrays, DiskCache, default_cache_directory

TABLES: Arrays = {
    "nodes": np.arange(6000, dtype=np.int32).reshape(1500, 4),
    "rows": np.arange(100_003, dtype=np.uint32) * 7,
    "none": np.zeros((0, 4), dtype=np.int8),
    "flags": np.array([True, False, True]),
}


def build() -> Arrays:
    return TABLES


def never() -> Arrays:
    raise AssertionError("a kept entry was built again")


def check(arrays: Arrays, expected: Arrays = TABLES) -> None:
    assert dict.fromkeys(arrays) == dict.fromkeys(expected)
    for name, array in arrays.items():
        assert type(array) is np.ndarray
        assert array.dtype == expected[name].dtype
        assert array.shape == expected[name].shape
        assert np.array_equal(array, expected[name])
        assert array.flags.c_contiguous
        assert not array.flags.writeable


def keep(directory: Path) -> Path:
    """Puts an entry in a folder and returns where it is."""
    check(DiskCache(directory).load_or_build("key", build))
    return directory / "key"


def test_entry_is_built_once_and_then_read(tmp_path: Path) -> None:
    keep(tmp_path / "not" / "yet" / "there")
    check(DiskCache(tmp_path / "not" / "yet" / "there").load_or_build("key", never))
    assert [path.name for path in (tmp_path / "not" / "yet" / "there").iterdir()] == ["key"]


def test_keys_do_not_share_entries(tmp_path: Path) -> None:
    keep(tmp_path)
    other = {"nodes": np.array([1, 2], dtype=np.int64)}
    check(DiskCache(tmp_path).load_or_build("key.2", lambda: other), other)
    check(DiskCache(tmp_path).load_or_build("key", never))


def test_fortran_order_and_foreign_byte_order_are_straightened(tmp_path: Path) -> None:
    foreign = {"table": np.asfortranarray(np.arange(12, dtype=">i4").reshape(3, 4)), "slice": np.arange(20)[::2]}
    straight = {"table": np.arange(12, dtype=np.int32).reshape(3, 4), "slice": np.arange(0, 20, 2)}
    for _ in range(2):
        check(DiskCache(tmp_path).load_or_build("key", lambda: foreign), straight)


def truncate(entry: Path) -> None:
    path = entry / "rows.npy"
    path.write_bytes(path.read_bytes()[:-4096])


def spoil_magic(entry: Path) -> None:
    path = entry / "nodes.npy"
    path.write_bytes(b"\x00" + path.read_bytes()[1:])


def empty(entry: Path) -> None:
    (entry / "nodes.npy").write_bytes(b"")


def flip_one_bit(entry: Path) -> None:
    path = entry / "rows.npy"
    data = bytearray(path.read_bytes())
    data[200_000] ^= 1
    path.write_bytes(data)


def flip_the_last_bit(entry: Path) -> None:
    path = entry / "flags.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def swap_pages(entry: Path) -> None:
    path = entry / "rows.npy"
    data = path.read_bytes()
    head = data[: len(data) - 4 * 100_003]
    body = data[len(head) :]
    path.write_bytes(head + body[4096:8192] + body[:4096] + body[8192:])


def change_dtype(entry: Path) -> None:
    np.save(entry / "rows.npy", TABLES["rows"].view(np.float32))


def change_shape(entry: Path) -> None:
    np.save(entry / "nodes.npy", TABLES["nodes"].reshape(3000, 2))


def lose_an_array(entry: Path) -> None:
    (entry / "flags.npy").unlink()


class Bomb:
    """Makes a folder when it is unpickled; the test that looks for leftovers sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


def store_a_pickle(entry: Path) -> None:
    bomb = np.array([Bomb(entry.parent / "exploded")], dtype=object)
    for name in ("flags", "none"):
        np.save(entry / f"{name}.npy", bomb, allow_pickle=True)


def cut_the_manifest(entry: Path) -> None:
    path = entry / "manifest.json"
    path.write_bytes(path.read_bytes()[:-30])


def other_json(entry: Path) -> None:
    (entry / "manifest.json").write_text("[1]")


def climb_out(entry: Path) -> None:
    path = entry / "manifest.json"
    path.write_text(path.read_text().replace('"rows"', '"../rows"'))
    shutil.move(entry / "rows.npy", entry.parent / "rows.npy")


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        spoil_magic,
        empty,
        flip_one_bit,
        flip_the_last_bit,
        swap_pages,
        change_dtype,
        change_shape,
        lose_an_array,
        store_a_pickle,
        cut_the_manifest,
        other_json,
        climb_out,
    ],
)
def test_damaged_entry_is_noticed_and_replaced(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    damage(keep(tmp_path))
    with pytest.warns(RuntimeWarning, match="is damaged .*it is built anew") as caught:
        check(DiskCache(tmp_path).load_or_build("key", build))
    assert len(caught) == 1
    check(DiskCache(tmp_path).load_or_build("key", never))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "rows.npy") == ["key"]


def test_entry_of_another_layout_is_replaced_in_silence(tmp_path: Path) -> None:
    manifest = keep(tmp_path) / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"layout": disk_cache.LAYOUT + 1}))
    other = {"nodes": np.array([1, 2], dtype=np.int64)}
    check(DiskCache(tmp_path).load_or_build("key", lambda: other), other)
    check(DiskCache(tmp_path).load_or_build("key", never), other)


def test_file_in_place_of_the_entry_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("no entry")
    keep(tmp_path)
    check(DiskCache(tmp_path).load_or_build("key", never))
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def check_two_keys(cache: DiskCache) -> None:
    for key in ("first", "second"):
        check(cache.load_or_build(key, build))


def test_folder_that_cannot_be_written_costs_one_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):  # two folders, so two warnings
        with pytest.warns(RuntimeWarning, match=r"cannot keep its tables in .* Make that folder writable") as caught:
            check_two_keys(DiskCache(directory))
        assert len(caught) == 1
    assert (tmp_path / "file").read_text() == "no folder"


def test_read_only_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path)

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    check(DiskCache(tmp_path).load_or_build("key", never))
    with pytest.warns(RuntimeWarning, match="Permission denied"):
        check(DiskCache(tmp_path).load_or_build("new", build))
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full_disk)
    with pytest.warns(RuntimeWarning, match="No space left"):
        check(DiskCache(tmp_path).load_or_build("key", build))
    assert list(tmp_path.iterdir()) == []


def test_failed_build_is_passed_on_and_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> Arrays:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        DiskCache(tmp_path).load_or_build("key", fails)
    assert list(tmp_path.iterdir()) == []


def test_entry_that_appears_during_the_build_is_used(tmp_path: Path) -> None:
    other = {"nodes": np.array([1, 2], dtype=np.int64)}

    def overtaken() -> Arrays:
        keep(tmp_path)
        return other

    check(DiskCache(tmp_path).load_or_build("key", overtaken))
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("key", ["", ".hidden", "../up", "a/b", "a\\b", "a b", "é", "k" * 201, "key\n"])
def test_unsafe_keys_are_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="cannot name a cache entry"):
        DiskCache(tmp_path).load_or_build(key, build)
    with pytest.raises(ValueError, match="cannot name a cache entry"):
        DiskCache(tmp_path).load_or_build("key", lambda: {key: TABLES["rows"]})
    assert list(tmp_path.iterdir()) == []


def test_python_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="array 'bad' holds Python objects"):
        DiskCache(tmp_path).load_or_build("key", lambda: {"bad": np.array([{}], dtype=object)})


def race(directory: Path, barrier: Barrier, marker: int) -> None:
    """One of the processes: builds arrays of its own at the same time as the others and checks what it is given."""

    def build_together() -> Arrays:
        barrier.wait(60)
        return {"table": np.full(50_000, marker, dtype=np.int32)}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arrays = DiskCache(directory).load_or_build("key", build_together)
    assert len(set(arrays["table"].tolist())) == 1


def test_processes_that_start_together(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    processes = [context.Process(target=race, args=(tmp_path, barrier, marker)) for marker in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    winner = DiskCache(tmp_path).load_or_build("key", never)["table"]
    assert winner.shape == (50_000,)
    assert set(winner.tolist()) < {0, 1, 2}


def test_threads_that_find_a_damaged_entry_together(tmp_path: Path) -> None:
    truncate(keep(tmp_path))
    barrier = threading.Barrier(4)
    results: list[Arrays] = []

    def build_together() -> Arrays:
        barrier.wait(60)
        return TABLES

    def run_together() -> None:
        cache = DiskCache(tmp_path)
        run = partial(cache.load_or_build, "key", build_together)
        threads = [threading.Thread(target=lambda: results.append(run())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)

    with pytest.warns(RuntimeWarning, match="is damaged") as caught:
        run_together()
    assert len(caught) == 1
    assert len(results) == 4
    for arrays in results:
        check(arrays)
    check(DiskCache(tmp_path).load_or_build("key", never))
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "/home/ada/.cache/tokamask"),
        ("linux", {"XDG_CACHE_HOME": "/fast/caches"}, "/fast/caches/tokamask"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/ada/.cache/tokamask"),
        ("linux", {"XDG_CACHE_HOME": ""}, "/home/ada/.cache/tokamask"),
        ("darwin", {"XDG_CACHE_HOME": "/fast/caches"}, "/home/ada/Library/Caches/tokamask"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/tokamask/Cache"),
        ("win32", {}, "/home/ada/AppData/Local/tokamask/Cache"),
    ],
)
def test_default_directory_by_platform(
    monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], expected: str
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    assert default_cache_directory().as_posix() == expected


def test_without_directory_the_default_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_cache, "default_cache_directory", lambda: tmp_path)
    check(DiskCache().load_or_build("key", build))
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_without_home_tables_are_built_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(disk_cache, "default_cache_directory", homeless)
    with pytest.warns(RuntimeWarning, match="has no place for its cache") as caught:
        check_two_keys(DiskCache())
    assert len(caught) == 1
