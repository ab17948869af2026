"""Several texts under one schema, side by side."""

from __future__ import annotations

from time import perf_counter_ns

from bench.engines.engine import Engine, RefusedSchema
from bench.machine import peak_memory
from bench.maskbench.records import Followed, Outcome, Record, Status, Trial

__all__ = ["measure_batch"]


def measure_batch(engine: Engine, name: str, stop_token: int, trial: Trial) -> Record:
    """Follow all instances of a trial at once; they are one text, and row i of n begins i / 2n of its length ahead.

    Returns:
        A record with one text, whose `mask_ns` and `commit_ns` are the times of one step for one row, over the half of
        the text that every row has before it.
    """
    tokens, rows = trial.instances[0].tokens, len(trial.instances)
    begun = perf_counter_ns()
    try:
        start = engine.compile(trial.schema)
        sessions = [start()]
    except RefusedSchema as refusal:
        return Record(name, trial.file, Status.REFUSED, refusal.kind, str(refusal), peak_kib=peak_memory())
    compiled = perf_counter_ns()
    sessions[0].fill()
    filled = perf_counter_ns()

    sessions += [start() for _ in range(rows - 1)]
    places = [row * len(tokens) // (2 * rows) for row in range(rows)]
    is_taken = all(session.commit(token) for session, at in zip(sessions, places, strict=True) for token in tokens[:at])
    mask_ns, commit_ns = [], []
    for step in range(len(tokens) // 2):
        if not is_taken:
            break
        began = perf_counter_ns()
        for session in sessions:
            session.fill()
        masked = perf_counter_ns()
        is_taken = all(session.commit(tokens[at + step]) for session, at in zip(sessions, places, strict=True))
        mask_ns.append((masked - began) // rows)
        commit_ns.append((perf_counter_ns() - masked) // rows)
    outcome = Outcome.ACCEPTED if is_taken else Outcome.REFUSED
    text = Followed(0, True, outcome, len(commit_ns), tuple(mask_ns), tuple(commit_ns))
    return Record(
        name,
        trial.file,
        compile_ns=compiled - begun,
        first_mask_ns=filled - compiled,
        followed=(text,),
        peak_kib=peak_memory(),
    )
