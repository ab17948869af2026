"""The tails of the three times that matter, as pictures for the docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.errors import CannotMeasure
from bench.maskbench.records import Record
from bench.maskbench.times import Times, all_masks, collected, document, first_mask
from bench.tail_plot import Curve, tail_plot

__all__ = ["write_plots"]

PLOTS: Mapping[str, tuple[str, Times]] = {
    "masks": ("One mask, all valid instances", all_masks),
    "first-mask": ("From the schema to its first mask", first_mask),
    "document": ("Constraint time of one document", document),
}


def write_plots(directory: Path, records: Mapping[str, Sequence[Record]]) -> list[Path]:
    """Write a plot for each of PLOTS; what engines are compared on are the files that all of them compiled.

    Raises:
        CannotMeasure: there is no such file, or none whose instances were accepted.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (title, times) in PLOTS.items():
        found = {engine: collected(times, mine) for engine, mine in records.items()}
        curves = [Curve(engine, mine) for engine, mine in found.items() if mine.size]
        if not curves:
            raise CannotMeasure(f"nothing to plot for {name!r}: no file was compiled by all engines; leave some out")
        written.append(directory / f"{name}.svg")
        written[-1].write_text(tail_plot(title, curves), encoding="utf-8")
    return written
