"""Whether properties in another order than declared are all that is wrong with an instance."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from bench.maskbench.records import Outcome, Record, Trial
from tokamask.errors import TokamaskError
from tokamask.grammar.grammar import Grammar

__all__ = ["with_order_explained"]


def with_order_explained(record: Record, trial: Trial, spell: Callable[[tuple[int, ...]], bytes]) -> Record:
    """The record with `is_out_of_order` set, for any engine alike.

    An engine that follows the declared order cannot accept such instances; the tables give them a column of their own.
    The judge is tokamask's reader of texts, which knows no vocabulary: the text is out of order if the schema takes it
    in any order and not in the declared one.
    """
    texts = {instance.number: spell(instance.tokens) for instance in trial.instances}
    return replace(
        record,
        followed=tuple(
            replace(one, is_out_of_order=True)
            if one.valid and one.outcome is Outcome.REFUSED and _is_out_of_order(trial.schema, texts[one.number])
            else one
            for one in record.followed
        ),
    )


def _is_out_of_order(schema: str, text: bytes) -> bool:
    try:
        declared = Grammar.from_json_schema(json.loads(schema), property_order="schema")
        free = Grammar.from_json_schema(json.loads(schema), property_order="any")
        return free.check(text).ok and not declared.check(text).ok
    except TokamaskError:  # a schema that tokamask refuses: nothing is known
        return False
