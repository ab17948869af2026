"""What an engine is given for one file of MaskBench, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Followed", "Instance", "Outcome", "Record", "Status", "Trial"]


@dataclass(frozen=True)
class Instance:
    """A text of a file, as token ids, and whether the schema allows it; `number` is its place in the file, from 0."""

    number: int
    valid: bool
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Trial:
    """One file: a schema as JSON text, and its instances."""

    file: str
    schema: str
    instances: tuple[Instance, ...]


class Outcome(StrEnum):
    """How far an engine followed an instance."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    DISAGREED = "disagreed"
    """Its mask and its commit (or its mask and its word about the end) said different things."""


class Status(StrEnum):
    """What became of one file under one engine, by the worst that happened; the order of the tables."""

    PASSING = "passing"
    REFUSED = "refused"
    VALID_REJECTED = "valid rejected"
    OUT_OF_ORDER = "valid out of declared order rejected"
    INVALID_ACCEPTED = "invalid accepted"
    DISAGREED = "mask/commit disagree"
    TIMEOUT = "timeout"
    CRASH = "crash"

    @property
    def is_compiled(self) -> bool:
        """Whether the engine compiled the schema and followed every instance."""
        return self not in (Status.REFUSED, Status.TIMEOUT, Status.CRASH)


@dataclass(frozen=True)
class Followed:
    """An instance under an engine.

    Attributes:
        at: how many tokens were taken before the outcome.
        mask_ns: the time of each mask. The first one of the first instance also counts in the time to first mask.
        commit_ns: the time of each commit; one less than masks when a mask refused a token.
        is_out_of_order: of a valid instance that was not accepted: whether its properties stand out of the order
            in which the schema declares them, and nothing else is wrong with it.
    """

    number: int
    valid: bool
    outcome: Outcome
    at: int
    mask_ns: tuple[int, ...]
    commit_ns: tuple[int, ...]
    is_out_of_order: bool = False

    @property
    def is_right(self) -> bool:
        return self.outcome is (Outcome.ACCEPTED if self.valid else Outcome.REFUSED)


@dataclass(frozen=True)
class Record:
    """One file under one engine.

    Attributes:
        failure: REFUSED, TIMEOUT or CRASH where the file could not be followed; None where it was.
        kind: of a failure: what the tables count it under.
        reason: of a failure: what the engine said.
        compile_ns: from the schema's text to a session.
        first_mask_ns: the first mask of that session.
        followed: the instances; the first valid one comes first, in that first session.
        seen_mask_ns: the masks of the first valid instance, followed once more at the end.
        peak_kib: the most memory that the engine's process has held so far.
    """

    engine: str
    file: str
    failure: Status | None = None
    kind: str = ""
    reason: str = ""
    compile_ns: int = 0
    first_mask_ns: int = 0
    followed: tuple[Followed, ...] = ()
    seen_mask_ns: tuple[int, ...] = ()
    peak_kib: int = 0

    @property
    def status(self) -> Status:
        if self.failure is not None:
            return self.failure
        if rejected := [one for one in self.followed if one.valid and one.outcome is Outcome.REFUSED]:
            in_order = any(not one.is_out_of_order for one in rejected)
            return Status.VALID_REJECTED if in_order else Status.OUT_OF_ORDER
        if any(not one.valid and one.outcome is Outcome.ACCEPTED for one in self.followed):
            return Status.INVALID_ACCEPTED
        if any(one.outcome is Outcome.DISAGREED for one in self.followed):
            return Status.DISAGREED
        return Status.PASSING

    @property
    def first_document(self) -> Followed | None:
        """The first valid instance, if it was accepted: it met the schema fresh from the compiler."""
        if self.followed and self.followed[0].valid and self.followed[0].is_right:
            return self.followed[0]
        return None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        followed = tuple(
            Followed(
                **{
                    **one,
                    "outcome": Outcome(one["outcome"]),
                    "mask_ns": tuple(one["mask_ns"]),
                    "commit_ns": tuple(one["commit_ns"]),
                }
            )
            for one in data["followed"]
        )
        failure = None if data["failure"] is None else Status(data["failure"])
        return cls(**{**data, "failure": failure, "followed": followed, "seen_mask_ns": tuple(data["seen_mask_ns"])})
