"""Where files that can be made again are kept: compiled kernels, tables of vocabularies, the demo model."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["default_cache_directory"]


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
