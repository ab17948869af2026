"""Coverage and times on MaskBench: tokamask beside its peers, each in a process of its own, taking turns."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tqdm import tqdm

from bench.engines import ENGINES, checked_engines
from bench.errors import CannotMeasure
from bench.machine import load_average, machine, package_version
from bench.maskbench.engine_process import EngineProcess
from bench.maskbench.files import read_files, stratified, trial
from bench.maskbench.records import Status
from bench.maskbench.report import report
from bench.maskbench.results import Results, Run
from bench.vocabularies import VOCABULARIES, load_vocabulary

__all__ = ["CannotMeasure", "add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of maskbench.tar.xz")
    parser.add_argument("--engines", default="tokamask,llguidance", help=f"some of {','.join(ENGINES)}")
    parser.add_argument("--vocabulary", choices=sorted(VOCABULARIES), default="tekken")
    parser.add_argument("--sample", type=int, default=600, help="number of files, a fair share of each collection")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for one file; more is a time-out")
    parser.add_argument("--results", type=Path, help="JSON lines; a run that was interrupted goes on from them")
    parser.add_argument("--output", type=Path, help="write the tables to this file too")
    parser.add_argument("--wrong", action="store_true", help="list every file with a wrong answer")


def run(options: argparse.Namespace) -> None:
    """Measure what the results do not hold yet, then print the tables.

    Raises:
        CannotMeasure: data or a package is missing, or the results are of another run.
    """
    engines = checked_engines(options.engines)
    texts = read_files(options.data)
    files = stratified(texts, options.seed)[: options.sample]
    vocabulary = load_vocabulary(options.vocabulary).vocabulary
    path = options.results or Path("bench/results") / f"maskbench-{options.vocabulary}-{options.seed}.jsonl"
    versions = {ENGINES[engine].package: package_version(ENGINES[engine].package) for engine in engines}
    started = time.strftime("%Y-%m-%d %H:%M")
    load = load_average()
    about = Run(options.vocabulary, options.seed, options.limit, machine(), versions, started, (load,))
    results = Results(path, about)
    processes = {engine: EngineProcess(engine, options.vocabulary, options.limit) for engine in engines}
    try:
        for process in processes.values():
            process.start()
        for at, name in enumerate(tqdm(files, unit="file", disable=not sys.stderr.isatty())):
            missing = [engine for engine in engines if (engine, name) not in results.records]
            if missing:
                given = trial(name, texts[name], vocabulary)
                # Whoever goes first finds the caches of the processor warmer or colder: they take turns at that too.
                turn = at % len(missing)
                for engine in missing[turn:] + missing[:turn]:
                    results.add(processes[engine].run(given))
    finally:
        for process in processes.values():
            process.stop()
    text = report(results, engines, files)
    print(text)
    if options.wrong:
        _list_wrong(results, engines, files)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")


def _list_wrong(results: Results, engines: list[str], files: list[str]) -> None:
    for engine in engines:
        for record in results.of(engine, files):
            if record.status not in (Status.PASSING, Status.REFUSED):
                print(f"{engine}: {record.file}: {record.status} {record.reason[-300:]}")
