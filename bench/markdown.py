"""Reports in Markdown: tables, numbers, and where reports go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.distribution import PERCENTILES, Distribution

__all__ = ["distribution_table", "number", "publish", "table"]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    ruler = [":---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ruler, *rows))


def distribution_table(rows: Sequence[tuple[str, Distribution | None]], factor: float) -> str:
    """One distribution a row, its times multiplied by `factor`; an empty one is a row of dashes."""
    header = ["engine", "n", "mean", *(f"p{percentile:g}" for percentile in PERCENTILES), "max"]
    lines = []
    for name, distribution in rows:
        if distribution is None:
            lines.append([name, "0", *["-"] * (len(header) - 2)])
            continue
        shown = distribution.scaled(factor)
        times = [shown.mean, *shown.percentiles, shown.maximum]
        lines.append([name, f"{shown.count:,}", *map(number, times)])
    return table(header, lines)


def number(value: float) -> str:
    """Three significant digits, or all those before the point: 0.512, 5.12, 51.2, 512, 5,120."""
    size = abs(value)
    decimals = 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 3
    return f"{value:,.{decimals}f}"


def publish(report: str, output: Path | None) -> None:
    """Print a report, and write it to a file where one is named; its folder is made if need be."""
    print(report, end="")
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(report, encoding="utf-8")
