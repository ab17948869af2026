"""The controller on machines and texts whose costs and chances are given."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tokamask.runtime.pace import FORGOTTEN_AFTER, MOST_READ, REMEMBERED_STEPS, WIDTHS, MeasuredPace

Cost = Callable[[int], float]


def memory_bound(tokens_read: int) -> float:
    """As on a GPU, and on a CPU with little else to do: width is nearly free."""
    return 1.0 + 0.02 * tokens_read


def compute_bound(tokens_read: int) -> float:
    return 0.1 + tokens_read


def jump(tokens_read: int) -> float:
    """From matrix-vector to matrix products: expensive to leave 1, then nearly free."""
    return 1.0 if tokens_read == 1 else 1.5 + 0.01 * tokens_read


def live(
    pace: MeasuredPace, cost: Cost, chance: float, steps: int, *, longest: int = 15, seed: int = 0, rows: int = 1
) -> tuple[float, float, list[int]]:
    """Run steps in which every guess comes true with the same chance; tokens and seconds spent, and the widths."""
    randomness = random.Random(seed)
    tokens = seconds = 0.0
    widths = []
    for _ in range(steps):
        kinds: list[str] = []
        while len(kinds) < min(longest, pace.limit(rows)) and pace.is_hopeful([*kinds, "guess"]):
            kinds.append("guess")
        width = pace.width([kinds] * rows) if kinds else 0
        widths.append(width)
        for _ in range(rows):
            tokens += 1
            for place in range(len(kinds)):
                came_true = randomness.random() < chance
                pace.observe_guess("guess", came_true)
                tokens += came_true and place < width
                if not came_true or place == width:
                    break
        step = cost(rows * (1 + width))
        pace.observe_step(rows * (1 + width), step)
        seconds += step
    return tokens, seconds, widths


def best_rate(cost: Cost, chance: float, longest: int) -> float:
    """Tokens a second at the best constant width."""
    widths = [width for width in WIDTHS if width <= longest]
    return max(sum(chance**i for i in range(width + 1)) / cost(1 + width) for width in widths)


@pytest.mark.parametrize("cost", [memory_bound, compute_bound, jump])
@pytest.mark.parametrize("chance", [0.0, 0.2, 0.5, 0.8, 0.95])
def test_what_is_gained_is_nearly_the_most_there_is(cost: Cost, chance: float) -> None:
    tokens, seconds, _ = live(MeasuredPace(), cost, chance, steps=2000)
    assert tokens / seconds > 0.93 * best_rate(cost, chance, WIDTHS[-1])


@pytest.mark.parametrize("cost", [memory_bound, compute_bound, jump])
@pytest.mark.parametrize("chance", [0.0, 0.1, 0.3])
def test_little_is_lost_where_nothing_is_to_gain(cost: Cost, chance: float) -> None:
    """Trying what drafts cost is paid once, and then once in a while."""
    pace = MeasuredPace()
    live(pace, cost, chance, steps=60)
    tokens, seconds, _ = live(pace, cost, chance, steps=2000, seed=1)
    assert tokens / seconds > 0.98 * max(1 / cost(1), best_rate(cost, chance, 1) * 0.98)


def test_nothing_is_drafted_where_it_does_not_pay() -> None:
    _, _, widths = live(MeasuredPace(), compute_bound, 0.7, steps=FORGOTTEN_AFTER)
    assert widths[:2] == [0, 0]  # what goes without drafts is measured first
    assert sum(width > 0 for width in widths) <= 12


def test_drafts_come_back_when_guesses_come_true_again() -> None:
    """Guesses that nobody reads are still compared with what is written."""
    pace = MeasuredPace()
    assert live(pace, jump, 0.0, steps=300)[2][-50:] == [0] * 50
    assert min(live(pace, jump, 0.97, steps=300, seed=1)[2][-50:]) > 3


def test_drafts_come_back_when_the_machine_becomes_free() -> None:
    pace = MeasuredPace()
    live(pace, compute_bound, 0.9, steps=100)
    widths = live(pace, memory_bound, 0.9, steps=2 * FORGOTTEN_AFTER, seed=1)[2]
    assert min(widths[-50:]) > 3


def test_one_slow_step_is_forgiven() -> None:
    pace = MeasuredPace()
    live(pace, memory_bound, 0.9, steps=100)
    for size in (1, 2, 4, 8, 16):
        pace.observe_step(size, 1000.0)
    assert pace.width([["guess"] * 8]) > 3


def test_kinds_are_told_apart() -> None:
    pace = MeasuredPace()
    for _ in range(50):
        pace.observe_guess("good", came_true=True)
        pace.observe_guess("bad", came_true=False)
    for size in (1, 2, 4, 8, 16):
        for _ in range(REMEMBERED_STEPS):
            pace.observe_step(size, jump(size))
    assert pace.width([["good"] * 7]) == 7
    assert pace.width([["bad"] * 7]) == 0
    assert pace.width([["good"] * 3 + ["bad"] * 4]) == 3
    assert pace.is_hopeful(["good"] * 10)
    assert not pace.is_hopeful(["good", "bad", "bad"])
    assert pace.is_hopeful(["bad"])  # to be compared, at least


def test_rows_without_a_draft_pay_for_those_with_one() -> None:
    """The step is as wide for all of them."""
    pace = MeasuredPace()
    for _ in range(REMEMBERED_STEPS):
        for rows in (1, 2, 4, 8, 16, 32, 64):
            pace.observe_step(rows, 0.5 + 0.1 * rows)
    draft = ["guess"] * 3
    assert pace.width([draft]) > 0
    assert pace.width([draft] + [[]] * 7) == 0


@pytest.mark.parametrize("rows", [1, 2, 3, 8, 20, 32, 33, 64, 65, 1000])
def test_a_step_never_reads_more_than_its_memory_allows(rows: int) -> None:
    limit = MeasuredPace().limit(rows)
    assert limit in WIDTHS
    assert limit == 0 or rows * (1 + limit) <= MOST_READ


def test_a_machine_on_which_no_width_could_pay() -> None:
    """One where every token more costs as much as a step still compares a draft of one, and reads none."""
    pace = MeasuredPace()
    for tokens in (1, 2, 3, 4, 8, 16):
        for _ in range(20):
            pace.observe_step(tokens, 3.0 * tokens)
    assert pace.limit(1) == 1
    assert pace.width([["forced"] * 4]) == 0
