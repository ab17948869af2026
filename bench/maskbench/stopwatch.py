"""One file under one engine, every call timed by itself."""

from __future__ import annotations

import traceback
from dataclasses import replace
from time import perf_counter_ns

import numpy as np
import numpy.typing as npt

from bench.engines.engine import Engine, RefusedSchema, Session
from bench.machine import peak_memory
from bench.maskbench.records import Followed, Instance, Outcome, Record, Status, Trial

__all__ = ["measure"]

LONGEST_REASON = 500


def measure(engine: Engine, name: str, stop_token: int, trial: Trial) -> Record:
    """Compile the schema and follow each instance; whatever the engine raises ends in the record.

    The first valid instance goes first and continues the session of the first mask, so that it meets everything cold,
    as a request with a new schema does. At the end it is followed again, over masks that have been seen.
    """
    try:
        return _measure(engine, name, stop_token, trial)
    except RefusedSchema as refusal:
        reason = str(refusal)[:LONGEST_REASON]
        return Record(name, trial.file, Status.REFUSED, refusal.kind, reason, peak_kib=peak_memory())
    except Exception as error:
        reason = "".join(traceback.format_exception(error))[-LONGEST_REASON:]
        return Record(name, trial.file, Status.CRASH, type(error).__name__, reason, peak_kib=peak_memory())


def _measure(engine: Engine, name: str, stop_token: int, trial: Trial) -> Record:
    begun = perf_counter_ns()
    start = engine.compile(trial.schema)
    session = start()
    compiled = perf_counter_ns()
    session.fill()
    first_mask_ns = perf_counter_ns() - compiled
    compile_ns = compiled - begun

    followed = []
    instances = sorted(trial.instances, key=lambda one: not one.valid)
    for place, instance in enumerate(instances):
        if place == 0:
            followed.append(_follow(session, engine.row, stop_token, instance, [first_mask_ns]))
        else:
            followed.append(_follow(start(), engine.row, stop_token, instance, []))
    record = Record(name, trial.file, None, "", "", compile_ns, first_mask_ns, tuple(followed))
    if record.first_document is not None:
        again = _follow(start(), engine.row, stop_token, instances[0], [])
        record = replace(record, seen_mask_ns=again.mask_ns)
    return replace(record, peak_kib=peak_memory())


def _follow(
    session: Session, row: npt.NDArray[np.int32], stop_token: int, instance: Instance, mask_ns: list[int]
) -> Followed:
    """Follow the tokens of an instance; `mask_ns` holds the time of the first mask if that is filled already."""
    fill, commit, clock = session.fill, session.commit, perf_counter_ns
    commit_ns: list[int] = []

    def ended(outcome: Outcome) -> Followed:
        return Followed(instance.number, instance.valid, outcome, len(commit_ns), tuple(mask_ns), tuple(commit_ns))

    for place, token in enumerate(instance.tokens):
        if place == len(mask_ns):
            begun = clock()
            fill()
            mask_ns.append(clock() - begun)
        if not _is_allowed(row, token):
            # Beyond the measurement: a commit that takes what the mask refuses is wrong in one of the two.
            return ended(Outcome.DISAGREED if commit(token) else Outcome.REFUSED)
        begun = clock()
        is_taken = commit(token)
        finished = clock()
        if not is_taken:
            return ended(Outcome.DISAGREED)
        commit_ns.append(finished - begun)
    accepting = session.is_accepting()
    fill()
    if _is_allowed(row, stop_token) != accepting:
        return ended(Outcome.DISAGREED)
    return ended(Outcome.ACCEPTED if accepting else Outcome.REFUSED)


def _is_allowed(row: npt.NDArray[np.int32], token: int) -> bool:
    return bool(int(row[token >> 5]) >> (token & 31) & 1)
