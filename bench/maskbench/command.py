"""Real schemas and their instances, token by token: coverage, time to first mask, one mask, one document.

Results are kept while they are made: the same command goes on where it was interrupted, and shows the report at once
when nothing is left to do.
"""

from __future__ import annotations

import argparse
import random
import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from tqdm import tqdm

from bench.engines import ENGINES, checked_engines
from bench.machine import load_average, machine, package_version
from bench.markdown import publish
from bench.maskbench.engine_process import EngineProcess
from bench.maskbench.files import DataFiles, read_files, stratified, trial
from bench.maskbench.out_of_order import with_order_explained
from bench.maskbench.plots import write_plots
from bench.maskbench.records import Status
from bench.maskbench.report import on_common_files, report, wrong_answers
from bench.maskbench.results import Results, Run
from bench.vocabularies import VOCABULARIES, NamedVocabulary, load_vocabulary

__all__ = ["add_options", "run"]

CHECKOUT = Path(__file__).resolve().parents[2]


def add_options(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("--data", type=Path, default=CHECKOUT.parent / "shared" / "data", metavar="DIR", help="folder or archive")
    option("--engines", default="tokamask,llguidance", metavar="NAMES", help=f"some of {','.join(ENGINES)}")
    option("--vocabulary", choices=VOCABULARIES, default="tekken")
    option("--sample", type=_positive, default=600, metavar="N", help="how many files, stratified (default 600)")
    option("--seed", type=int, default=1, metavar="S", help="of the order of the files (default 1)")
    option("--limit", type=float, default=20.0, metavar="SECONDS", help="for one file and engine (default 20)")
    option("--memory", type=float, default=8.0, metavar="GIB", help="that one engine may allocate (default 8)")
    option("--output", type=Path, metavar="FILE", help="write the report there too")
    option("--plots", type=Path, metavar="DIR", help="draw the tails there, as SVG")
    option("--results", type=Path, metavar="FILE", help="where results are kept (default: below bench/results)")
    option("--restart", action="store_true", help="drop the results that are there")
    option("--wrong", action="store_true", help="list every instance that was not answered right")


def run(arguments: argparse.Namespace) -> None:
    """Measure what has not been measured, and print the report.

    Raises:
        CannotMeasure: data or a package is missing, or the results that are there are of another version.
    """
    engines = checked_engines(arguments.engines)
    data = read_files(arguments.data)
    order = stratified(data.texts, arguments.seed)[: arguments.sample]
    vocabulary = load_vocabulary(arguments.vocabulary)

    path = arguments.results or _default_results(arguments, data)
    if arguments.restart:
        path.unlink(missing_ok=True)
    results = Results(
        path,
        Run(
            data=f"{len(data.texts):,} files, digest {data.digest}",
            vocabulary=f"{vocabulary.name} ({vocabulary.vocabulary.size:,} tokens)",
            seed=arguments.seed,
            limit=arguments.limit,
            memory=arguments.memory,
            machine=machine(),
            versions={
                engine: f"{ENGINES[engine].package} {package_version(ENGINES[engine].package)}" for engine in engines
            },
            began=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            load=load_average(),
        ),
    )
    _measure_all(results, engines, order, data.texts, vocabulary, arguments)
    command = shlex.join(["python", "-m", "bench", *(sys.argv[1:] or ["maskbench"])])
    text = report(results, engines, order, len(data.texts), command)
    publish(text, arguments.output)
    if arguments.wrong:
        print("\n" + wrong_answers(results, engines, order), end="")
    if arguments.plots is not None:
        write_plots(arguments.plots, on_common_files({engine: results.of(engine, order) for engine in engines}))


def _measure_all(
    results: Results,
    engines: list[str],
    order: list[str],
    texts: Mapping[str, str],
    vocabulary: NamedVocabulary,
    arguments: argparse.Namespace,
) -> None:
    missing = [(file, [engine for engine in engines if not results.has(engine, file)]) for file in order]
    total = sum(len(turns) for _, turns in missing)
    if not total:
        return
    token_bytes = vocabulary.vocabulary.token_bytes

    def spell(tokens: tuple[int, ...]) -> bytes:
        return b"".join(token_bytes[token] or b"" for token in tokens)

    processes = {
        engine: EngineProcess(engine, vocabulary.name, arguments.limit, arguments.memory) for engine in engines
    }
    try:
        with tqdm(total=total, unit="file", smoothing=0.05) as bar:
            for engine, process in processes.items():  # one after the other: the first compiles what others load
                bar.set_description_str(f"starting {engine}")
                process.start()
            for file, turns in missing:
                given = trial(file, texts[file], vocabulary.vocabulary)
                # Whoever comes first finds other data in the CPU's caches than whoever comes last.
                random.Random(f"{arguments.seed} {file}").shuffle(turns)
                for engine in turns:
                    bar.set_description_str(f"{engine:<22}")
                    record = processes[engine].run(given)
                    if record.status is Status.VALID_REJECTED:
                        record = with_order_explained(record, given, spell)
                    results.add(record)
                    bar.update()
    finally:
        for process in processes.values():
            process.stop()


def _default_results(arguments: argparse.Namespace, data: DataFiles) -> Path:
    return CHECKOUT / "bench" / "results" / f"maskbench-{data.digest}-{arguments.vocabulary}-{arguments.seed}.jsonl"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
