"""The files of a sample: any folder or archive of the layout, whatever its files are called."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bench.errors import CannotMeasure
from bench.maskbench.files import DataFiles, read_files, stratified

FILES: dict[str, Any] = {
    f"sample {at}": {"schema": {"const": at}, "tests": [{"valid": True, "data": at}, {"valid": False, "data": None}]}
    for at in range(5)
}
TEXTS = {name: json.dumps(file) for name, file in FILES.items()}


def unpacked(folder: Path) -> Path:
    for at, (name, text) in enumerate(TEXTS.items()):
        inner = folder / f"part{at % 2}"
        inner.mkdir(parents=True, exist_ok=True)
        (inner / f"{name}.json").write_text(text, encoding="utf-8")
    (folder / "part0" / "._sample 0.json").write_bytes(b"\x00\x05")  # as macOS leaves them
    (folder / "README.md").write_text("nothing to measure", encoding="utf-8")
    return folder


def tar(path: Path, mode: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as opened:
        for name, text in {**TEXTS, "._hidden": "\x00"}.items():
            member = tarfile.TarInfo(f"any/{name}.json")
            member.size = len(text)
            opened.addfile(member, io.BytesIO(text.encode()))
    return path


def zipped(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as opened:
        for name, text in TEXTS.items():
            opened.writestr(f"{name}.json", text)
    return path


def test_every_way_to_keep_them(tmp_path: Path) -> None:
    sources = [
        unpacked(tmp_path / "folder"),
        tar(tmp_path / "xz.tar.xz", "w:xz"),
        tar(tmp_path / "gz.tgz", "w:gz"),
        zipped(tmp_path / "one.zip"),
        tar(tmp_path / "known" / "maskbench.tar.xz", "w:xz").parent,
        zipped(tmp_path / "alone" / "another-sample.zip").parent,
    ]
    zipped(tmp_path / "known" / "of-something-else.zip")  # the known name goes first
    read = [read_files(source) for source in sources]
    assert all(one.texts == TEXTS for one in read)
    assert len({one.digest for one in read}) == 1
    assert sorted(stratified(read[0].texts, seed=3)) == sorted(TEXTS)


def test_digests_tell_samples_apart() -> None:
    samples = [TEXTS, {**TEXTS, "sample 0": TEXTS["sample 1"]}, {**TEXTS, "more": TEXTS["sample 1"]}]
    samples.append({"other" + name: text for name, text in TEXTS.items()})
    assert len({DataFiles(texts).digest for texts in samples}) == len(samples)
    assert DataFiles(dict(reversed(TEXTS.items()))).digest == DataFiles(TEXTS).digest


def test_what_is_wrong_with_a_source(tmp_path: Path) -> None:
    def refused(source: Path) -> str:
        with pytest.raises(CannotMeasure) as told:
            read_files(source)
        return str(told.value)

    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds neither maskbench.tar.xz nor its files" in refused(empty)
    assert "neither a folder nor an archive" in refused(tmp_path / "nowhere")
    (tmp_path / "text.tar.xz").write_text("no archive", encoding="utf-8")
    assert "neither a folder nor an archive" in refused(tmp_path / "text.tar.xz")

    several = tmp_path / "several"
    zipped(several / "one.zip")
    tar(several / "two.tar.gz", "w:gz")
    assert "several archives (one.zip, two.tar.gz); name one" in refused(several)

    twice = unpacked(tmp_path / "twice")
    (twice / "part1" / "sample 0.json").write_text(TEXTS["sample 0"], encoding="utf-8")
    assert "two files sample 0.json" in refused(twice)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting property name"),
        ("[]", 'it is not {"schema": ..., "tests": [...]}'),
        ('{"tests": []}', 'it is not {"schema": ..., "tests": [...]}'),
        ('{"schema": true, "tests": {}}', 'it is not {"schema": ..., "tests": [...]}'),
        ('{"schema": true, "tests": [{"valid": true, "data": 1}, {"valid": 1, "data": 1}]}', "its test 1 is not"),
        ('{"schema": true, "tests": [{"valid": true}]}', "its test 0 is not"),
    ],
)
def test_files_of_another_layout_are_named(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "wrong.json").write_text(text, encoding="utf-8")
    with pytest.raises(CannotMeasure) as told:
        read_files(tmp_path)
    assert f"{tmp_path / 'wrong.json'} in " in str(told.value)
    assert reason in str(told.value)
