"""The methods of `generate`: how the samples of a call are drawn when masks alone do not decide.

- mask: each token from what the constraint allows (the decoding loop of `decode`, unless there are checkers).
- awrs: each token by rejection, with a proper weight (`proposal`); samples are independent.
- smc: the same with the n samples of a prompt as one population that is resampled (`smc`).
- asap, weighted, cars: samples that share a trie of what was learned from earlier ones (`oracle_sampling`).

Checkers are asked by the first three.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tokamask.runtime.chance import KeyedChance
from tokamask.runtime.checkers.panel import Panel, read_checkers
from tokamask.runtime.draw import Draw
from tokamask.runtime.particle import Particle
from tokamask.runtime.proposal import Proposal, by_mask, by_preference, by_test
from tokamask.runtime.results import Mass
from tokamask.runtime.sampling import Sampling
from tokamask.runtime.smc import draw_particles

if TYPE_CHECKING:
    from tokamask.runtime.call import Call

__all__ = ["Drawn", "Method", "Plan", "draw_samples", "new_particle", "read_plan", "write"]

RESAMPLE_BELOW = 0.5
"""The effective sample size, as a share of n, below which a population is resampled: the usual compromise between
keeping particles apart and wasting steps on those that no longer count."""


class Method(StrEnum):
    """See the head of this file."""

    MASK = "mask"
    AWRS = "awrs"
    SMC = "smc"
    ASAP = "asap"
    WEIGHTED = "weighted"
    CARS = "cars"


ON_A_TRIE: dict[Method, Literal["asap", "weighted", "cars"]] = {
    Method.ASAP: "asap",
    Method.WEIGHTED: "weighted",
    Method.CARS: "cars",
}


@dataclass(frozen=True, eq=False)
class Plan:
    """How the samples of a call are drawn."""

    method: Method
    panel: Panel

    @property
    def is_plain(self) -> bool:
        """Whether the masks alone decide, so that the decoding loop draws."""
        return self.method is Method.MASK and not self.panel

    @property
    def draws_on_trie(self) -> bool:
        return self.method in ON_A_TRIE

    def check(self, sampling: Sampling, *, all_constrained: bool, has_stop_texts: bool, has_own_drafts: bool) -> None:
        """Refuse what does not go together.

        Args:
            all_constrained: whether every prompt has a constraint.
            has_stop_texts: whether texts are to end the output.
            has_own_drafts: whether the user says how to draft.

        Raises:
            ValueError: the message says what to change.
        """
        if self.is_plain:
            return
        name = "checkers" if self.method is Method.MASK else f"method {self.method.value!r}"
        if self.method is not Method.MASK and sampling.truncates:
            raise ValueError(
                f"{name} draws from the model's own law with exact weights, which greedy choice, top_k, top_p and "
                "min_p leave; use Sampling(temperature=...) with a temperature above 0, or method 'mask'"
            )
        if self.draws_on_trie and self.panel:
            raise ValueError(f"{name} takes no checkers; use 'mask', 'awrs' or 'smc'")
        if self.draws_on_trie and not all_constrained:
            raise ValueError(f"{name} needs a constraint: pass schema, regex, grammar or choices for every prompt")
        if not all_constrained and not self.panel:
            raise ValueError(f"{name} needs something to satisfy: pass a constraint for every prompt, or checkers")
        if has_stop_texts:
            raise ValueError(f"stop texts do not go with {name}; stop token ids do")
        if has_own_drafts:
            raise ValueError(f"drafts do not go with {name}; leave speculation at 'auto' or None")


class Drawn(NamedTuple):
    """A draw, the place of its row in the call, and what its method knows of the constraint's mass (None: nothing
    beyond the weights)."""

    place: int
    draw: Draw
    mass: Mass | None


def read_plan(method: str, checkers: Sequence[Any]) -> Plan:
    """The plan for the arguments of `generate`.

    Raises:
        ValueError: no such method.
        TypeError: something that is no checker.
    """
    if method not in set(Method):
        raise ValueError(f"method is {method!r}; it must be one of {', '.join(repr(one.value) for one in Method)}")
    return Plan(Method(method), read_checkers(checkers))


def draw_samples(call: Call, plan: Plan, rows_at_once: int) -> Iterator[Drawn]:
    """All rows of a call, each as soon as it is finished; of one population, when all of it is.

    Raises:
        InvalidLogits: from the model.
        CheckerError: from a checker.
    """
    places = range(len(call.tasks) * call.n)
    if plan.draws_on_trie:
        for start in places[:: call.n]:
            yield from _draw_on_trie(call, ON_A_TRIE[plan.method], start)
    elif plan.method is Method.SMC:
        for start in places[:: call.n]:
            yield from _draw_population(call, plan, range(start, start + call.n))
    else:
        # Prompts of like length side by side: less padding.
        by_length = sorted(places, key=lambda place: len(call.task(place).prompt.token_ids))
        for start in range(0, len(by_length), rows_at_once):
            yield from _draw_independent(call, plan, by_length[start : start + rows_at_once])


def new_particle(call: Call, plan: Plan, place: int) -> Particle:
    """The particle of a row, at its beginning."""
    return Particle(call.request(place, attempt=0), plan.panel, must_end=plan.method is not Method.MASK)


def write(call: Call, plan: Plan, particles: Sequence[Particle]) -> Iterator[Sequence[Particle]]:
    """Write independent particles; see `draw_particles`."""
    return draw_particles(call.model, particles, _proposal(call, plan), call.sampling, KeyedChance())


def _draw_independent(call: Call, plan: Plan, places: Sequence[int]) -> Iterator[Drawn]:
    pending = set(range(len(places)))
    for particles in write(call, plan, [new_particle(call, plan, place) for place in places]):
        for index in sorted(pending):
            if particles[index].is_finished:
                pending.remove(index)
                yield Drawn(places[index], particles[index].draw(), None)


def _draw_population(call: Call, plan: Plan, places: Sequence[int]) -> Iterator[Drawn]:
    particles = [new_particle(call, plan, place) for place in places]
    steps = draw_particles(
        call.model, particles, _proposal(call, plan), call.sampling, KeyedChance(), threshold=RESAMPLE_BELOW
    )
    (population,) = deque(steps, maxlen=1)
    for place, particle in zip(places, population, strict=True):
        yield Drawn(place, particle.draw(), None)


def _draw_on_trie(call: Call, mode: Literal["asap", "weighted", "cars"], start: int) -> Iterator[Drawn]:
    from tokamask.runtime.oracle_sampling import draw_on_trie

    drawn = draw_on_trie(call.model, call.request(start, attempt=0), call.n, mode, call.sampling.temperature)
    mass = Mass(drawn.log_z, drawn.bounds)
    for place, draw in enumerate(drawn.draws, start):
        yield Drawn(place, draw, mass)


def _proposal(call: Call, plan: Plan) -> Proposal:
    if call.sampling.truncates:
        return by_preference
    return by_test if plan.method is Method.AWRS and not plan.panel else by_mask
