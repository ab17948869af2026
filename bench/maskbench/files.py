"""The files of MaskBench, and the order in which they are measured."""

from __future__ import annotations

import json
import random
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.errors import CannotMeasure
from bench.maskbench.records import Instance, Trial
from tokamask.masking.vocabulary import Vocabulary

__all__ = ["read_files", "stratified", "stratum", "trial"]

ARCHIVE = "maskbench.tar.xz"


def read_files(directory: Path) -> dict[str, str]:
    """Name -> text of the data files: of the archive in a folder, or of a folder that it was unpacked to.

    Raises:
        CannotMeasure: neither is there.
    """
    archive = directory / ARCHIVE
    if archive.is_file():
        texts = {}
        with tarfile.open(archive) as opened:
            for member in opened:
                file = opened.extractfile(member)
                if file is not None and member.name.endswith(".json"):
                    texts[Path(member.name).stem] = file.read().decode()
        return texts
    paths = sorted(directory.glob("*.json"))
    if not paths:
        raise CannotMeasure(f"{str(directory)!r} holds neither {ARCHIVE} nor its files; say where they are with --data")
    return {path.stem: path.read_text(encoding="utf-8") for path in paths}


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
    file: Mapping[str, object] = json.loads(text)
    cases = file["tests"]
    assert isinstance(cases, list)
    instances = []
    for number, case in enumerate(cases):
        tokens = vocabulary.encode(json.dumps(case["data"], ensure_ascii=False).encode())
        if tokens:
            instances.append(Instance(number, case["valid"], tuple(tokens)))
    return Trial(name, json.dumps(file["schema"]), tuple(instances))
