"""What is left out: the values that do not meet a demand, again as a disjunction of demands.

By De Morgan, one alternative for each assertion that may fail. Children are negated as nodes, so nothing is unfolded
here: some required name is absent, some declared property is there with a value that fails, some item fails.
"""

from __future__ import annotations

from collections.abc import Iterator

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.budget import charge
from tokamask.grammar.json_schema.alternatives import conjunction
from tokamask.grammar.json_schema.complement import complement
from tokamask.grammar.json_schema.demands import (
    ANY_DEMAND,
    ANYTHING,
    Alternatives,
    ArrayDemand,
    BooleanDemand,
    Demand,
    ItemCount,
    NameRule,
    Node,
    NullDemand,
    NumberDemand,
    ObjectDemand,
    PropertyCount,
    PropertyWitness,
    StringDemand,
)
from tokamask.grammar.json_schema.merging import is_contradictory, merged, without
from tokamask.grammar.json_schema.obligations import FALSE, NOTHING, is_listed
from tokamask.grammar.json_schema.places import Place, pointer_at
from tokamask.grammar.json_schema.texts import text_language
from tokamask.grammar.json_schema.values import Kind
from tokamask.grammar.language import Language, complement_in_text, difference, intersection


def negation(alternatives: Alternatives, place: Place) -> Alternatives:
    """The values that meet none of the alternatives.

    Raises CompileBudgetExceeded, at `place`, when there are too many ways not to meet them.
    """
    result: dict[Kind, tuple[Demand, ...]] = {}
    for kind in Kind:
        try:
            factors = [{kind: tuple(failing(kind, demand))} for demand in alternatives.get(kind, ())]
        except CompileBudgetExceeded as error:
            raise CompileBudgetExceeded(error.message, pointer=error.pointer or pointer_at(place)) from None
        if all(factor[kind] for factor in factors):
            result.update(conjunction([{kind: (ANY_DEMAND[kind],)}, *factors], place))
    return result


def failing(kind: Kind, demand: Demand) -> Iterator[Demand]:
    """The values of this kind that do not meet a demand.

    What cannot be enforced is not known to fail either: all values, with the same concern.
    """
    if demand.concerns:
        yield ANY_DEMAND[kind]._replace(concerns=demand.concerns)
        return
    match demand:
        case NullDemand():
            return
        case BooleanDemand():
            if len(demand.values) < 2:
                yield BooleanDemand(frozenset((False, True)) - demand.values)
        case NumberDemand():
            yield from _failing_numbers(demand)
        case StringDemand():
            yield from _failing_strings(demand)
        case ArrayDemand():
            yield from _failing_arrays(demand)
        case ObjectDemand():
            yield from _failing_objects(demand)


def _failing_numbers(demand: NumberDemand) -> Iterator[Demand]:
    yield from demand.excluded
    asserted = demand._replace(excluded=())
    if asserted == NumberDemand(lower=demand.lower, lower_open=demand.lower_open):
        if demand.lower is not None:
            yield NumberDemand(upper=demand.lower, upper_open=not demand.lower_open)
    elif asserted == NumberDemand(upper=demand.upper, upper_open=demand.upper_open):
        yield NumberDemand(lower=demand.upper, lower_open=not demand.upper_open)
    else:
        yield NumberDemand(excluded=(asserted,))


def _failing_strings(demand: StringDemand) -> Iterator[Demand]:
    if demand.minimum:
        yield StringDemand(maximum=demand.minimum - 1)
    if demand.maximum is not None:
        yield StringDemand(minimum=demand.maximum + 1)
    for language in demand.languages:
        yield StringDemand(languages=(complement_in_text(language),))
    if demand.values is not None:
        spelled = Language.words([text.encode() for text in demand.values])
        yield StringDemand(languages=(complement_in_text(spelled),))


def _failing_arrays(demand: ArrayDemand) -> Iterator[Demand]:
    if demand.minimum:
        yield ArrayDemand(maximum=demand.minimum - 1)
    if demand.maximum is not None:
        yield ArrayDemand(minimum=demand.maximum + 1)
    # Arrays with listed items differ in their length, in the first item, in the second ...: in one place at a time.
    length = ArrayDemand()
    if demand.prefix and is_listed(demand.prefix[0]):
        length = ArrayDemand(minimum=demand.minimum, maximum=demand.maximum)
        if FALSE in demand.rest:
            length = length._replace(prefix=(ANYTHING,) * len(demand.prefix), rest=NOTHING)
    before: tuple[Node, ...] = ()
    for node in demand.prefix:
        failing_item = complement(node)
        if FALSE not in failing_item:
            charge(len(before))
            yield merged(Kind.ARRAY, length, ArrayDemand((*before, failing_item), minimum=len(before) + 1))
        before = (*before, node if is_listed(node) else ANYTHING)
    if demand.rest:
        yield counted(ItemCount(complement(demand.rest), len(demand.prefix), 1, None))
    for count in demand.counts:
        if count.least:
            yield counted(count._replace(least=0, most=count.least - 1))
        if count.most is not None:
            yield counted(count._replace(least=count.most + 1, most=None))
    if demand.distinct:
        yield ArrayDemand(minimum=2, repeated=demand.distinct)
    if demand.repeated:
        yield ArrayDemand(distinct=demand.repeated)


def counted(count: ItemCount) -> ArrayDemand:
    """The arrays with so many items of a node."""
    if count.node:
        return ArrayDemand(minimum=count.start + count.least if count.least else 0, counts=(count,))
    return ArrayDemand(
        minimum=count.start + count.least if count.least else 0,
        maximum=None if count.most is None else count.start + count.most,
    )


def _failing_objects(demand: ObjectDemand) -> Iterator[Demand]:
    tag = _tag(demand)
    if tag is None:
        yield from _failing_parts(demand)
        return
    # Of branches told apart by a tag, only one can have it right: elsewhere the tag alone fails.
    node = demand.properties[tag]
    yield _failing_property(demand, tag)
    properties = {name: value for name, value in demand.properties.items() if name != tag}
    required = tuple([name for name in demand.required if name != tag])
    right = ObjectDemand({tag: node}, (tag,) if tag in demand.required else ())
    for failing_part in _failing_parts(demand._replace(properties=properties, required=required), tag):
        yield merged(Kind.OBJECT, right, failing_part)


def _tag(demand: ObjectDemand) -> str | None:
    """A property whose values are listed; a required one where there is a choice."""
    tags = [name for name, node in demand.properties.items() if is_listed(node)]
    return next((name for name in tags if name in demand.required), tags[0] if tags else None)


def _failing_parts(demand: ObjectDemand, *declared: str) -> Iterator[ObjectDemand]:
    """The objects that fail one of the assertions; `declared` are further names that `properties` stood for."""
    for name in dict.fromkeys((*demand.properties, *demand.required)):
        failing_property = _failing_property(demand, name)
        if not is_contradictory(failing_property):
            yield failing_property
    names = Language.words([name.encode("utf-8", "surrogatepass") for name in (*demand.properties, *declared)])
    for language, node in demand.rules:
        if node:
            yield witnessed((difference(language, names),), ANYTHING, complement(node))
    if demand.additional:
        others = without(complement_in_text(names), demand.rules)
        yield witnessed((others,), ANYTHING, complement(demand.additional))
    if demand.names:
        yield witnessed((), complement(demand.names), ANYTHING)
    for count in demand.at_least:
        if count.limit:
            yield ObjectDemand(at_most=(PropertyCount(count.pointer, count.limit - 1),))
    for count in demand.at_most:
        yield ObjectDemand(at_least=(PropertyCount(count.pointer, count.limit + 1),))
    for witness in demand.witnesses:
        yield _without_witness(witness)


def _failing_property(demand: ObjectDemand, name: str) -> ObjectDemand:
    """The objects that fail what is asked of one name: a required property is not there, or fails."""
    failing_value = complement(demand.properties.get(name, ANYTHING))
    return ObjectDemand({name: failing_value}, () if name in demand.required else (name,))


def witnessed(languages: tuple[Language, ...], name: Node, value: Node) -> ObjectDemand:
    """The objects with a property of such a name and such a value."""
    return ObjectDemand(witnesses=(PropertyWitness(languages, name, value),))


def _without_witness(witness: PropertyWitness) -> ObjectDemand:
    """The objects without a property of such a name and such a value."""
    language, concerns = text_language(witness.name)
    for other in witness.languages:
        language = intersection(language, other)
    return ObjectDemand(rules=(NameRule(language, complement(witness.value)),), concerns=concerns)
