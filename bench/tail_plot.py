"""Tails as pictures: which share of the times is at least t, on logarithmic axes, as SVG written by hand.

Percentiles in a table hide where an engine's tail begins; here each engine is a line, and lower left is better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

__all__ = ["Curve", "tail", "tail_plot"]

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 500, 40, 350
"""The frame of the axes; the legend is to its right."""
POINTS = 200
"""Of one line, at most; evenly spaced in the logarithm of the share."""
COLOURS = ("#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""After M. Okabe and K. Ito, "Color Universal Design" (2008), without its yellow; further lines are dashed."""


@dataclass(frozen=True)
class Curve:
    """One line of a plot; `times` in ns, at least one."""

    name: str
    times: npt.NDArray[np.float64]


def tail(times: npt.NDArray[np.float64]) -> list[tuple[float, float]]:
    """Points (t, share of the times that are at least t), from the longest time to the shortest."""
    ascending = np.sort(times)
    ranks = np.unique(np.geomspace(1, len(times), POINTS).round().astype(np.int64))
    chosen = np.unique(ascending[len(times) - ranks])[::-1]
    shares = 1 - np.searchsorted(ascending, chosen) / len(times)
    return list(zip(chosen.tolist(), shares.tolist(), strict=True))


def tail_plot(title: str, curves: Sequence[Curve]) -> str:
    """The plot as the text of an SVG file."""
    tails = [tail(np.maximum(curve.times, 1.0)) for curve in curves]  # a clock may stand still, a logarithm not
    shortest = min(points[-1][0] for points in tails)
    longest = max(points[0][0] for points in tails)
    rarest = min(points[0][1] for points in tails)
    first = math.floor(math.log10(shortest))
    last = max(math.ceil(math.log10(longest)), first + 1)
    depth = max(1, math.ceil(-math.log10(rarest)))

    def x(time: float) -> float:
        return LEFT + (RIGHT - LEFT) * (math.log10(time) - first) / (last - first)

    def y(share: float) -> float:
        return TOP - (BOTTOM - TOP) * math.log10(share) / depth

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="{TOP - 16}" font-size="14">{escape(title)}</text>',
        '<g stroke="#d9d9d9">',
        *(f'<path d="M{x(10.0**at):.1f} {TOP}V{BOTTOM}"/>' for at in range(first, last + 1)),
        *(f'<path d="M{LEFT} {y(10.0**-at):.1f}H{RIGHT}"/>' for at in range(depth + 1)),
        "</g>",
        *(
            f'<text x="{x(10.0**at):.1f}" y="{BOTTOM + 18}" text-anchor="middle">{_duration(at)}</text>'
            for at in range(first, last + 1)
        ),
        *(
            f'<text x="{LEFT - 8}" y="{y(10.0**-at) + 4:.1f}" text-anchor="end">{10.0 ** (2 - at):g} %</text>'
            for at in range(depth + 1)
        ),
        f'<text x="{(LEFT + RIGHT) / 2}" y="{BOTTOM + 38}" text-anchor="middle">time t; upwards: the share of '
        "times that are at least t</text>",
    ]
    for place, (curve, points) in enumerate(zip(curves, tails, strict=True)):
        style = f'stroke="{COLOURS[place % len(COLOURS)]}" stroke-width="1.6" fill="none"'
        if place >= len(COLOURS):
            style += ' stroke-dasharray="5 3"'
        line = " ".join(f"{x(time):.1f},{y(share):.1f}" for time, share in points)
        level = TOP + 12 + 20 * place
        parts += [
            f'<polyline points="{line}" {style}/>',
            f'<path d="M{RIGHT + 16} {level}h24" {style}/>',
            f'<text x="{RIGHT + 48}" y="{level + 4}">{escape(curve.name)}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _duration(exponent: int) -> str:
    """10**exponent ns, as one writes it: 100 ns, 1 us, 10 ms, 1 s."""
    unit = min(exponent // 3, 3)
    return f"{10 ** (exponent - 3 * unit)} {('ns', 'us', 'ms', 's')[unit]}"
