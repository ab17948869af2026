"""The files of MaskBench, and the order in which they are measured."""

from __future__ import annotations

import hashlib
import json
import random
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.errors import CannotMeasure
from bench.maskbench.records import Instance, Trial
from tokamask.masking.vocabulary import Vocabulary

__all__ = ["DataFiles", "read_files", "stratified", "stratum", "trial"]

ARCHIVE = "maskbench.tar.xz"


@dataclass(frozen=True)
class DataFiles:
    """The files of one sample of the benchmark: name -> text, of the layout that `trial` reads."""

    texts: Mapping[str, str]

    @cached_property
    def digest(self) -> str:
        """Eight digits that differ when any name or text does."""
        digest = hashlib.sha256()
        for name, text in sorted(self.texts.items()):
            digest.update(f"{name}\0{text}\0".encode())
        return digest.hexdigest()[:8]


def read_files(source: Path) -> DataFiles:
    """The data files of an archive (tar, zip), of a folder that one was unpacked to, or of a folder that holds one.

    Every file `*.json` counts, in whatever folder, and is named by its name alone.

    Raises:
        CannotMeasure: there are none, two have one name, or one is of another layout.
    """
    texts: dict[str, str] = {}
    for path, content in _json_files(source):
        name = path.stem
        if name in texts:
            raise CannotMeasure(f"{str(source)!r} holds two files {name}.json; results are kept by the files' names")
        try:
            texts[name] = content.decode()
            _check_layout(json.loads(texts[name]))
        except ValueError as error:
            raise CannotMeasure(f"{path} in {str(source)!r} is no file of MaskBench: {error}") from error
    if not texts:
        raise CannotMeasure(f"{str(source)!r} holds neither {ARCHIVE} nor its files; say where they are with --data")
    return DataFiles(texts)


def _json_files(source: Path) -> Iterator[tuple[Path, bytes]]:
    """Path and content of all files `*.json`; hidden ones (macOS adds some to archives) are none."""
    if not source.is_dir():
        yield from _archived(source)
    elif (source / ARCHIVE).is_file():
        yield from _archived(source / ARCHIVE)
    elif paths := sorted(path for path in source.rglob("*.json") if _is_data(path)):
        yield from ((path, path.read_bytes()) for path in paths)
    else:
        archives = [path for path in sorted(source.iterdir()) if _is_archive(path)]
        if len(archives) > 1:
            named = ", ".join(path.name for path in archives)
            raise CannotMeasure(f"{str(source)!r} holds several archives ({named}); name one of them with --data")
        for archive in archives:
            yield from _archived(archive)


def _archived(archive: Path) -> Iterator[tuple[Path, bytes]]:
    if not _is_archive(archive):
        raise CannotMeasure(f"{str(archive)!r} is neither a folder nor an archive; say where the files are with --data")
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for name in opened.namelist():
                if _is_data(path := Path(name)):
                    yield path, opened.read(name)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None and _is_data(path := Path(member.name)):
                yield path, file.read()


def _is_archive(path: Path) -> bool:
    return path.is_file() and (tarfile.is_tarfile(path) or zipfile.is_zipfile(path))


def _is_data(path: Path) -> bool:
    return path.suffix == ".json" and not path.name.startswith(".")


def _check_layout(file: Any) -> None:
    """Raises ValueError unless it is {"schema": ..., "tests": [{"valid": true or false, "data": ...}, ...]}."""
    if not isinstance(file, dict) or "schema" not in file or not isinstance(file.get("tests"), list):
        raise ValueError('it is not {"schema": ..., "tests": [...]}')
    for number, case in enumerate(file["tests"]):
        if not isinstance(case, dict) or not isinstance(case.get("valid"), bool) or "data" not in case:
            raise ValueError(f'its test {number} is not {{"valid": true or false, "data": ...}}')


def stratum(name: str) -> str:
    """The collection that a file comes from: Github_easy---o10.json, BFCL_java_0.json."""
    collection, dashes, _ = name.partition("---")
    return collection if dashes else name.partition("_")[0]


def stratified(names: Iterable[str], seed: int) -> list[str]:
    """The files in an order of which every beginning has its fair share of each collection."""
    collections: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        collections[stratum(name)].append(name)
    rng = random.Random(seed)
    places = []
    for members in collections.values():
        rng.shuffle(members)
        # Evenly spaced over [0, 1), from a random beginning.
        offset = rng.random()
        places += [((at + offset) / len(members), name) for at, name in enumerate(members)]
    return [name for _, name in sorted(places)]


def trial(name: str, text: str, vocabulary: Vocabulary) -> Trial:
    """A file as it is given to engines: the instances written and tokenised as MaskBench's Python runner does.

    Instances that the vocabulary cannot spell are left out (SmolLM2 lacks some bytes).
    """
    file = json.loads(text)
    instances = []
    for number, case in enumerate(file["tests"]):
        tokens = vocabulary.encode(json.dumps(case["data"], ensure_ascii=False).encode())
        if tokens:
            instances.append(Instance(number, case["valid"], tuple(tokens)))
    return Trial(name, json.dumps(file["schema"]), tuple(instances))
