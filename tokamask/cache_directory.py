"""Where files that can be made again are kept: compiled kernels, tables of vocabularies, the demo model.

Each version of the kernels and each vocabulary has a folder of its own, named `kind-...`. Nobody else knows which of
them are of no more use, so whoever adds one removes those that have not been used for long.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["default_cache_directory", "mark_used", "remove_unused"]

KEPT_FOLDERS = 8
KEPT_SECONDS = 30 * 24 * 3600.0
"""The folders of a kind used last stay, and all that were used lately: a process may have mapped their files."""


def default_cache_directory() -> Path:
    """Where the platform keeps a user's caches: XDG Base Directory Specification, or the custom of macOS and Windows.

    Raises:
        RuntimeError: the user has no home directory.
    """
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "tokamask" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tokamask"
    configured = os.environ.get("XDG_CACHE_HOME", "")
    # The specification: a relative path there is to be ignored.
    return (Path(configured) if os.path.isabs(configured) else Path.home() / ".cache") / "tokamask"


def mark_used(folder: Path) -> None:
    """Note that a folder is in use; where it cannot be written to, nobody is going to remove it either."""
    with suppress(OSError):
        os.utime(folder)


def remove_unused(directory: Path, kind: str) -> list[Path]:
    """Remove the folders `kind-...` that nobody has used for long, and return what they were.

    Safe beside other processes: on POSIX systems files that a process has mapped stay readable for it, on Windows they
    cannot be removed; a folder that was needed after all is made again.
    """
    used: list[tuple[float, Path]] = []
    with suppress(OSError):  # no such directory
        for folder in directory.glob(f"{kind}-*"):
            with suppress(OSError):  # another process was faster
                if folder.is_dir() and not folder.is_symlink():
                    used.append((folder.stat().st_mtime, folder))
    used.sort(reverse=True)
    oldest = time.time() - KEPT_SECONDS
    removed = []
    for when, folder in used[KEPT_FOLDERS:]:
        if when < oldest:
            # Renamed first, so that nobody finds half of it.
            doomed = directory / f".{secrets.token_hex(8)}"
            with suppress(OSError):
                folder.rename(doomed)
                removed.append(folder)
                shutil.rmtree(doomed, ignore_errors=True)
    return removed
