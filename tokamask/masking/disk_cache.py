"""Arrays that cost time to build, kept on disk between runs and shared between processes by mapping the files.

An entry is a folder named by its key, with one .npy file per array and a manifest that says what they must be. Arrays
and JSON only, never pickles: a cache folder can hold wrong data but no code.

An entry is written into a folder of another name and renamed into place when complete, so two processes that start
together both write, one of them wins, and neither sees half an entry. Every load verifies every array: its type, shape
and file size, and one sum per 4 KiB page. The sums are a single pass over memory and notice a changed word and a lost,
zeroed or misplaced page. (An adversary could replace the manifest as well.) Since an entry that a crash kept from
reaching the disk whole is noticed too, nothing waits for fsync.

Entries whose keys begin alike up to the first `-` are of a kind; adding one removes those that were not used for long.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tokamask.cache_directory import default_cache_directory, mark_used, remove_unused

__all__ = ["Arrays", "DiskCache", "default_cache_directory"]

Arrays = Mapping[str, npt.NDArray[Any]]

LAYOUT = 1
"""Version of the manifest; entries of another version are rebuilt."""
MANIFEST = "manifest.json"
SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
PAGE = 4096

_warned: set[Path | None] = set()
_warned_lock = threading.Lock()


class DiskCache:
    """A folder of entries; None: `default_cache_directory()`.

    Any number of threads and processes may use one folder. A folder that cannot be used costs one warning per process
    and the time to build, never the result.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        self._directory = None if directory is None else Path(directory)

    def load_or_build(self, key: str, build: Callable[[], Arrays]) -> Arrays:
        """The arrays of `key`: mapped from disk, or else built and kept.

        Args:
            key: names what the arrays are made from and the version of how; at most 200 letters, digits and `_.-`.
            build: makes the arrays, by names that are safe as file names. What it raises is passed on.

        Returns:
            C-contiguous arrays that cannot be written to, wherever they come from.

        Raises:
            ValueError: the key or a name of an array is no safe file name.
            TypeError: an array holds Python objects.
        """
        _check_name(key)
        try:
            entry = (self._directory or default_cache_directory()) / key
        except RuntimeError as problem:
            _warn_once(None, f"tokamask has no place for its cache ({problem}); it builds its tables anew each time")
            return _in_memory(build())
        try:
            stored = _read(entry)
        except Exception as problem:  # whatever is wrong with an entry, building it anew puts it right
            _warn_once(entry.parent, f"tokamask's cache entry {str(entry)!r} is damaged ({problem}); it is built anew")
            stored = None
        if stored is not None:
            mark_used(entry)
            return stored
        arrays = _in_memory(build())
        try:
            _write(entry, arrays)
            remove_unused(entry.parent, key.partition("-")[0])
            return _read(entry) or arrays
        except Exception as problem:  # a full disk, a read-only folder, a file in its place
            _warn_once(
                entry.parent,
                f"tokamask cannot keep its tables in {str(entry.parent)!r} ({problem}); it builds them in each process "
                "anew. Make that folder writable, or choose another as cache directory",
            )
            return arrays


def _in_memory(arrays: Arrays) -> Arrays:
    """The arrays as they would come from disk: contiguous, of native byte order, not to be written to."""
    frozen = {}
    for name, given in arrays.items():
        _check_name(name)
        if given.dtype.hasobject:
            raise TypeError(f"array {name!r} holds Python objects (dtype {given.dtype}); only plain data can be kept")
        array = np.asarray(given, dtype=given.dtype.newbyteorder("="), order="C").view()
        array.flags.writeable = False
        frozen[name] = array
    return frozen


def _read(entry: Path) -> Arrays | None:
    """The verified arrays of an entry; None when there is none, or one of another layout. Raises whatever is wrong."""
    try:
        manifest = json.loads((entry / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    if manifest["layout"] != LAYOUT:
        return None
    arrays = {}
    for name, expected in manifest["arrays"].items():
        _check_name(name)
        path = entry / f"{name}.npy"
        # An array without elements has no bytes to map.
        array = np.asarray(np.load(path, mmap_mode=None if 0 in expected["shape"] else "r", allow_pickle=False))
        array.flags.writeable = False
        found = _description(array, path)
        if wrong := [field for field in found if found[field] != expected[field]]:
            raise ValueError(f"{path.name} has another {wrong[0]} than when it was written")
        arrays[name] = array
    return arrays


def _write(entry: Path, arrays: Arrays) -> None:
    """Puts an entry in its place, unless a sound one is there by then. Raises OSError where that is not possible."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    # Of one folder's file system, so that renaming is atomic, and of a name that no key has.
    complete, displaced = (entry.parent / f".{secrets.token_hex(8)}" for _ in range(2))
    try:
        complete.mkdir()
        described = {}
        for name, array in arrays.items():
            path = complete / f"{name}.npy"
            np.save(path, array, allow_pickle=False)
            described[name] = _description(array, path)
        manifest = json.dumps({"layout": LAYOUT, "arrays": described}, indent=1)
        (complete / MANIFEST).write_text(manifest, encoding="utf-8")
        _put_in_place(complete, entry, displaced)
    finally:
        for leftover in (complete, displaced):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def _put_in_place(complete: Path, entry: Path, displaced: Path) -> None:
    """Renames a folder to `entry`, unless a sound entry is there; what else is there becomes `displaced`."""
    try:
        complete.rename(entry)
    except OSError:
        if _is_sound(entry):  # another process was faster
            return
        with suppress(FileNotFoundError):  # another process displaced it
            entry.rename(displaced)
        try:
            complete.rename(entry)
        except OSError:
            if not _is_sound(entry):
                raise


def _is_sound(entry: Path) -> bool:
    try:
        return _read(entry) is not None
    except Exception:
        return False


def _description(array: npt.NDArray[Any], path: Path) -> dict[str, object]:
    """What the manifest says about an array and its file."""
    data = array.reshape(-1).view(np.uint8)
    whole = len(data) // PAGE * PAGE
    page_sums = data[:whole].view(np.uint64).reshape(-1, PAGE // 8).sum(axis=1, dtype=np.uint64)
    digest = hashlib.blake2b(page_sums.tobytes(), digest_size=16)
    digest.update(data[whole:].tobytes())
    return {
        "file size": path.stat().st_size,
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "checksum": digest.hexdigest(),
    }


def _check_name(name: str) -> None:
    if not SAFE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a cache entry; use 1 to 200 letters, digits, '_', '-' and '.'")


def _warn_once(directory: Path | None, message: str) -> None:
    """Warns about a folder, unless this process has done so before."""
    with _warned_lock:
        if directory in _warned:
            return
        _warned.add(directory)
    warnings.warn(message, RuntimeWarning, stacklevel=3)
