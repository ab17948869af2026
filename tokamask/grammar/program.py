"""Assembles a `RuleSet` into a program: one flat int32 array of records that the recogniser interprets.

A record's offset is its identity ("pc"). A *thread* of the recogniser is (pc, data, lexeme, escape, return): the
record it stands in, the data of its frame (items counted, position or set of properties), the automaton state of the
lexeme under way, the state inside a string's escape, and the configuration to return to.

Records (first word: the operation):

    END                                          the text is complete
    RETURN                                       go on in the return configuration
    CALL target next                             run `target` in a frame of its own, then `next`
    CHOICE n pc...                               any of these
    LOOP body minimum maximum                    body, counted in the frame's data (maximum -1: no end)
    LEXEME automaton next                        one lexeme, then `next`
    VALUE n pc...                                a JSON value, dispatched on its first byte
    STRING minimum maximum automaton home lengths unbounded
                                                 inside a JSON string (automaton 0: any text of these lengths), in
                                                 body state `home` between characters. Where an automaton has bounds
                                                 beside it: the block of its remaining lengths, and the STRING record
                                                 without the bounds (else 0)
    ARRAY_OPEN ARRAY_AFTER ARRAY_NEXT ...        after `[`, after an item, after `,`
    ITEMS_OPEN ITEMS_AFTER ITEMS_NEXT ...        the same places of an array that an automaton over items describes
    OBJECT_OPEN OBJECT_KEY OBJECT_COLON ...      after `{`, inside a key, after it, after `:`, after a value, after `,`
    EXITS                                        never in a configuration: names the mask of the tokens that close a
                                                 string in body state `escape` and go on in `return`

Arrays and objects occupy one word per place, so that a thread's pc tells where in the record it stands.

The names that an object does not declare are simply strings: where they are not all alike (name classes, counts,
witnesses), the object has *choices*, each a STRING record for the names beside the VALUE of such a property. A key is
then a thread of that record that returns to the place after the key.
"""

from __future__ import annotations

import struct
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, compress

import numpy as np
import numpy.typing as npt

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar import rules
from tokamask.grammar.body_states import MINIMAL, NORMAL
from tokamask.grammar.json_schema.cardinality import has_many_values
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
)
from tokamask.grammar.language import Language
from tokamask.grammar.other_names import Choice, choices_of, fewest_properties
from tokamask.grammar.text_counts import MANY, texts_left
from tokamask.grammar.text_lengths import UNBOUNDED, remaining_lengths

END, RETURN, CALL, CHOICE, LOOP, LEXEME = range(6)
VALUE, STRING, ARRAY_OPEN, ARRAY_AFTER, ARRAY_NEXT, ITEMS_OPEN, ITEMS_AFTER, ITEMS_NEXT = range(6, 14)
OBJECT_OPEN, OBJECT_KEY, OBJECT_COLON, OBJECT_VALUE, OBJECT_AFTER, OBJECT_NEXT = range(14, 20)
EXITS = 20
LAST_EPSILON = LOOP  # operations up to this one consume no byte

END_PC = 0
RETURN_PC = 1
EXITS_PC = 2

# Words of an ARRAY record, from its first word.
(
    ARRAY_WHITESPACE,
    ARRAY_MINIMUM,
    ARRAY_MAXIMUM,
    ARRAY_SATURATION,
    ARRAY_PREFIX_COUNT,
    ARRAY_REST,
    ARRAY_DISTINCT,
    ARRAY_DEARER,
    ARRAY_PREFIX,
) = range(3, 12)
# Words of an ITEMS record; of each of its states: whether the array may end, then pairs (VALUE, state after it), 0.
ITEMS_WHITESPACE, ITEMS_DISTINCT, ITEMS_STATES = 3, 4, 5
# Words of an OBJECT record, from its first word.
(
    OBJECT_WHITESPACE,
    OBJECT_COUNT,
    OBJECT_ADDITIONAL,
    OBJECT_IS_FREE,
    OBJECT_FRAME_WORDS,
    OBJECT_REQUIRED,
    OBJECT_AVAILABLE,
    OBJECT_NAMES,
    OBJECT_NEXT_REQUIRED,
    OBJECT_CHOICES,
    OBJECT_CHOICE_COUNT,
    OBJECT_IS_COUNTED,
    OBJECT_MINIMUM,
    OBJECT_MAXIMUM,
    OBJECT_WITNESSES,
    OBJECT_COVERS,
    OBJECT_HOME,
    OBJECT_REMEMBERS,
    OBJECT_PROPERTIES,
) = range(6, 25)
STRING_HOME, STRING_LENGTHS, STRING_UNBOUNDED, STRING_TEXTS = range(4, 8)  # of a STRING record; the first are above
# Words of a choice: STRING record of the names, VALUE record, witnesses met (a bit each), room for a cost. Where names
# may run out: how many there are, and the word of a frame that counts the unused ones (else 0).
CHOICE_MEETS, CHOICE_COST, CHOICE_NAMES, CHOICE_LEFT, CHOICE_WORDS = range(2, 7)

# Words of an automaton block: sizes, offsets (relative to the block) and the class of each byte.
AUTOMATON_STATES, AUTOMATON_CLASSES, AUTOMATON_ROWS, AUTOMATON_CLASS_START, AUTOMATON_CLASS_BYTES = range(5)
AUTOMATON_CLASS_OF = 5
ACCEPTING, LIVE = 1, 2  # flags in the first word of a state's row: may end here, may go on
# Words of a block of remaining lengths: the largest of the fewest code points to acceptance, whether all states have no
# end to them; then of each state the fewest and the most (-1: no end).
LENGTHS_LONGEST, LENGTHS_ARE_ENDLESS, LENGTHS_OF = range(3)

# Words of a frame: its length, required properties still missing, declared ones present, all of them (up to the largest
# number that matters), witnesses still missing; then the declared ones present as bits, or the position among them; and
# the names still unused.
FRAME_LENGTH, FRAME_MISSING, FRAME_PRESENT, FRAME_TOTAL, FRAME_PENDING, FRAME_HEADER = range(6)
NAME_WORDS = 4  # of a name table entry: start, length, common prefix with the entry before, declared index
MAXIMUM_NAME_BYTES = 4095  # a key's place in the name table packs the depth into 12 bits
DEPTH_BITS = 12
MAXIMUM_DISTINCT = 4096  # items of an array that must be there and differ
_OBJECT_PLACES = range(OBJECT_OPEN, OBJECT_NEXT + 1)
# How the items of an array must differ: not at all; with more values for each than there will be items; with few values
# for some, but more for each that must come than there are items before it.
NOT_DISTINCT, PLENTIFUL, SCARCE = range(3)
MAXIMUM_COUNT = (1 << 31) - 2  # of items or characters; no text that an arena can follow has as many


@dataclass(frozen=True)
class Program:
    """Immutable; `words` int32, `start` the pc to begin with, `records` the pcs of all records (int32, ascending)."""

    words: npt.NDArray[np.int32]
    start: int
    records: npt.NDArray[np.int32]


BlockMaker = Callable[[Language], npt.NDArray[np.int32]]


def assemble(rule_set: rules.RuleSet) -> Program:
    """Raises CompileBudgetExceeded for property names over 4,095 bytes and for hopelessly nested rules."""
    assembler = _Assembler()
    try:
        start = assembler.rule_set(rule_set)
    except RecursionError:
        message = "the grammar's expressions are nested too deeply; name parts of them as rules"
        raise CompileBudgetExceeded(message) from None
    return Program(assembler.finish(), start, _packed(assembler.records).copy())


def _packed(words: Sequence[int]) -> npt.NDArray[np.int32]:
    """The words as an array, int32, read-only. A third of the time that numpy takes to look at every one."""
    return np.frombuffer(struct.pack(f"={len(words)}i", *words), dtype=np.int32)


_blocks: weakref.WeakKeyDictionary[Language, npt.NDArray[np.int32]] = weakref.WeakKeyDictionary()


def automaton_block(language: Language) -> npt.NDArray[np.int32]:
    """The words of one automaton; made once per `Language` object."""
    block = _blocks.get(language)
    if block is None:
        states, classes = language.transitions.shape
        sizes = np.bincount(language.byte_class, minlength=classes)
        class_start = AUTOMATON_CLASS_OF + 256
        class_bytes = class_start + classes + 1
        first_row = class_bytes + 256
        block = np.empty(first_row + states * (classes + 1), dtype=np.int32)
        block[:AUTOMATON_CLASS_OF] = states, classes, first_row, class_start, class_bytes
        block[AUTOMATON_CLASS_OF:class_start] = language.byte_class
        block[class_start] = 0
        np.add.accumulate(sizes, out=block[class_start + 1 : class_bytes])
        block[class_bytes:first_row] = language.byte_class.argsort(kind="stable")
        # A class that no byte uses must not make a state look alive.
        transitions = language.transitions if sizes.all() else np.where(sizes > 0, language.transitions, -1)
        rows = block[first_row:].reshape(states, classes + 1)
        rows[:, 1:] = transitions
        rows[:, 0] = language.accepting * ACCEPTING + (np.maximum.reduce(transitions, axis=1) >= 0) * LIVE
        _blocks[language] = block
    return block


def lengths_block(language: Language) -> npt.NDArray[np.int32]:
    """The words that tell how many code points lead from each state of an automaton to acceptance."""
    remaining = remaining_lengths(language)
    header = [int(remaining[:, 0].max()), int((remaining[:, 1] == UNBOUNDED).all())]
    return np.concatenate((np.array(header, dtype=np.int32), remaining.ravel()))


class _Assembler:
    def __init__(self) -> None:
        self.words: list[int] = [END, RETURN, EXITS]
        self.records = [END_PC, RETURN_PC]
        # Blocks of words behind all records; where each begins, counted from the first, by what it is made of and how.
        self.blocks: list[npt.NDArray[np.int32]] = []
        self.block_offsets: dict[tuple[Language, BlockMaker], int] = {}
        self.block_words = 0
        self.references: list[int] = []  # words that hold such an offset
        self.values: dict[int, list[int]] = {}  # id of shapes -> pc of each node's VALUE, 0 until it has one
        self.remembered: dict[int, set[int]] = {}  # id of shapes -> nodes of what is read inside of items that differ
        self.strings: dict[tuple[int, int | None, Language | None, int], int] = {}
        self.scarce: list[tuple[JsonShapes, int]] = []  # nodes of items that must differ and have few values
        self.rule_pcs: dict[str, int] = {}

    def finish(self) -> npt.NDArray[np.int32]:
        self.count_scarce_texts()
        base = len(self.words)
        for place in self.references:
            self.words[place] += base
        return np.concatenate([_packed(self.words), *self.blocks])

    def emit(self, *words: int) -> int:
        """Append a record and return its pc."""
        pc = len(self.words)
        self.words.extend(words)
        self.records.append(pc)
        return pc

    def automaton(self, place: int, language: Language) -> None:
        """Let the word at `place` refer to the automaton of `language`."""
        self.block(place, language, automaton_block)

    def block(self, place: int, language: Language, made: BlockMaker) -> None:
        """Let the word at `place` refer to a block."""
        offset = self.block_offsets.get((language, made))
        if offset is None:
            block = made(language)
            offset = self.block_offsets[language, made] = self.block_words
            self.blocks.append(block)
            self.block_words += len(block)
        self.words[place] = offset
        self.references.append(place)

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
                self.automaton(pc + 1, language)
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
        self.remembered[id(shapes)] = _remembered_nodes(shapes)
        pending = [shapes.root]
        values[shapes.root] = self.reserve(shapes, shapes.root)
        while pending:
            node = pending.pop()
            for place, shape in enumerate(shapes.nodes[node], start=values[node] + 2):
                if not isinstance(shape, ScalarShape | StringShape):
                    for child in _children(shape):
                        if not values[child]:
                            values[child] = self.reserve(shapes, child)
                            pending.append(child)
                self.words[place] = self.shape(shapes, node, shape)
        return values[shapes.root]

    def reserve(self, shapes: JsonShapes, node: int) -> int:
        """The VALUE of a node, its alternatives still to come."""
        count = len(shapes.nodes[node])
        return self.emit(VALUE, count, *[-1] * count)

    def shape(self, shapes: JsonShapes, node: int, shape: Shape) -> int:
        """One alternative of a node."""
        match shape:
            case ObjectShape():
                return self.object(shapes, shape, shape.remembers or node in self.remembered[id(shapes)])
            case StringShape(minimum, maximum, language):
                return self.string(minimum, maximum, language, _home(shapes))
            case ScalarShape(language):
                pc = self.emit(LEXEME, 0, RETURN_PC)
                self.automaton(pc + 1, language)
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
        self.automaton(pc + ARRAY_WHITESPACE, shapes.whitespace)
        return pc

    def distinctness(self, shapes: JsonShapes, shape: ArrayShape | ItemsShape) -> int:
        if not shape.is_distinct:
            return NOT_DISTINCT
        if all(has_many_values(shapes.nodes, node) for node in set(_children(shape))):
            return PLENTIFUL
        return SCARCE

    def items(self, shapes: JsonShapes, shape: ItemsShape) -> int:
        distinct = self.distinctness(shapes, shape)
        pc = self.emit(ITEMS_OPEN, ITEMS_AFTER, ITEMS_NEXT, 0, distinct, *[0] * len(shape.states))
        self.automaton(pc + ITEMS_WHITESPACE, shapes.whitespace)
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
        self.automaton(pc + OBJECT_WHITESPACE, shapes.whitespace)
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
                if choice.names in scarce:
                    at = self.words[pc + OBJECT_CHOICES] + CHOICE_WORDS * number
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
                self.automaton(pc + 3, language)
                if minimum or maximum is not None:
                    self.block(pc + STRING_LENGTHS, language, lengths_block)
                    self.words[pc + STRING_UNBOUNDED] = self.string(0, None, language, home)
        return pc

    def count_scarce_texts(self) -> None:
        """Tell how many texts are left where they may be used up; a short cut, so what has bounds does without."""
        for shapes, node in self.scarce:
            for shape in shapes.nodes[node]:
                if isinstance(shape, StringShape) and shape[:2] == (0, None) and shape.language is not None:
                    pc = self.string(0, None, shape.language, _home(shapes))
                    self.block(pc + STRING_TEXTS, shape.language, texts_left)

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
        names = MANY if choice.names is None else int(texts_left(choice.names)[0])
        if choice.names is not None and names < MANY:
            scarce[choice.names] = names
    return scarce


def _remembered_nodes(shapes: JsonShapes) -> set[int]:
    """The nodes of whatever is remembered because items must differ: these items and all inside of them."""
    pending = [
        child
        for shapes_of_node in shapes.nodes
        for shape in shapes_of_node
        if isinstance(shape, ArrayShape | ItemsShape) and shape.is_distinct
        for child in _children(shape)
    ]
    nodes: set[int] = set()
    while pending:
        node = pending.pop()
        if node not in nodes:
            nodes.add(node)
            pending += [child for shape in shapes.nodes[node] for child in _children(shape)]
    return nodes


def _children(shape: Shape) -> Iterable[int]:
    """The nodes that a shape refers to."""
    match shape:
        case ObjectShape(properties, additional, classes):
            values = [node for _, node, _ in properties] + [names.node for names in classes] + [additional]
            return [node for node in values if node is not None] + [witness.node for witness in shape.witnesses]
        case ArrayShape(prefix, rest):
            return prefix if rest is None else (*prefix, rest)
        case ItemsShape(states):
            return [node for state in states for node, _ in state.items]
        case ScalarShape() | StringShape():
            return ()
