"""Tails against counting, and pictures of them read back from their SVG."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.errors import CannotMeasure
from bench.maskbench.plots import PLOTS, write_plots
from bench.maskbench.records import Followed, Outcome, Record, Status
from bench.tail_plot import BOTTOM, COLOURS, LEFT, POINTS, RIGHT, TOP, Curve, tail, tail_plot

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("count", [1, 2, 7, 100, 5000])
def test_tail_against_counting(count: int) -> None:
    rng = random.Random(count)
    times = [float(rng.randrange(1, 50) ** 3) for _ in range(count)]
    points = tail(np.array(times))
    assert 1 <= len(points) <= POINTS
    for time, share in points:
        assert share == pytest.approx(sum(one >= time for one in times) / count)
    assert points[0][0] == max(times)
    assert points[-1] == (min(times), 1.0)
    assert all(earlier > later for (earlier, _), (later, _) in pairwise(points))


def test_few_times_are_all_shown() -> None:
    assert tail(np.array([5.0, 1.0, 5.0, 2.0])) == [(5.0, 0.5), (2.0, 0.75), (1.0, 1.0)]


def labels(svg: ElementTree.Element) -> dict[str, tuple[float, float]]:
    return {text.text or "": (float(text.attrib["x"]), float(text.attrib["y"])) for text in svg.iter(f"{SVG}text")}


def lines(svg: ElementTree.Element) -> list[list[tuple[float, float]]]:
    found = []
    for line in svg.iter(f"{SVG}polyline"):
        points = [point.split(",") for point in line.attrib["points"].split()]
        found.append([(float(x), float(y)) for x, y in points])
    return found


def test_points_stand_where_the_axes_say() -> None:
    # One time of 10 ms, nine of 1 us.
    text = tail_plot("A <title> & more", [Curve("<one>", np.array([1e7, *[1e3] * 9])), Curve("other", np.array([1e4]))])
    svg = ElementTree.fromstring(text)
    assert svg.find(f"{SVG}title") is not None
    named = labels(svg)
    assert {"A <title> & more", "<one>", "other"} <= named.keys()
    (slow, fast), (single,) = lines(svg)
    assert slow[0] == pytest.approx(named["10 ms"][0], abs=0.1)
    assert fast[0] == pytest.approx(named["1 us"][0], abs=0.1)
    assert single[0] == pytest.approx(named["10 us"][0], abs=0.1)
    assert slow[1] + 4 == pytest.approx(named["10 %"][1], abs=0.1)
    assert fast[1] + 4 == single[1] + 4 == pytest.approx(named["100 %"][1], abs=0.1)
    assert (slow, fast) == ((RIGHT, BOTTOM), (LEFT, TOP))


def test_many_lines_stay_apart_and_inside() -> None:
    rng = np.random.default_rng(1)
    curves = [Curve(f"engine {at}", rng.lognormal(8, 2, 400)) for at in range(len(COLOURS) + 2)]
    svg = ElementTree.fromstring(tail_plot("Many", curves))
    styles = [(line.attrib["stroke"], line.attrib.get("stroke-dasharray")) for line in svg.iter(f"{SVG}polyline")]
    assert len(set(styles)) == len(curves)
    for points in lines(svg):
        assert all(LEFT <= x <= RIGHT and TOP <= y <= BOTTOM for x, y in points)


def test_a_clock_that_stood_still_is_drawn() -> None:
    ((point,),) = lines(ElementTree.fromstring(tail_plot("Still", [Curve("one", np.array([0.0, 0.0]))])))
    assert point == (LEFT, TOP)


def test_a_picture_for_each_time(tmp_path: Path) -> None:
    text = Followed(0, True, Outcome.ACCEPTED, 2, (2000, 3000), (1000, 1000))
    records = {
        "tokamask": [Record("tokamask", "a", compile_ns=5000, first_mask_ns=2000, followed=(text,))],
        "llguidance": [Record("llguidance", "a", Status.REFUSED, "not", "not")],
    }
    written = write_plots(tmp_path / "plots", records)
    assert [path.stem for path in written] == list(PLOTS)
    masks, first, document = (lines(ElementTree.parse(path).getroot()) for path in written)
    assert [len(one[0]) for one in (masks, first, document)] == [2, 1, 1]
    with pytest.raises(CannotMeasure, match="no file was compiled by all engines"):
        write_plots(tmp_path, {"llguidance": records["llguidance"]})
