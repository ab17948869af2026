"""The texts of a node as one language: what names may be, and what values a small set has."""

from __future__ import annotations

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.json_schema.alternatives import joint_alternatives
from tokamask.grammar.json_schema.demands import Concern, Node, StringDemand
from tokamask.grammar.json_schema.obligations import pointer_of
from tokamask.grammar.json_schema.shaping import string_shape
from tokamask.grammar.json_schema.values import Kind
from tokamask.grammar.language import Language, any_text, empty, union
from tokamask.grammar.text_lengths import with_length


def text_language(node: Node) -> tuple[Language, tuple[Concern, ...]]:
    """The strings of a node, and what was assumed for them.

    Raises CompileBudgetExceeded, at the node's place, when they take too many states.
    """
    if not node:
        return any_text(), ()
    language = empty()
    concerns: tuple[Concern, ...] = ()
    try:
        for demand in joint_alternatives(node).get(Kind.STRING, ()):
            assert isinstance(demand, StringDemand)
            shape = string_shape(demand)
            if shape is not None:
                texts = any_text() if shape.language is None else shape.language
                language = union(language, with_length(texts, shape.minimum, shape.maximum))
                concerns += demand.concerns
    except CompileBudgetExceeded as error:
        raise CompileBudgetExceeded(error.message, pointer=error.pointer or pointer_of(node)) from None
    return language, concerns
