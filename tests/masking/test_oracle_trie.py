"""The laws of the oracle trie, on random tables of which everything is known in exact fractions."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import pytest

from tokamask.masking.oracle_trie import AllowedTokens, OracleTrie, RecentRows, Walk

Path = tuple[int, ...]
SEEDS = range(40)
EXACT = 1e-12


@dataclass
class Table:
    """A small language and a model's law on it. Where a path has no law it is a document.

    Attributes:
        laws: path -> token -> probability; what is missing to 1 are tokens that are not allowed. {} is a dead end.
    """

    laws: dict[Path, dict[int, Fraction]] = field(default_factory=dict)

    def allowed(self, path: Path) -> AllowedTokens:
        law = sorted(self.laws[path].items())
        return AllowedTokens(
            np.array([token for token, _ in law], dtype=np.int32),
            np.array([math.log(probability) for _, probability in law], dtype=np.float64),
        )

    def completion(self, path: Path) -> Fraction:
        """c(path): the probability that a document follows."""
        if path not in self.laws:
            return Fraction(1)
        return sum(
            (probability * self.completion((*path, token)) for token, probability in self.laws[path].items()),
            start=Fraction(0),
        )

    def ends(self, path: Path = ()) -> Iterator[tuple[Path, Fraction]]:
        """The documents with their probabilities, and the dead ends with 0."""
        if path not in self.laws:
            yield path, self.probability(path)
        elif not self.laws[path]:
            yield path, Fraction(0)
        else:
            for token in self.laws[path]:
                yield from self.ends((*path, token))

    def probability(self, path: Path) -> Fraction:
        return math.prod((self.laws[path[:place]][path[place]] for place in range(len(path))), start=Fraction(1))


def random_table(seed: int) -> Table:
    rng = random.Random(seed)
    table = Table()

    def grow(path: Path) -> None:
        if len(path) == 4 or (path and rng.random() < 0.3):
            return
        tokens = [] if path and rng.random() < 0.2 else rng.sample(range(9), rng.randint(1, 3))
        # Some are rare: the bounds of their siblings are then far from the truth.
        shares = [rng.choice([1, 30, 1000]) for _ in tokens]
        total = sum(shares) + rng.choice([0, 10, 10**5])
        table.laws[path] = {token: Fraction(share, total) for token, share in zip(tokens, shares, strict=True)}
        for token in tokens:
            grow((*path, token))

    grow(())
    return table


@dataclass
class Followed:
    """How a walk to a given end went.

    Attributes:
        reached: how far it came: the end, or where it turned out that no document can follow.
        log_chosen: the log of the probability that the walk chooses to go there.
        log_new_masses: the sum of the logs of the masses of the nodes that it was the first to enter.
    """

    walk: Walk
    reached: Path
    log_chosen: float = 0.0
    log_new_masses: float = 0.0


def follow(
    table: Table, trie: OracleTrie, end: Path, disturb: Callable[[Path], None] = lambda path: None
) -> Followed:
    """Walk to an end as far as a walk can come; `disturb` is called before the trie is asked and before a choice
    is noted."""
    followed = Followed(Walk(trie), ())
    walk = followed.walk
    while followed.reached in table.laws:
        allowed = table.allowed(followed.reached)
        disturb(followed.reached)
        is_new = walk.is_at_new_node
        scores = walk.enter(allowed)
        followed.log_new_masses += walk.log_mass if is_new else 0.0
        if walk.log_mass == -math.inf:
            return followed
        token = end[len(followed.reached)]
        place = int(np.flatnonzero(allowed.token_ids == token)[0])
        followed.log_chosen += float(scores[place]) - walk.log_mass
        followed.reached = (*followed.reached, token)
        if followed.log_chosen == -math.inf:
            return followed
        disturb((*followed.reached, -1))
        walk.step(allowed, place)
    trie.complete(walk.node)
    return followed


def explore(table: Table, trie: OracleTrie, rng: random.Random) -> None:
    """One walk to an end chosen at random."""
    end = rng.choice([end for end, _ in table.ends()])
    trie.back_up(follow(table, trie, end).walk.node)


def known_bounds(trie: OracleTrie) -> dict[Path, tuple[float, float]]:
    bounds: dict[Path, tuple[float, float]] = {}

    def visit(node: int, path: Path) -> None:
        bounds[path] = trie.log_bounds(node)
        for child in trie.children(node).tolist():
            visit(child, (*path, trie.token(child)))

    visit(OracleTrie.ROOT, ())
    return bounds


def log_of(number: Fraction) -> float:
    return math.log(number.numerator) - math.log(number.denominator) if number else -math.inf


def tries(seed: int) -> Iterator[tuple[Table, OracleTrie]]:
    """A table and its trie after 0, 1, 2, 5, 12 and 60 walks."""
    table, trie, rng = random_table(seed), OracleTrie(), random.Random(seed)
    for walks in (0, 1, 1, 3, 7, 48):
        for _ in range(walks):
            explore(table, trie, rng)
        yield table, trie


@pytest.mark.parametrize("seed", SEEDS)
def test_weight_times_probability_to_be_walked_is_the_probability_of_the_model(seed: int) -> None:
    for table, trie in tries(seed):
        upper = trie.log_bounds(OracleTrie.ROOT)[1]
        chosen = {}
        for end, probability in table.ends():
            followed = follow(table, copy.deepcopy(trie), end)
            log_weight = followed.walk.log_weight
            chosen[followed.reached] = math.exp(followed.log_chosen)
            if probability:
                assert followed.log_chosen + log_weight == pytest.approx(log_of(probability), abs=EXACT)
                assert log_weight <= upper + EXACT
                # What makes CARS exact: passing every new node with the probability of its mask leaves weights equal.
                assert log_weight == pytest.approx(upper + followed.log_new_masses, abs=EXACT)
            else:
                assert -math.inf in (log_weight, followed.log_chosen)
        assert sum(chosen.values()) == pytest.approx(1, abs=EXACT)


def test_weights_stay_proper_when_other_walks_change_the_bounds_in_between() -> None:
    changed = 0
    for seed in SEEDS:
        table = random_table(seed)
        chosen = {}
        for end, probability in table.ends():
            trie = OracleTrie()

            # What happens meanwhile depends on the prefix alone, so that the ends together are all that can happen.
            def disturb(path: Path, table: Table = table, trie: OracleTrie = trie) -> None:
                explore(table, trie, random.Random(str(path)))

            followed = follow(table, trie, end, disturb)
            chosen[followed.reached] = math.exp(followed.log_chosen)
            if probability:
                log_model = followed.log_chosen + followed.walk.log_weight
                assert log_model == pytest.approx(log_of(probability), abs=EXACT)
                changed += abs(followed.log_chosen - follow(table, OracleTrie(), end).log_chosen) > EXACT
        assert sum(chosen.values()) == pytest.approx(1, abs=EXACT)
    assert changed > 100


@pytest.mark.parametrize("seed", SEEDS)
def test_bounds_hold_the_truth_and_never_widen(seed: int) -> None:
    before: dict[Path, tuple[float, float]] = {}
    for table, trie in tries(seed):
        now = known_bounds(trie)
        assert len(now) == len(trie)
        for path, (lower, upper) in now.items():
            assert lower <= log_of(table.completion(path)) + EXACT
            assert upper >= log_of(table.completion(path)) - EXACT
            if path in before:
                assert lower >= before[path][0] - EXACT
                assert upper <= before[path][1] + EXACT
        before = now


@pytest.mark.parametrize("seed", SEEDS)
def test_a_trie_that_saw_everything_knows_the_target(seed: int) -> None:
    table, trie = random_table(seed), OracleTrie()
    ends = list(table.ends())
    for end, _ in ends:
        trie.back_up(follow(table, trie, end).walk.node)
    for path, (lower, upper) in known_bounds(trie).items():
        truth = log_of(table.completion(path))
        assert lower == upper, "rounding put them apart"
        assert upper == pytest.approx(truth, abs=EXACT) if truth > -math.inf else upper == -math.inf  # dead ends too
    mass = table.completion(())
    for end, probability in ends:
        if probability:
            assert follow(table, trie, end).log_chosen == pytest.approx(log_of(probability / mass), abs=EXACT)


def test_the_tables_have_dead_ends_and_lost_mass() -> None:
    tables = [random_table(seed) for seed in SEEDS]
    assert sum(table.completion(()) == 0 for table in tables) < len(tables) / 4
    assert sum(any(not law for law in table.laws.values()) for table in tables) > len(tables) / 4
    assert sum(table.completion(()) < Fraction(1, 1000) for table in tables) > len(tables) / 8
    assert sum(len(table.laws) > 5 for table in tables) > len(tables) / 4


def test_masses_below_all_floats_are_exact() -> None:
    """A document of mass 1e-900 beside a dead end that swallows nearly all."""
    tiny = Fraction(1, 10**300)
    table = Table({(): {0: tiny, 1: 1 - tiny}, (1,): {}, (0,): {0: tiny}, (0, 0): {0: tiny}})
    trie = OracleTrie()
    trie.back_up(follow(table, trie, (1,)).walk.node)
    # The dead end is known, and what is left was not found as 1 minus what is gone.
    assert trie.log_bounds(OracleTrie.ROOT) == pytest.approx((-math.inf, log_of(tiny)), rel=1e-15)
    followed = follow(table, trie, (0, 0, 0))
    trie.back_up(followed.walk.node)
    assert followed.log_chosen == 0
    assert followed.walk.log_weight == pytest.approx(log_of(tiny**3), rel=1e-15)
    assert trie.log_bounds(OracleTrie.ROOT) == pytest.approx((log_of(tiny**3),) * 2, rel=1e-15)


def test_a_document_is_news_once() -> None:
    table, trie = Table({(): {0: Fraction(1, 2)}}), OracleTrie()
    walk = Walk(trie)
    walk.enter(table.allowed(()))
    walk.step(table.allowed(()), 0)
    assert [trie.complete(walk.node), trie.complete(walk.node)] == [True, False]


@pytest.mark.parametrize(("width", "depth", "walks"), [(1, 3000, 1), (5000, 1, 5000), (40, 12, 400)])
def test_a_visited_child_takes_less_than_200_bytes(width: int, depth: int, walks: int) -> None:
    rng, trie = random.Random(width), OracleTrie()
    allowed = AllowedTokens(np.arange(width, dtype=np.int32), np.full(width, -math.log(width + 1)))
    for number in range(walks):
        walk = Walk(trie)
        for _ in range(depth):
            walk.enter(allowed)
            walk.step(allowed, number if width == walks else rng.randrange(width))
        trie.complete(walk.node)
    assert len(trie) > 1000
    assert trie.nbytes / (len(trie) - 1) < 200


def test_recent_rows_forget_the_oldest_first() -> None:
    row = AllowedTokens(np.arange(10, dtype=np.int32), np.zeros(10))
    rows = RecentRows(limit=3 * row.nbytes)
    for node in range(3):
        rows.put(node, row)
    assert rows.get(0) is row
    rows.put(3, row)
    assert [rows.get(node) is not None for node in range(4)] == [True, False, True, True]
    assert rows.nbytes == 3 * row.nbytes
    none = RecentRows(limit=row.nbytes - 1)
    none.put(0, row)
    assert none.get(0) is None
    assert none.nbytes == 0
