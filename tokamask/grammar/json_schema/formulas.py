"""How schemas that apply to one value combine: each combination says when it holds, when it fails, and what was seen.

`alternatives` are the values for which it holds, `denials` those for which it does not, and `evaluations` those for
which it holds again, told apart by what was evaluated of them; only subschemas that hold evaluate anything.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

from tokamask.grammar.budget import check_time
from tokamask.grammar.json_schema.alternatives import (
    conjunction,
    disjunction,
    joint_alternatives,
    joint_denials,
    joint_evaluations,
    unite,
)
from tokamask.grammar.json_schema.demands import (
    ANY_DEMAND,
    ANY_VALUE,
    NO_VALUE,
    Alternatives,
    Demand,
    Exclusivity,
    Node,
    ObjectDemand,
    Overlap,
)
from tokamask.grammar.json_schema.exclusivity import are_told_apart
from tokamask.grammar.json_schema.negation import negation
from tokamask.grammar.json_schema.obligations import NOTHING
from tokamask.grammar.json_schema.places import Place, pointer_at
from tokamask.grammar.json_schema.reports import Refusal
from tokamask.grammar.json_schema.values import Kind

# Beyond this many pairs of branches a `oneOf` is refused rather than examined.
MAXIMUM_PAIRS = 2_000


class Formula(ABC):
    """A combination of schemas on one value. `place` is for errors."""

    __slots__ = ("place",)

    def __init__(self, place: Place) -> None:
        self.place = place

    @abstractmethod
    def alternatives(self) -> Alternatives: ...

    @abstractmethod
    def denials(self) -> Alternatives: ...

    def evaluations(self) -> Alternatives:
        return self.alternatives()

    def bound(self) -> Alternatives:
        """No less than the alternatives, without anything to settle."""
        return self.alternatives()


class Stated(Formula):
    """Values that are described outright."""

    __slots__ = ("_alternatives",)

    def __init__(self, place: Place, alternatives: Alternatives) -> None:
        super().__init__(place)
        self._alternatives = alternatives

    def alternatives(self) -> Alternatives:
        return self._alternatives

    def denials(self) -> Alternatives:
        return negation(self._alternatives, self.place)


class Fails(Formula):
    """`not`: a node does not hold."""

    __slots__ = ("_node",)

    def __init__(self, place: Place, node: Node) -> None:
        super().__init__(place)
        self._node = node

    def alternatives(self) -> Alternatives:
        return joint_denials(self._node)

    def denials(self) -> Alternatives:
        return joint_alternatives(self._node)


class AnyOf(Formula):
    """At least one branch holds. `allOf` and references are this with a single branch."""

    __slots__ = ("_branches",)

    def __init__(self, place: Place, branches: Sequence[Node]) -> None:
        super().__init__(place)
        self._branches = branches

    def alternatives(self) -> Alternatives:
        return disjunction([joint_alternatives(branch) for branch in self._branches], self.place)

    def denials(self) -> Alternatives:
        return conjunction([joint_denials(branch) for branch in self._branches], self.place)

    def evaluations(self) -> Alternatives:
        """All branches that hold evaluate: every set of them is an alternative, and one with more asks less."""
        sets: Alternatives = {}
        for branch in self._branches:
            alone = joint_evaluations(branch)
            sets = side_by_side([sets, alone, conjunction([sets, alone], self.place) if sets else {}], self.place)
        return sets


class ExactlyOne(Formula):
    """`oneOf`: one branch holds, and no other.

    Branches that are told apart at a glance, or that turn out never to hold at once, need no negation. So they are
    joined with the proof left to be done (`Exclusivity`), but for the pairs of `overlaps`, for which it has failed.
    """

    __slots__ = ("_branches", "_context", "_limits", "_overlaps")

    def __init__(
        self,
        place: Place,
        branches: Sequence[Node],
        overlaps: frozenset[Overlap],
        context: Callable[[Formula, Kind], Node | None],
        limits: Callable[[Kind], Demand],
    ) -> None:
        """What stands beside the keyword: everything, as a node; what rules out many combinations, as a demand."""
        super().__init__(place)
        self._branches = branches
        self._overlaps = overlaps
        self._context = context
        self._limits = limits

    def bound(self) -> Alternatives:
        return disjunction([joint_alternatives(branch) for branch in self._branches], self.place)

    def alternatives(self) -> Alternatives:
        branches = [joint_alternatives(branch) for branch in self._branches]
        union = disjunction(branches, self.place)
        if len(branches) < 2:
            return union
        return _inhabited({kind: self._one(kind, demands, branches) for kind, demands in union.items()})

    def _one(self, kind: Kind, demands: tuple[Demand, ...], branches: list[Alternatives]) -> tuple[Demand, ...]:
        holders = [place for place, branch in enumerate(branches) if kind in branch]
        if len(holders) < 2 or are_told_apart(kind, [branches[place][kind] for place in holders]):
            return demands
        context = self._context(self, kind)
        if context is None:
            return demands
        if len(holders) * (len(holders) - 1) > 2 * MAXIMUM_PAIRS:
            return _burdened(demands, self._too_many(len(holders)))
        overlaps = self._pairs(kind, holders)
        known = [overlap for overlap in overlaps if overlap in self._overlaps]
        unknown = [overlap for overlap in overlaps if overlap not in self._overlaps]
        if known:
            demands = self._apart(kind, branches, known)
        if not unknown:
            return demands
        pairs = [
            (overlap, context | self._branches[overlap.first] | self._branches[overlap.second]) for overlap in unknown
        ]
        return _burdened(demands, Exclusivity(tuple(pairs)))

    def _pairs(self, kind: Kind, holders: Sequence[int]) -> list[Overlap]:
        pointer = pointer_at(self.place)
        return [Overlap(pointer, kind, first, second) for first, second in combinations(holders, 2)]

    def _too_many(self, branches: int) -> Refusal:
        return Refusal(pointer_at(self.place), "oneOf", f"{branches} branches are too many to compare pair by pair")

    def _apart(self, kind: Kind, branches: list[Alternatives], overlaps: Iterable[Overlap]) -> tuple[Demand, ...]:
        """The branches of one kind, each without those it overlaps with."""
        others: dict[int, list[int]] = {place: [] for place, branch in enumerate(branches) if kind in branch}
        for overlap in overlaps:
            others[overlap.first].append(overlap.second)
            others[overlap.second].append(overlap.first)
        result: list[Demand] = []
        for place, against in others.items():
            factors: list[Alternatives] = [{kind: (self._limits(kind),)}, {kind: branches[place][kind]}]
            factors += [joint_denials(self._branches[other]) for other in against]
            result += conjunction(factors, self.place).get(kind, ())
        return tuple(result)

    def denials(self) -> Alternatives:
        """No branch holds, or some two do."""
        branches = [joint_alternatives(branch) for branch in self._branches]
        none = conjunction([joint_denials(branch) for branch in self._branches], self.place)
        several: dict[Kind, tuple[Demand, ...]] = {}
        for kind in Kind:
            holders = [branch for branch in branches if kind in branch]
            if len(holders) < 2 or are_told_apart(kind, [branch[kind] for branch in holders]):
                continue
            if len(holders) * (len(holders) - 1) > 2 * MAXIMUM_PAIRS:
                several[kind] = _burdened((ANY_DEMAND[kind],), self._too_many(len(holders)))
                continue
            pairs = (
                conjunction([{kind: first[kind]}, {kind: second[kind]}], self.place)
                for first, second in combinations(holders, 2)
            )
            several[kind] = disjunction(pairs, self.place).get(kind, ())
        return disjunction([none, _inhabited(several)], self.place)

    def evaluations(self) -> Alternatives:
        branches = [joint_evaluations(branch) for branch in self._branches]
        result: dict[Kind, tuple[Demand, ...]] = {}
        for kind in Kind:
            holders = [place for place, branch in enumerate(branches) if kind in branch]
            if not holders:
                continue
            if len(holders) * (len(holders) - 1) > 2 * MAXIMUM_PAIRS:
                result[kind] = _burdened((ANY_DEMAND[kind],), self._too_many(len(holders)))
            elif are_told_apart(kind, [branches[place][kind] for place in holders]):
                result[kind] = tuple([demand for place in holders for demand in branches[place][kind]])
            else:
                result[kind] = self._apart(kind, branches, self._pairs(kind, holders))
        return _inhabited(result)


class Conditional(Formula):
    """`if`, with `then` and `else`: the first and the second hold, or the first fails and the third holds."""

    __slots__ = ("_condition", "_otherwise", "_then")

    def __init__(self, place: Place, condition: Node, then: Node, otherwise: Node) -> None:
        super().__init__(place)
        self._condition = condition
        self._then = then
        self._otherwise = otherwise

    def alternatives(self) -> Alternatives:
        if not self._then and not self._otherwise:
            return ANY_VALUE
        return disjunction(self._cases(joint_alternatives, joint_alternatives), self.place)

    def denials(self) -> Alternatives:
        if not self._then and not self._otherwise:
            return NO_VALUE
        return disjunction(self._cases(joint_alternatives, joint_denials), self.place)

    def evaluations(self) -> Alternatives:
        return side_by_side(self._cases(joint_evaluations, joint_evaluations), self.place)

    def _cases(
        self, condition: Callable[[Node], Alternatives], consequence: Callable[[Node], Alternatives]
    ) -> list[Alternatives]:
        """Either way: `condition` reads a condition that holds, `consequence` what follows."""
        return [
            conjunction([condition(self._condition), consequence(self._then)], self.place),
            conjunction([joint_denials(self._condition), consequence(self._otherwise)], self.place),
        ]


class Dependency(Formula):
    """An object with the property `name` also has `required` and meets `node`."""

    __slots__ = ("_name", "_node", "_required")

    def __init__(self, place: Place, name: str, required: Sequence[str], node: Node) -> None:
        super().__init__(place)
        self._name = name
        self._required = required
        self._node = node

    def alternatives(self) -> Alternatives:
        return self._absent_or(joint_alternatives(self._node))

    def evaluations(self) -> Alternatives:
        return self._absent_or(joint_evaluations(self._node))

    def _absent_or(self, meeting: Alternatives) -> Alternatives:
        present: Alternatives = {Kind.OBJECT: (ObjectDemand(required=(self._name, *self._required)),)}
        both = conjunction([present, meeting], self.place)
        absent = ObjectDemand({self._name: NOTHING})
        return {**ANY_VALUE, Kind.OBJECT: (absent, *both.get(Kind.OBJECT, ()))}

    def denials(self) -> Alternatives:
        present: Alternatives = {Kind.OBJECT: (ObjectDemand(required=(self._name,)),)}
        lacking: Alternatives = {Kind.OBJECT: tuple([ObjectDemand({name: NOTHING}) for name in self._required])}
        failing = disjunction([lacking if self._required else {}, joint_denials(self._node)], self.place)
        return conjunction([present, failing], self.place)


def side_by_side(branches: Iterable[Alternatives], place: Place) -> Alternatives:
    """The union of alternatives, none left out: of two for the same values, one may have evaluated more.

    Raises CompileBudgetExceeded, at `place`, when there are too many.
    """
    result: dict[Kind, dict[int, Demand]] = {}
    for branch in branches:
        for kind, demands in branch.items():
            unite(result.setdefault(kind, {}), demands, place)
    return {kind: tuple(present.values()) for kind, present in result.items()}


def _inhabited(alternatives: Alternatives) -> Alternatives:
    """Without the kinds of which nothing is left."""
    return {kind: demands for kind, demands in alternatives.items() if demands}


def _burdened(demands: tuple[Demand, ...], concern: Refusal | Exclusivity) -> tuple[Demand, ...]:
    """The same demands with something more to settle."""
    check_time()
    return tuple([demand._replace(concerns=(*demand.concerns, concern)) for demand in demands])
