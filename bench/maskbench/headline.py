"""What the tables come to, in one line: a document's constraint time beside that of the best peer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bench.engines import ENGINES
from bench.markdown import number
from bench.maskbench.records import Record
from bench.maskbench.times import document

__all__ = ["headline"]

OURS = "tokamask"

STATISTICS: Mapping[str, Callable[[npt.NDArray[np.float64]], float]] = {
    "p50": lambda times: float(np.percentile(times, 50)),
    "mean": lambda times: float(times.mean()),
    "p99": lambda times: float(np.percentile(times, 99)),
}


def headline(records: Mapping[str, Sequence[Record]]) -> list[str]:
    """A line for each configuration of tokamask that has a document in common with a peer.

    Each ratio is of one statistic, over the documents that tokamask and one peer both accepted; shown is the peer that
    is hardest to beat, for each statistic anew. A peer's time-outs and refusals count nothing, so every peer that is
    added can only make the ratios worse.
    """
    times = {name: {one.file: time for one in mine for time in document(one)} for name, mine in records.items()}
    lines = []
    for name in times:
        if ENGINES[name].package != OURS:
            continue
        pairs = {peer: _pair(times[name], times[peer]) for peer in times if ENGINES[peer].package != OURS}
        pairs = {peer: pair for peer, pair in pairs.items() if pair.size}
        if not pairs:
            continue
        shown = []
        for statistic, of in STATISTICS.items():
            ratios = {peer: of(mine) / of(theirs) for peer, (mine, theirs) in pairs.items()}
            best = max(ratios, key=ratios.__getitem__)
            shown.append(f"{statistic} {number(ratios[best])} ({best}, {pairs[best].shape[1]:,} documents)")
        lines.append(f"Constraint time per document, {name} divided by the best peer: {', '.join(shown)}.")
    return lines


def _pair(mine: Mapping[str, int], theirs: Mapping[str, int]) -> npt.NDArray[np.float64]:
    """Times of the files that both have, shape (2, files)."""
    common = sorted(mine.keys() & theirs.keys())
    return np.array([[side[file] for file in common] for side in (mine, theirs)], dtype=np.float64)
