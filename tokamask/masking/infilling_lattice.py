"""All canvases that a constraint accepts, as the paths of a layered graph.

Layer i holds the places where a document can be after i tokens, and only those from which the canvas can be finished.
A place is a configuration, a configuration behind the padding of a region, or the document's end. Places are
deterministic: every accepted canvas is exactly one path, so sums over paths are sums over canvases.

An edge carries a token class: tokens that lead to the same places everywhere in this lattice are in one class, and
classes are disjoint. A vocabulary of 131k tokens has some dozens to some hundreds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tokamask.errors import CompileBudgetExceeded, UnsatisfiableSchema, VocabularyMismatch
from tokamask.masking.infilling_canvas import Canvas, Slot
from tokamask.masking.infilling_graph import TokenGraph

__all__ = ["Lattice", "build_lattice"]

Words = npt.NDArray[np.int32]
Edges = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Sources, classes and targets."""

UNUSED = 0
"""The class of tokens that no open position takes; edges at given positions carry it, with a score of 0."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """Nodes are numbered layer by layer; node 0 is the beginning, and every node of the last layer is accepted.

    Attributes:
        layers: int32 (L + 2,): the nodes of layer i are layers[i] .. layers[i + 1] - 1.
        first_edge: int32 (nodes + 1,): the edges of node n are first_edge[n] .. first_edge[n + 1] - 1, by class.
        edge_class, edge_target: int32 (edges,).
        class_of: int32 (V,): the class of every token.
        classes: how many there are, UNUSED included.
        configurations: how many of the grammar's configurations take part.
    """

    canvas: Canvas
    layers: Words
    first_edge: Words
    edge_class: Words
    edge_target: Words
    class_of: Words
    classes: int
    configurations: int


@dataclass(frozen=True)
class _Layer:
    """Places before one position: configurations, configurations behind padding, and the document's end."""

    active: frozenset[int]
    padded: frozenset[int] = frozenset()
    ended: bool = False

    def __bool__(self) -> bool:
        return bool(self.active or self.padded or self.ended)


def build_lattice(
    graph: TokenGraph, canvas: Canvas, padding: Collection[int] = (), stop_token_ids: Collection[int] | None = None
) -> Lattice:
    """The canvases of exactly this length that hold a document, up to the canvas's end or a stop token and padding.

    Args:
        padding: ids that may follow the stop token, as stop tokens themselves may, and that fill what is left of a
            region (see `Mask.least`). Without stop tokens padding follows the document at once.
        stop_token_ids: in place of the vocabulary's own.

    Raises:
        UnsatisfiableSchema: no document fits the canvas.
        CompileBudgetExceeded: there are too many places or edges.
        VocabularyMismatch: a padding or stop token is text, or a region needs padding and there is none.
    """
    stops = graph.compiled.vocabulary.stop_token_ids if stop_token_ids is None else stop_token_ids
    return _Builder(graph, canvas, frozenset(padding), frozenset(stops)).build()


class _Builder:
    def __init__(self, graph: TokenGraph, canvas: Canvas, padding: frozenset[int], stops: frozenset[int]) -> None:
        vocabulary = graph.compiled.vocabulary
        self._graph = graph
        self._canvas = canvas
        self._exploration = graph.explore()
        self._stops = stops
        self._padding = padding
        self._ends = self._stops or self._padding
        for token in stops | padding:
            if not 0 <= token < vocabulary.size or vocabulary.token_bytes[token] is not None:
                raise VocabularyMismatch(
                    f"stop or padding token {token} must be an id of the vocabulary that is never text"
                )
        if not self._padding and Slot.LAST_SPARE in canvas.slots:
            raise VocabularyMismatch(
                "the canvas has a region that may be filled in part, and there is no padding token for the rest; "
                "give Mask(tokens) without least, or a model with a padding token"
            )

    def build(self) -> Lattice:
        ahead = self._reachable()
        layers = self._completable(ahead)
        return self._unroll(layers)

    # Which places take part.

    def _reachable(self) -> list[_Layer]:
        """The places that can be reached, layer by layer, but for those too far from any end."""
        length = len(self._canvas)
        layers = [_Layer(frozenset([self._graph.engine.start]))]
        for position, slot in enumerate(self._canvas.slots):
            layer = self._behind(layers[-1], slot, int(self._canvas.tokens[position]))
            left = length - position - 1
            layer = _Layer(self._near(layer.active, left), self._near(layer.padded, left), layer.ended)
            if not layer:
                raise UnsatisfiableSchema(self._no_document(position))
            layers.append(layer)
        return layers

    def _behind(self, layer: _Layer, slot: Slot, token: int) -> _Layer:
        """The places one position on."""
        if slot is Slot.GIVEN:
            behind = {self._graph.after_token(configuration, token) for configuration in layer.active} - {0}
            ends = (layer.ended and token in self._stops | self._padding) or (
                token in self._ends and any(map(self._graph.is_accepting, layer.active))
            )
            return _Layer(frozenset(behind), ended=ends)
        active: frozenset[int] = frozenset().union(*map(self._exploration.successors, layer.active))
        if slot is Slot.FREE:
            ends = layer.ended or (bool(self._ends) and any(map(self._graph.is_accepting, layer.active)))
            return _Layer(active, ended=ends)
        if slot is Slot.SPARE:
            return _Layer(active, layer.active | layer.padded, layer.ended)
        if slot is Slot.LAST_SPARE:
            return _Layer(active | layer.active | layer.padded, ended=layer.ended)
        return _Layer(active)

    def _near(self, configurations: Iterable[int], left: int) -> frozenset[int]:
        return frozenset(each for each in configurations if self._graph.fewest_tokens(each) <= left)

    def _completable(self, ahead: list[_Layer]) -> list[_Layer]:
        """Of these places the ones from which the canvas can be finished."""
        accepting = frozenset(filter(self._graph.is_accepting, ahead[-1].active))
        layers = [_Layer(accepting, ended=ahead[-1].ended)]
        if not layers[0]:
            raise UnsatisfiableSchema(self._no_document(len(self._canvas)))
        for position in range(len(self._canvas) - 1, -1, -1):
            slot, token, behind = self._canvas.slots[position], int(self._canvas.tokens[position]), layers[-1]
            layer = ahead[position]
            active = frozenset(each for each in layer.active if self._leads_on(each, slot, token, behind))
            padded = layer.padded & (behind.active if slot is Slot.LAST_SPARE else behind.padded)
            layers.append(_Layer(active, padded, layer.ended and behind.ended))
            if not layers[-1]:
                raise UnsatisfiableSchema(self._no_document(len(self._canvas)))
        return layers[::-1]

    def _leads_on(self, configuration: int, slot: Slot, token: int, behind: _Layer) -> bool:
        """Whether something that may stand at a position leads from a configuration to a place behind it."""
        if slot is Slot.GIVEN:
            if behind.ended and token in self._ends and self._graph.is_accepting(configuration):
                return True
            return self._graph.after_token(configuration, token) in behind.active
        if not behind.active.isdisjoint(self._exploration.successors(configuration)):
            return True
        if slot is Slot.FREE:
            return behind.ended and self._graph.is_accepting(configuration)
        if slot is Slot.SPARE:
            return configuration in behind.padded
        return slot is Slot.LAST_SPARE and configuration in behind.active

    def _no_document(self, position: int) -> str:
        """Why there is none: what is given at `position` cannot stand there, or nothing ends with the canvas."""
        canvas, vocabulary = self._canvas, self._graph.compiled.vocabulary
        if position < len(canvas) and canvas.slots[position] is Slot.GIVEN:
            token = int(canvas.tokens[position])
            return (
                f"token {token} ({vocabulary.token_bytes[token]!r}) is given at position {position} of the canvas, and "
                "no document of the constraint that agrees with what is before it has it there"
            )
        if len(canvas.regions) == 1 and len(canvas.regions[0]) == len(canvas):
            needed = self._graph.engine.shortest.length(self._graph.engine.start)
            if needed > len(canvas):
                return f"the shortest document needs {needed} tokens and the canvas has {len(canvas)}"
        return f"no document of the constraint fits the canvas of {len(canvas)} tokens with what is given in it"

    # Numbers.

    def _unroll(self, layers: list[_Layer]) -> Lattice:
        """Number the places and join them."""
        canvas = self._canvas
        met: set[int] = set().union(*(layer.active | layer.padded for layer in layers))
        configurations = sorted(met)
        # States: configuration k is k, behind padding count + k, and the document's end is 2 * count.
        count = len(configurations)
        state = {configuration: k for k, configuration in enumerate(configurations)}
        sources = sorted(
            {
                configuration
                for slot, layer in zip(canvas.slots, layers, strict=False)
                if slot is not Slot.GIVEN
                for configuration in layer.active
            }
        )
        class_of, text, classes = self._text_edges(sources, state)
        edges, class_of, classes = self._edges_by_slot(text, class_of, classes, state)

        starts = [0]
        first_edges: list[Words] = []
        edge_classes: list[Words] = []
        edge_targets: list[Words] = []
        edge_count = 0
        numbers = [self._states(layer, state) for layer in layers]
        node_of = np.full(2 * count + 1, -1, dtype=np.int64)
        node_behind = node_of.copy()
        for position, slot in enumerate(canvas.slots):
            here, behind = numbers[position], numbers[position + 1]
            starts.append(starts[-1] + len(here))
            node_of[here] = np.arange(len(here))
            node_behind[behind] = starts[-1] + np.arange(len(behind))
            if slot is Slot.GIVEN:
                source, kind, target = self._given_edges(layers[position], int(canvas.tokens[position]), state)
            else:
                source, kind, target = edges[slot]
            kept = (node_of[source] >= 0) & (node_behind[target] >= 0)
            fan_out = np.bincount(node_of[source[kept]], minlength=len(here))
            first_edges.append((edge_count + np.cumsum(fan_out) - fan_out).astype(np.int32))
            edge_classes.append(kind[kept].astype(np.int32))
            edge_targets.append(node_behind[target[kept]].astype(np.int32))
            edge_count += int(np.count_nonzero(kept))
            if edge_count > self._graph.budget.edges:
                raise CompileBudgetExceeded(
                    f"the canvas of {len(canvas)} tokens has more than InfillingBudget.edges="
                    f"{self._graph.budget.edges} edges under this constraint; ask for fewer tokens or bound the grammar"
                )
            node_of[here] = -1
            node_behind[behind] = -1
        starts += [starts[-1] + len(numbers[-1])]
        first_edges.append(np.full(len(numbers[-1]) + 1, edge_count, dtype=np.int32))
        return Lattice(
            canvas=canvas,
            layers=np.array(starts, dtype=np.int32),
            first_edge=np.concatenate(first_edges),
            edge_class=np.concatenate(edge_classes),
            edge_target=np.concatenate(edge_targets),
            class_of=class_of,
            classes=classes,
            configurations=count,
        )

    def _states(self, layer: _Layer, state: dict[int, int]) -> npt.NDArray[np.int64]:
        """The states of a layer, ascending."""
        count = len(state)
        numbers = [state[each] for each in layer.active] + [count + state[each] for each in layer.padded]
        return np.array(sorted(numbers) + [2 * count] * layer.ended, dtype=np.int64)

    def _text_edges(self, sources: list[int], state: dict[int, int]) -> tuple[Words, Edges, int]:
        """Token classes, as coarse as these configurations and states allow, and what text leads where.

        Classes are numbered by their first tokens, so they do not depend on what the graph has learned besides.
        """
        fine_of, columns = self._graph.columns(sources)
        if not sources:  # the document is over before the first open position
            return np.full_like(fine_of, UNUSED), _columns([]), 1
        state_of = np.full(max(state) + 1, -1, dtype=np.int64)
        state_of[list(state)] = list(state.values())
        behind = np.full((len(sources), int(fine_of.max()) + 1), -1, dtype=np.int64)
        for row, column in enumerate(columns):
            known = (column > 0) & (column < len(state_of))
            behind[row, known] = state_of[column[known]]
        distinct, coarse_of = np.unique(behind, axis=1, return_inverse=True)
        unordered = coarse_of.reshape(-1)[fine_of]
        _, first_token = np.unique(unordered, return_index=True)
        # Some columns may belong to no token (class 0 of the graph may be empty).
        used = unordered[np.sort(first_token)]
        used = used[(distinct[:, used] >= 0).any(axis=0)]
        order = np.zeros(distinct.shape[1], dtype=np.int32)
        order[used] = 1 + np.arange(len(used))
        by_class = distinct[:, used]
        row_of, class_of_edge = np.nonzero(by_class >= 0)
        state_of_row = np.array([state[source] for source in sources], dtype=np.int64)
        edges = (state_of_row[row_of], 1 + class_of_edge, by_class[row_of, class_of_edge])
        return order[unordered], edges, 1 + len(used)

    def _edges_by_slot(
        self, text: Edges, class_of: Words, classes: int, state: dict[int, int]
    ) -> tuple[dict[Slot, Edges], Words, int]:
        """Where an open position leads, by its kind; classes of stop and padding tokens come after those of text."""
        class_of = class_of.copy()
        ends: list[int] = []  # classes of what ends a document
        pads: list[int] = []
        for group in (self._stops - self._padding, self._stops & self._padding, self._padding - self._stops):
            if group:
                class_of[list(group)] = classes
                if group & self._ends:
                    ends.append(classes)
                if group & self._padding:
                    pads.append(classes)
                classes += 1
        count = len(state)
        end = 2 * count
        active = range(count)
        accepting = [state[each] for each in state if self._graph.is_accepting(each)]
        to_end = [(k, kind, end) for k in accepting for kind in ends]
        stay = [(end, kind, end) for kind in sorted({*ends, *pads})]
        to_padding = [(k, kind, count + k) for k in active for kind in pads]
        pad_on = [(count + k, kind, count + k) for k in active for kind in pads]
        pad_off = [(k, kind, k % count) for k in range(2 * count) for kind in pads]
        return (
            {
                Slot.FREE: _merged(text, to_end + stay),
                Slot.TEXT: text,
                Slot.SPARE: _merged(text, to_padding + pad_on + stay),
                Slot.LAST_SPARE: _merged(text, pad_off + stay),
            },
            class_of,
            classes,
        )

    def _given_edges(self, layer: _Layer, token: int, state: dict[int, int]) -> Edges:
        """Where the token of a given position leads."""
        end = 2 * len(state)
        found = []
        for configuration in sorted(layer.active):
            behind = state.get(self._graph.after_token(configuration, token))
            if behind is not None:
                found.append((state[configuration], UNUSED, behind))
            elif token in self._ends and self._graph.is_accepting(configuration):
                found.append((state[configuration], UNUSED, end))
        if layer.ended:
            found.append((end, UNUSED, end))
        return _columns(found)


def _merged(text: Edges, others: list[tuple[int, int, int]]) -> Edges:
    """Edges by source, then class."""
    source, kind, target = (np.concatenate(pair) for pair in zip(text, _columns(others), strict=True))
    order = np.lexsort((kind, source))
    return source[order], kind[order], target[order]


def _columns(edges: list[tuple[int, int, int]]) -> Edges:
    table = np.array(edges, dtype=np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]
