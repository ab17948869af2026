"""From a demand on objects to what properties there may be: names told apart, counts heeded, witnesses placed.

A witness ("some property of such a name has such a value") becomes alternatives: one of the declared names that it may
have, or a property of one class of names. Classes of few names become declared names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.budget import check_time
from tokamask.grammar.json_schema.demands import (
    ANYTHING,
    Concern,
    NameRule,
    Node,
    ObjectDemand,
    PropertyWitness,
)
from tokamask.grammar.json_schema.merging import crossed, without
from tokamask.grammar.json_schema.obligations import FALSE, NOTHING, is_plainly_empty, pointer_of
from tokamask.grammar.json_schema.texts import text_language
from tokamask.grammar.json_schema.values import are_spellable, is_spellable
from tokamask.grammar.language import (
    Language,
    any_text,
    difference,
    empty,
    intersection,
    overlap,
    texts_of,
)
from tokamask.grammar.text_counts import MANY
from tokamask.grammar.text_lengths import leave_endless

# Classes of no more names than this become declared properties.
FEW_NAMES = 64
# Ways of placing the witnesses of one object.
MAXIMUM_PLACEMENTS = 2_000
MAXIMUM_WITNESSES = 6


class ObjectForm(NamedTuple):
    """An object demand with all names placed.

    Attributes:
        witnesses: each the index of a rule (their number: names without a rule) and a node.
        minimum, maximum: 0 and None where they follow from the rest.
        remembers: whether properties of unknown names matter, so that no name may come twice.
    """

    properties: Mapping[str, Node]
    required: frozenset[str]
    additional: Node
    rules: tuple[NameRule, ...]
    minimum: int
    maximum: int | None
    witnesses: tuple[tuple[int, Node], ...]
    concerns: tuple[Concern, ...]
    remembers: bool = False

    def asks_no_less_than(self, other: ObjectForm) -> bool:
        """Whether every object of this form, in every order of its properties, is plainly one of the other."""
        return (
            self.required >= other.required
            and self.minimum >= other.minimum
            and (other.maximum is None or (self.maximum is not None and self.maximum <= other.maximum))
            and self.rules == other.rules
            and set(self.witnesses) >= set(other.witnesses)
            and _is_within(self.additional, other.additional)
            and all(_is_within(node, other.value(name)) for name, node in self.properties.items())
            and all(_is_within(self.value(name), node) for name, node in other.properties.items())
            and self._keeps_order_of(other)
        )

    def value(self, name: str) -> Node:
        value = self.properties.get(name)
        return value if value is not None else ObjectDemand(additional=self.additional, rules=self.rules).value(name)

    def _keeps_order_of(self, other: ObjectForm) -> bool:
        common = [name for name in self.properties if name in other.properties]
        allowed = [name for name in other.properties if FALSE not in self.value(name)]
        return common == list(self.properties)[: len(common)] and [n for n in common if n in allowed] == allowed


def _is_within(node: Node, other: Node) -> bool:
    return node >= other or FALSE in node


class _Names:
    """The names of an object: declared ones, rules for others, what is left.

    The languages of rules may hold declared names; those are declared all the same.
    """

    def __init__(self, demand: ObjectDemand) -> None:
        self.properties = dict(demand.properties)
        for name in demand.required:
            if name not in self.properties:
                self.properties[name] = demand.value(name)
        self.rules: list[NameRule] = list(demand.rules)
        self.additional = demand.additional
        # Those of the names without a rule that a witness may have: `split` leaves none.
        self.rest = empty()
        self.concerns = demand.concerns

    def restrict(self, names: Node) -> None:
        """Leave the names of a node of strings."""
        language, concerns = text_language(names)
        self.concerns += concerns
        for name in self.properties:
            if not language.matches(name.encode("utf-8", "surrogatepass")):
                self.properties[name] = NOTHING
        self.rules = crossed(self.rules, self.additional, [NameRule(language, ANYTHING)], NOTHING)
        self.additional = NOTHING

    def split(self, language: Language) -> None:
        """Make every rule lie inside or outside of a language, and what is left outside of it."""
        split: list[NameRule] = []
        cut: list[NameRule] = []
        for rule in self.rules:
            inside = intersection(rule.language, language)
            if inside.is_empty or inside is rule.language:
                split.append(rule)
            else:
                split += [rule._replace(language=inside), rule._replace(language=difference(rule.language, language))]
            if not inside.is_empty:
                cut.append(rule)
        remainder = without(language, cut)
        if not remainder.is_empty:
            split.append(NameRule(remainder, self.additional))
        self.rules = split

    def declare_few(self) -> None:
        """Declare the names of small rules; where nothing much is left, what is left are the names of the last rule."""
        languages = [rule.language for rule in self.rules]
        large = [rule for rule in self.rules if not self._declare(rule.language, rule.node)]
        if not leave_endless(languages) and self._declare(without(any_text(), self.rules), self.additional):
            # One of them is large: together they hold all names there are.
            self.rest, self.additional = large.pop()
        # Names that are not allowed need no rule where none is.
        self.rules = [rule for rule in large if FALSE not in rule.node or FALSE not in self.additional]

    def _declare(self, language: Language, node: Node) -> bool:
        """Declare the names of a language if they are few; whether they were."""
        texts = texts_of(language, FEW_NAMES + len(self.properties))
        if texts is None:
            return False
        fresh = [name for text in texts if (name := text.decode()) not in self.properties]
        if len(fresh) > FEW_NAMES:
            return False
        self.properties.update(dict.fromkeys(fresh, node))
        return True


def object_forms(demand: ObjectDemand) -> list[ObjectForm]:
    """The ways to meet a demand on objects; none where it plainly contradicts itself.

    Raises:
        CompileBudgetExceeded: names take too many states, or witnesses have too many places.
    """
    if not (demand.rules or demand.names or demand.witnesses or demand.at_least or demand.at_most):
        form = _plain(demand)
        return [] if form is None else [form]
    names = _Names(demand)
    if demand.names:
        names.restrict(demand.names)
    witnesses: list[tuple[Language, Node]] = []
    for witness in demand.witnesses:
        language, concerns = _names_of(witness)
        names.concerns += concerns
        names.split(language)
        witnesses.append((language, witness.value))
    if names.rules:
        names.declare_few()
    required = frozenset(demand.required)
    if not are_spellable(names.properties):
        if not are_spellable(required):
            return []
        names.properties = {name: node for name, node in names.properties.items() if is_spellable(name)}
    forms = [_counted(demand, names, placement) for placement in _placements(names, required, witnesses)]
    return [form for form in forms if form is not None]


def _plain(demand: ObjectDemand) -> ObjectForm | None:
    """The form of a demand with nothing but declared names and one node for others."""
    properties = demand.properties
    required = frozenset(demand.required)
    if not required.issubset(properties):
        missing = {name: demand.additional for name in demand.required if name not in properties}
        properties = {**properties, **missing}
    if not are_spellable(properties):
        if not are_spellable(required):
            return None
        properties = {name: node for name, node in properties.items() if is_spellable(name)}
    return ObjectForm(properties, required, demand.additional, (), 0, None, (), demand.concerns)


def without_stricter(forms: Sequence[ObjectForm]) -> list[ObjectForm]:
    """Without the forms that plainly ask for more than another one."""
    kept: list[ObjectForm] = []
    for form in forms:
        check_time()
        if not any(form.asks_no_less_than(other) for other in kept):
            kept = [other for other in kept if not other.asks_no_less_than(form)]
            kept.append(form)
    return kept


def _names_of(witness: PropertyWitness) -> tuple[Language, tuple[Concern, ...]]:
    language, concerns = text_language(witness.name)
    for other in witness.languages:
        language = intersection(language, other)
    return language, concerns


class _Placement(NamedTuple):
    """Where witnesses are: declared names that are there, with what their values meet; rules, with values."""

    required: frozenset[str]
    values: Mapping[str, Node]
    placed: tuple[tuple[int, Node], ...]

    def with_name(self, name: str, value: Node) -> _Placement:
        return self._replace(required=self.required | {name}, values={**self.values, name: value})

    def asks_no_less_than(self, other: _Placement) -> bool:
        return (
            self.required >= other.required
            and self.placed == other.placed
            and all(self.values.get(name, ANYTHING) >= value for name, value in other.values.items())
        )


def _placements(
    names: _Names, required: frozenset[str], witnesses: list[tuple[Language, Node]]
) -> Iterator[_Placement]:
    """The ways of placing every witness, each by a property of its own or where another one is."""
    placements = [_Placement(required, {}, ())]
    rules = [*names.rules, NameRule(names.rest, names.additional)]
    for language, value in witnesses:
        within = [index for index, rule in enumerate(rules) if overlap(rule.language, language)]
        declared = [name for name in names.properties if language.matches(name.encode())]
        further: list[_Placement] = []
        for placement in placements:
            check_time()
            further += _placed(placement, names.properties, declared, rules, within, value)
            if len(further) > MAXIMUM_PLACEMENTS:
                raise CompileBudgetExceeded(
                    "too many properties could be the ones that fail a schema", pointer=pointer_of(value)
                )
        placements = _weakest(further)
    yield from placements


def _placed(
    placement: _Placement,
    properties: Mapping[str, Node],
    declared: Sequence[str],
    rules: Sequence[NameRule],
    within: Sequence[int],
    value: Node,
) -> Iterator[_Placement]:
    """The ways of placing one more witness: the declared names and the rules that it may have are given."""
    if any(
        name in placement.required and placement.values.get(name, properties[name]) >= value for name in declared
    ) or any(place in within and node >= value for place, node in placement.placed):
        yield placement
        return
    for name in declared:
        node = placement.values.get(name, properties[name]) | value
        if not is_plainly_empty(node):
            yield placement.with_name(name, node)
    for index in within:
        placed = placement.placed
        for position, (place, node) in enumerate(placed):
            if place == index and not is_plainly_empty(node | value):
                yield placement._replace(placed=(*placed[:position], (place, node | value), *placed[position + 1 :]))
        if not is_plainly_empty(rules[index].node | value):
            if len(placed) >= MAXIMUM_WITNESSES:
                raise CompileBudgetExceeded(
                    f"more than {MAXIMUM_WITNESSES} properties of unknown names fail schemas", pointer=pointer_of(value)
                )
            yield placement._replace(placed=(*placed, (index, rules[index].node | value)))


def _weakest(placements: Sequence[_Placement]) -> list[_Placement]:
    """Without those that ask for more than another one."""
    kept: list[_Placement] = []
    for placement in sorted(placements, key=lambda placement: len(placement.required)):
        check_time()
        if not any(placement.asks_no_less_than(other) for other in kept):
            kept.append(placement)
    return kept


def _counted(demand: ObjectDemand, names: _Names, placement: _Placement) -> ObjectForm | None:
    """The form once counts are heeded, which may settle everything; None when they cannot be met."""
    required, values, witnesses = placement
    properties = {**names.properties, **values}
    rules, additional = tuple(names.rules), names.additional
    least = max([count.limit for count in demand.at_least], default=0)
    most = min([count.limit for count in demand.at_most], default=None)
    needed = len(required) + len(witnesses)
    if most is not None:
        if most < max(needed, least):
            return None
        if most == len(required):
            properties = {name: properties[name] for name in properties if name in required}
            rules, additional = (), NOTHING
    if FALSE in additional and not rules:
        properties = {name: node for name, node in properties.items() if FALSE not in node}
        if not properties.keys() >= required or least > len(properties):
            return None
        if least == len(properties):
            required = frozenset(properties)
        if most is not None and most >= len(properties):
            most = None
    if least <= len(required) + len(witnesses):
        least = 0
    if least >= MANY and rules:
        # Names of a class are counted up to here, so whether there are enough of them is not known.
        raise CompileBudgetExceeded(f"{least} properties, beside patterns for their names, are too many to count")
    is_open = FALSE not in additional or any(FALSE not in rule.node for rule in rules)
    remembers = is_open and (least > 1 or bool(witnesses))
    return ObjectForm(properties, required, additional, rules, least, most, witnesses, names.concerns, remembers)
