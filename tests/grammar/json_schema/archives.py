"""The data sets beside the repository, read without unpacking them."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

DATA = Path(__file__).parents[4] / "shared" / "data"


def archived(name: str) -> Iterator[tuple[str, str]]:
    """The (path, text) of the files of an archive; skips the test when it is not there."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the repository in shared/data")
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                yield member.name, file.read().decode()
