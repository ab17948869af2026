"""Assembles a `RuleSet` into a program: its records (see `program` for their layout), then blocks made of languages."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, compress

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar import rules
from tokamask.grammar.blocks import Blocks, automaton_block, lengths_block, packed
from tokamask.grammar.body_states import MINIMAL, NORMAL
from tokamask.grammar.json_schema.cardinality import value_counts
from tokamask.grammar.json_schema.shapes import (
    ArrayShape,
    Escapes,
    ItemsShape,
    JsonShapes,
    ObjectShape,
    PropertyOrder,
    ScalarShape,
    Shape,
    StringShape,
    children,
)
from tokamask.grammar.language import Language
from tokamask.grammar.other_names import Choice, choices_of, fewest_properties
from tokamask.grammar.program import (
    ARRAY_AFTER,
    ARRAY_NEXT,
    ARRAY_OPEN,
    ARRAY_WHITESPACE,
    BLANKS,
    CALL,
    CHOICE,
    CHOICE_LEFT,
    CHOICE_NAMES,
    CHOICE_WORDS,
    DEPTH_BITS,
    END,
    END_PC,
    EXITS,
    FRAME_HEADER,
    ITEMS_AFTER,
    ITEMS_NEXT,
    ITEMS_OPEN,
    ITEMS_STATES,
    ITEMS_WHITESPACE,
    LEXEME,
    LOOP,
    NAMED,
    NOT_DISTINCT,
    OBJECT_CHOICES,
    OBJECT_COVERS,
    OBJECT_NAMES,
    OBJECT_NEXT,
    OBJECT_NEXT_REQUIRED,
    OBJECT_OPEN,
    OBJECT_WHITESPACE,
    PLENTIFUL,
    RETURN,
    RETURN_PC,
    SCARCE,
    STRING,
    STRING_LENGTHS,
    STRING_TEXTS,
    STRING_UNBOUNDED,
    VALUE,
    Program,
)
from tokamask.grammar.text_counts import MANY, number_of_texts, texts_left

MAXIMUM_NAME_BYTES = (1 << DEPTH_BITS) - 1
MAXIMUM_DISTINCT = 4096  # items of an array that must be there and differ
MAXIMUM_COUNT = (1 << 31) - 2  # of items or characters; no text that an arena can follow has as many

_OBJECT_PLACES = range(OBJECT_OPEN, OBJECT_NEXT + 1)
# Kinds of shapes. (A union written where they are told apart would be made anew each time.)
_LEAVES = (ScalarShape, StringShape)
_LISTS = (ArrayShape, ItemsShape)


def assemble(rule_set: rules.RuleSet) -> Program:
    """Raises CompileBudgetExceeded for property names over 4,095 bytes and for hopelessly nested rules."""
    assembler = _Assembler()
    try:
        start = assembler.rule_set(rule_set)
    except RecursionError:
        message = "the grammar's expressions are nested too deeply; name parts of them as rules"
        raise CompileBudgetExceeded(message) from None
    assembler.count_scarce_texts()
    return Program(assembler.blocks.behind_words(), start, packed(assembler.records).copy())


class _Assembler:
    def __init__(self) -> None:
        self.words: list[int] = [END, RETURN, EXITS, BLANKS, NAMED]
        self.records = [END_PC, RETURN_PC]
        self.blocks = Blocks(self.words)
        self.values: dict[int, list[int]] = {}  # id of shapes -> pc of each node's VALUE, 0 until it has one
        # id of shapes -> nodes of what is read inside of items that differ, and how many values they have
        self.remembered: dict[int, dict[int, int]] = {}
        self.strings: dict[tuple[int, int | None, Language | None, int], int] = {}
        self.scarce: list[tuple[JsonShapes, int]] = []  # nodes of items that must differ and have few values
        self.rule_pcs: dict[str, int] = {}

    def emit(self, *words: int) -> int:
        """Append a record and return its pc."""
        pc = len(self.words)
        self.words.extend(words)
        self.records.append(pc)
        return pc

    # Rules. Each expression is assembled with the pc that follows it, so sequences need no record.

    def rule_set(self, rule_set: rules.RuleSet) -> int:
        for name in rule_set.rules:
            self.rule_pcs[name] = self.emit(CHOICE, 1, -1)
        for name, expression in rule_set.rules.items():
            self.words[self.rule_pcs[name] + 2] = self.expression(expression, RETURN_PC)
        return self.call(self.rule_pcs[rule_set.start], END_PC)

    def call(self, target: int, following: int) -> int:
        return target if following == RETURN_PC else self.emit(CALL, target, following)

    def expression(self, expression: rules.Expression, following: int) -> int:
        match expression:
            case rules.Terminal(language):
                pc = self.emit(LEXEME, 0, following)
                self.blocks.refer(pc + 1, language, automaton_block)
                return pc
            case rules.Sequence(parts):
                for part in reversed(parts):
                    following = self.expression(part, following)
                return following
            case rules.Choice(alternatives):
                targets = [self.expression(alternative, following) for alternative in alternatives]
                return self.emit(CHOICE, len(targets), *targets)
            case rules.Reference(rule):
                return self.call(self.rule_pcs[rule], following)
            case rules.JsonValue(shapes):
                return self.call(self.json_value(shapes), following)
            case rules.Repeat(part, minimum, maximum):
                return self.repeat(part, minimum, maximum, following)

    def repeat(self, part: rules.Expression, minimum: int, maximum: int | None, following: int) -> int:
        if maximum == 0:
            return following
        if (minimum, maximum) == (0, 1):
            return self.emit(CHOICE, 2, self.expression(part, following), following)
        if maximum is None and minimum <= 1:
            star = self.emit(CHOICE, 2, -1, following)
            self.words[star + 2] = self.expression(part, star)
            return star if minimum == 0 else self.words[star + 2]
        loop = self.emit(LOOP, -1, *_bounds(minimum, maximum))
        # The body returns to the loop's own frame, which counts.
        self.words[loop + 1] = self.expression(part, RETURN_PC)
        return self.call(loop, following)

    # JSON values.

    def json_value(self, shapes: JsonShapes) -> int:
        values = self.values.setdefault(id(shapes), [0] * len(shapes.nodes))
        self.remembered[id(shapes)] = value_counts(shapes.nodes, _distinct_items(shapes))
        pending = [shapes.root]
        values[shapes.root] = self.reserve(shapes, shapes.root)
        while pending:
            node = pending.pop()
            for place, shape in enumerate(shapes.nodes[node], start=values[node] + 2):
                if not isinstance(shape, _LEAVES):
                    for child in children(shape):
                        if not values[child]:
                            values[child] = self.reserve(shapes, child)
                            pending.append(child)
                self.words[place] = self.shape(shapes, node, shape)
        return values[shapes.root]

    def reserve(self, shapes: JsonShapes, node: int) -> int:
        """The VALUE of a node, its alternatives still to come."""
        count = len(shapes.nodes[node])
        return self.emit(VALUE, count, *[-1] * count, self.remembered[id(shapes)].get(node, 0))

    def shape(self, shapes: JsonShapes, node: int, shape: Shape) -> int:
        """One alternative of a node."""
        match shape:
            case ObjectShape():
                return self.object(shapes, shape, shape.remembers or node in self.remembered[id(shapes)])
            case StringShape(minimum, maximum, language):
                return self.string(minimum, maximum, language, _home(shapes))
            case ScalarShape(language):
                pc = self.emit(LEXEME, 0, RETURN_PC)
                self.blocks.refer(pc + 1, language, automaton_block)
                return pc
            case ArrayShape():
                return self.array(shapes, shape)
            case ItemsShape():
                return self.items(shapes, shape)

    def array(self, shapes: JsonShapes, shape: ArrayShape) -> int:
        minimum, maximum = _bounds(shape.minimum, shape.maximum)
        saturation = max(len(shape.prefix), minimum) if maximum < 0 else maximum
        values = self.values[id(shapes)]
        rest = 0 if shape.rest is None else values[shape.rest]
        if shape.rest is None and (maximum < 0 or maximum > len(shape.prefix)):
            maximum = saturation = len(shape.prefix)
        prefix = [values[node] for node in shape.prefix]
        places = (ARRAY_OPEN, ARRAY_AFTER, ARRAY_NEXT)
        distinct, dearer = self.distinctness(shapes, shape), 0
        if distinct == SCARCE and shape.rest is not None:
            self.scarce.append((shapes, shape.rest))
        if distinct and minimum > 1:
            if minimum > MAXIMUM_DISTINCT:
                raise CompileBudgetExceeded(f"{minimum} items that differ are more than {MAXIMUM_DISTINCT}")
            dearer = len(self.words)
            self.words += [0] * minimum
        pc = self.emit(*places, 0, minimum, maximum, saturation, len(prefix), rest, distinct, dearer, *prefix)
        self.blocks.refer(pc + ARRAY_WHITESPACE, shapes.whitespace, automaton_block)
        return pc

    def distinctness(self, shapes: JsonShapes, shape: ArrayShape | ItemsShape) -> int:
        if not shape.is_distinct:
            return NOT_DISTINCT
        if all(self.remembered[id(shapes)][node] >= MANY for node in children(shape)):
            return PLENTIFUL
        return SCARCE

    def items(self, shapes: JsonShapes, shape: ItemsShape) -> int:
        distinct = self.distinctness(shapes, shape)
        pc = self.emit(ITEMS_OPEN, ITEMS_AFTER, ITEMS_NEXT, 0, distinct, *[0] * len(shape.states))
        self.blocks.refer(pc + ITEMS_WHITESPACE, shapes.whitespace, automaton_block)
        for number, state in enumerate(shape.states):
            self.words[pc + ITEMS_STATES + number] = len(self.words)
            self.words.append(int(state.may_end))
            for node, target in state.items:
                self.words += (self.values[id(shapes)][node], target)
            self.words.append(0)
        return pc

    def object(self, shapes: JsonShapes, shape: ObjectShape, has_memory: bool) -> int:
        values = self.values[id(shapes)]
        properties = shape.properties
        count = len(properties)
        names, nodes, needed = zip(*properties, strict=True) if properties else ((), (), ())
        # VALUE or 0 (the name is forbidden) of each property, and which there must be.
        declared = [0 if node is None else values[node] for node in nodes]
        required = list(compress(range(count), needed))
        is_free = shapes.property_order is PropertyOrder.ANY
        is_counted = shape.minimum > 0 or shape.maximum is not None or bool(shape.witnesses)
        choices = choices_of(shape) if shape.classes or is_counted else ()
        scarce = _scarce_names(choices) if has_memory else {}
        is_counted = is_counted or bool(scarce)
        additional = 0 if shape.additional is None or choices else values[shape.additional]
        frame_words = 0
        if is_free or is_counted:  # properties as bits, or the position among them
            frame_words = FRAME_HEADER - 1 + ((count + 31) // 32 if is_free else 1)
        left = {names: frame_words + 1 + number for number, names in enumerate(scarce)}
        frame_words += len(scarce)
        if is_free:
            available = count - declared.count(0)
        else:  # one past the last property that may appear
            available = max((i + 1 for i, value in enumerate(declared) if value), default=0)
        minimum, maximum = _bounds(shape.minimum, shape.maximum)
        settled = (0, count, additional, int(is_free), frame_words, len(required), available, 0, 0)
        counted = (int(is_counted), minimum, maximum, len(shape.witnesses), 0)
        remembers = PLENTIFUL if shape.remembers else NOT_DISTINCT
        pc = self.emit(*_OBJECT_PLACES, *settled, 0, len(choices), *counted, _home(shapes), remembers)
        self.blocks.refer(pc + OBJECT_WHITESPACE, shapes.whitespace, automaton_block)
        words = self.words
        words += chain.from_iterable(zip(declared, map(int, needed), strict=True))
        # For each position, the index of the first required property from there on (count: none).
        words[pc + OBJECT_NEXT_REQUIRED] = len(words)
        before = 0
        for index in required:
            words += [index] * (index + 1 - before)
            before = index + 1
        words += [count] * (count + 2 - before)
        words[pc + OBJECT_NAMES] = self.names(names)
        if choices:
            self.choices(shapes, pc, choices, len(shape.witnesses))
            for number, choice in enumerate(choices):
                at = self.words[pc + OBJECT_CHOICES] + CHOICE_WORDS * number
                if has_memory and choice.names is not None:
                    self.blocks.refer(self.words[at] + STRING_TEXTS, choice.names, texts_left)
                if choice.names in scarce:
                    self.words[at + CHOICE_NAMES] = scarce[choice.names]
                    self.words[at + CHOICE_LEFT] = left[choice.names]
        return pc

    def choices(self, shapes: JsonShapes, pc: int, choices: Sequence[Choice], witnesses: int) -> None:
        strings = [self.string(0, None, choice.names, _home(shapes)) for choice in choices]
        self.words[pc + OBJECT_CHOICES] = len(self.words)
        for string, choice in zip(strings, choices, strict=True):
            self.words += (string, self.values[id(shapes)][choice.node], choice.meets, 0, 0, 0)
        # For each set of witnesses still missing: how many properties they take, then room for the costs of as many.
        self.words[pc + OBJECT_COVERS] = len(self.words)
        for fewest in fewest_properties(choices, witnesses):
            self.words += (fewest, *[0] * (witnesses + 1))

    def string(self, minimum: int, maximum: int | None, language: Language | None, home: int) -> int:
        """Strings that are alike share a record, and with it everything that is learned about it."""
        key = (minimum, maximum, language, home)
        pc = self.strings.get(key)
        if pc is None:
            pc = self.strings[key] = self.emit(STRING, *_bounds(minimum, maximum), 0, home, 0, 0, 0)
            if language is not None:
                self.blocks.refer(pc + 3, language, automaton_block)
                if minimum or maximum is not None:
                    self.blocks.refer(pc + STRING_LENGTHS, language, lengths_block)
                    self.words[pc + STRING_UNBOUNDED] = self.string(0, None, language, home)
        return pc

    def count_scarce_texts(self) -> None:
        """Tell how many texts are left where they may be used up; a short cut, so what has bounds does without."""
        for shapes, node in self.scarce:
            for shape in shapes.nodes[node]:
                if isinstance(shape, StringShape) and shape[:2] == (0, None) and shape.language is not None:
                    pc = self.string(0, None, shape.language, _home(shapes))
                    self.blocks.refer(pc + STRING_TEXTS, shape.language, texts_left)

    def names(self, names: Sequence[bytes]) -> int:
        """The table of `names` sorted by their bytes, followed by the bytes themselves, one a word."""
        order = sorted(range(len(names)), key=names.__getitem__)
        entries: list[int] = []
        blob = bytearray()
        previous = b""
        for index in order:
            name = names[index]
            if len(name) > MAXIMUM_NAME_BYTES:
                raise CompileBudgetExceeded(f"a property name has {len(name)} bytes, more than {MAXIMUM_NAME_BYTES}")
            common = 0
            if name[:1] == previous[:1]:
                for a, b in zip(previous, name, strict=False):
                    if a != b:
                        break
                    common += 1
            entries += (len(blob), len(name), common, index)
            blob += name
            previous = name
        place = len(self.words)
        self.words += (len(order), place + 2 + len(entries))
        self.words += entries
        self.words += blob
        return place


def _bounds(minimum: int, maximum: int | None) -> tuple[int, int]:
    """Both bounds as words, -1 for no upper one. An upper bound that no text can reach may be any such number."""
    if minimum > MAXIMUM_COUNT:
        raise CompileBudgetExceeded(f"at least {minimum} items or characters are more than a text can have")
    return minimum, -1 if maximum is None else min(maximum, MAXIMUM_COUNT)


def _home(shapes: JsonShapes) -> int:
    """The body state between the characters of a string."""
    return NORMAL if shapes.escapes is Escapes.ANY else MINIMAL


def _scarce_names(choices: Sequence[Choice]) -> dict[Language, int]:
    """The languages of names that one object could use up, and how many names they have."""
    scarce: dict[Language, int] = {}
    for choice in choices:
        names = MANY if choice.names is None else number_of_texts(choice.names)
        if choice.names is not None and names < MANY:
            scarce[choice.names] = names
    return scarce


def _distinct_items(shapes: JsonShapes) -> list[int]:
    """The nodes of items that must differ."""
    return [
        child
        for shapes_of_node in shapes.nodes
        for shape in shapes_of_node
        if isinstance(shape, _LISTS) and shape.is_distinct
        for child in children(shape)
    ]
