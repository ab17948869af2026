"""The decoding loop on a random Llama in float64, with constraints small enough to enumerate."""

import math
from collections.abc import Sequence
from typing import cast

import pytest
import torch

from tests.runtime.finite_matcher import FiniteMatcher, all_spellings
from tests.runtime.tiny_models import tiny_llama, tiny_tokenizer
from tokamask.masking.matcher import Matcher
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.decode import Request, Row, decode
from tokamask.runtime.model import Model
from tokamask.runtime.model_loader import load_model
from tokamask.runtime.prompts import Prompt
from tokamask.runtime.results import FinishReason
from tokamask.runtime.sampling import Sampling

GREEDY = Sampling(temperature=0)
TEXTS = ["the whale", "the whales", "a boat", "then", "there is nothing", "né", ""]
PROMPTS = ["the captain said", "water", '{"name": "Ishmael", "year"', "the sea and the whale and the sea and", "a"]


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(tiny_llama(), tiny_tokenizer())


def request(
    model: Model,
    text: str,
    texts: Sequence[str] | None = None,
    *,
    max_tokens: int = 24,
    seed: int = 0,
    sample: int = 0,
    stop: Sequence[str] = (),
) -> Request:
    """A row for `text`, not healed; `texts` are the documents that it may write."""
    return Request(
        prompt=Prompt(tuple(model.encode_text(text))),
        vocabulary=model.vocabulary,
        matcher=None if texts is None else matcher(model.vocabulary, texts),
        max_tokens=max_tokens,
        seed=seed,
        sample=sample,
        stop_strings=tuple(one.encode() for one in stop),
    )


def matcher(vocabulary: Vocabulary, texts: Sequence[str]) -> Matcher:
    return cast(Matcher, FiniteMatcher([text.encode() for text in texts], vocabulary))


def finish(model: Model, requests: Sequence[Request], sampling: Sampling) -> list[Row]:
    """Decode to the end; the finished rows in the order of their requests."""
    finished: dict[int, Row] = {}
    for rows in decode(model, requests, sampling):
        finished.update({id(row.request): row for row in rows if row.finish_reason is not None})
    return [finished[id(one)] for one in requests]


def model_law(model: Model, token_ids: Sequence[int], temperature: float = 1.0) -> torch.Tensor:
    """log p(next token | token_ids), float64 (V,), without any cache or padding."""
    with torch.no_grad():
        logits = tiny_llama()(input_ids=torch.tensor([list(token_ids)])).logits[0, -1]
    law: torch.Tensor = (logits / temperature).log_softmax(dim=-1)
    return law


@pytest.mark.parametrize("text", PROMPTS)
def test_greedy_free_text_is_that_of_transformers(model: Model, text: str) -> None:
    (row,) = finish(model, [request(model, text, max_tokens=30)], GREEDY)
    ids = torch.tensor([model.encode_text(text)])
    expected = tiny_llama().generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=30, pad_token_id=0
    )
    assert row.token_ids == expected[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.3])
def test_a_batch_writes_what_its_rows_write_alone(model: Model, temperature: float) -> None:
    def requests() -> list[Request]:
        return [
            request(model, text, texts, seed=seed, max_tokens=8 + 2 * seed)
            for seed, (text, texts) in enumerate(zip(PROMPTS, [TEXTS, None, TEXTS[2:], ["a boat"], None], strict=True))
        ]

    sampling = Sampling(temperature=temperature)
    together = finish(model, requests(), sampling)
    for row, one in zip(together, requests(), strict=True):
        (alone,) = finish(model, [one], sampling)
        assert row.token_ids == alone.token_ids
        assert bytes(row.text) == bytes(alone.text)
        assert row.logprobs == pytest.approx(alone.logprobs, abs=1e-9)
        assert row.log_weight == pytest.approx(alone.log_weight, abs=1e-9)
        assert row.finish_reason is alone.finish_reason


def test_samples_of_one_prompt_are_those_of_their_own_prompts(model: Model) -> None:
    """Rows that share the prompt's keys and values write what they would after reading it themselves."""
    own = [request(model, "the captain said", seed=5, sample=sample, max_tokens=12) for sample in range(4)]
    prompt = own[0].prompt
    shared = [Request(prompt, model.vocabulary, None, 12, seed=5, sample=one.sample) for one in own]
    rows = finish(model, shared, Sampling())
    assert [row.token_ids for row in rows] == [row.token_ids for row in finish(model, own, Sampling())]
    assert len({tuple(row.token_ids) for row in rows}) == 4


def test_a_seed_repeats_and_another_differs(model: Model) -> None:
    first, again, other = (
        finish(model, [request(model, "water", seed=seed)], Sampling())[0].token_ids for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("temperature", [0.0, 1.0, 3.0])
def test_every_budget_from_the_shortest_document_on_is_kept(model: Model, temperature: float) -> None:
    for texts in ([TEXTS[0]], TEXTS[1:3], TEXTS[4:6], TEXTS):
        minimum = matcher(model.vocabulary, texts).min_tokens_left()
        for budget in range(minimum, minimum + 12):
            (row,) = finish(
                model, [request(model, "water", texts, max_tokens=budget, seed=budget)], Sampling(temperature)
            )
            assert len(row.token_ids) <= budget
            assert row.text.decode() in texts
            assert row.finish_reason is FinishReason.STOP


def test_without_stop_tokens_the_document_ends_when_nothing_can_follow(model: Model) -> None:
    class EndingMatcher(FiniteMatcher):
        """Terminated as a matcher without stop tokens is: when nothing can follow."""

        def accept_token(self, token: int) -> None:
            super().accept_token(token)
            longer = [text for text in self.texts if text.startswith(self.spelled) and text != self.spelled]
            self.is_terminated = not longer

    for texts, budget in ((["a boat"], 20), (["then"], 1), (["a", "aaaa"], 3)):
        one = request(model, "water", max_tokens=budget)
        vocabulary = model.vocabulary.with_stop_tokens([])
        own = cast(Matcher, EndingMatcher([text.encode() for text in texts], vocabulary))
        budget = max(budget, own.min_tokens_left())
        (row,) = finish(model, [Request(one.prompt, vocabulary, own, budget, seed=3)], Sampling())
        assert row.text.decode() in texts
        assert row.finish_reason is FinishReason.STOP


def test_weights_and_probabilities_are_those_of_enumeration(model: Model) -> None:
    """For every complete sequence: log_weight = log P(sequence) - log Q(sequence), worked out prefix by prefix."""
    temperature, budget = 1.7, 7
    texts = ["an", "and the", "to"]
    one = request(model, "water", texts, max_tokens=budget)
    prompt = one.prompt.token_ids
    stop = model.vocabulary.stop_token_ids[0]
    sequences = [
        (*spelling, stop)
        for text in texts
        for spelling in all_spellings(text.encode(), model.vocabulary)
        if len(spelling) < budget
    ]
    p: dict[tuple[int, ...], float] = {}
    q: dict[tuple[int, ...], float] = {}
    for sequence in sequences:
        log_p = log_q = 0.0
        for length, token in enumerate(sequence):
            law = model_law(model, (*prompt, *sequence[:length]), temperature)
            following = {other[length] for other in sequences if other[:length] == sequence[:length]}
            log_p += law[token].item()
            log_q += law[token].item() - law[sorted(following)].logsumexp(dim=0).item()
        p[sequence], q[sequence] = log_p, log_q
    assert sum(map(math.exp, q.values())) == pytest.approx(1.0)

    count = 400
    shared = [
        Request(one.prompt, model.vocabulary, matcher(model.vocabulary, texts), budget, seed=8, sample=sample)
        for sample in range(count)
    ]
    rows = finish(model, shared, Sampling(temperature))
    drawn: dict[tuple[int, ...], int] = {}
    for row in rows:
        sequence = tuple(row.token_ids)
        drawn[sequence] = drawn.get(sequence, 0) + 1
        assert sum(row.logprobs) == pytest.approx(p[sequence])
        assert row.log_weight == pytest.approx(p[sequence] - q[sequence])

    # And the law of what is drawn is Q: bins of at least five expected, the rest in one.
    large = {sequence: count * math.exp(log_q) for sequence, log_q in q.items() if count * math.exp(log_q) >= 5}
    rest = count - sum(large.values())
    chi_square = sum((drawn.get(sequence, 0) - expected) ** 2 / expected for sequence, expected in large.items())
    chi_square += (sum(drawn.values()) - sum(drawn.get(s, 0) for s in large) - rest) ** 2 / max(rest, 1e-9)
    assert len(large) >= 4
    assert chi_square < len(large) + 4.5 * math.sqrt(2 * len(large))


def test_a_stop_string_ends_free_text_before_it(model: Model) -> None:
    (free,) = finish(model, [request(model, "water", seed=4, max_tokens=30)], Sampling())
    text = free.text.decode("latin-1")
    for start, end in ((3, 4), (5, 8), (len(text) - 4, len(text) - 1), (0, 2)):
        stop = bytes(free.text[start:end])
        one = request(model, "water", seed=4, max_tokens=30)
        cut = Request(one.prompt, one.vocabulary, None, 30, seed=4, stop_strings=(b"\xff\xffnever", stop))
        (row,) = finish(model, [cut], Sampling())
        assert bytes(row.text) == bytes(free.text[: free.text.find(stop)])
        assert row.finish_reason is FinishReason.STOP
        assert row.token_ids == free.token_ids[: len(row.token_ids)]


def test_of_two_stop_strings_the_one_that_begins_first_cuts(model: Model) -> None:
    row = Row(request(model, "water", stop=["whale", "the w"]))
    for token in tiny_tokenizer()("and the whale")["input_ids"]:
        if row.finish_reason is None:
            row.accept(token, 0.0, 0.0, 1.0)
    assert row.finish_reason is FinishReason.STOP
    assert row.text == b"and "


def test_text_is_held_back_while_it_may_still_change(model: Model) -> None:
    row = Row(request(model, "water", stop=["stop"], max_tokens=99))
    shown = []
    for token_bytes in (b"a", b"s", b"t", b"o", b"x", "é".encode()[:1], "é".encode()[1:], b"s"):
        row.accept(model.vocabulary.token_bytes.index(token_bytes), 0.0, 0.0, 1.0)
        shown.append(row.certain_text())
    assert shown == ["a", "a", "a", "a", "astox", "astox", "astoxé", "astoxé"]
    row.cancel()
    assert row.certain_text() == "astoxés"
    assert row.finish_reason is FinishReason.CANCELLED


def test_free_text_that_reaches_its_budget_says_so(model: Model) -> None:
    (row,) = finish(model, [request(model, "water", max_tokens=3)], GREEDY)
    assert row.finish_reason is FinishReason.LENGTH
    assert len(row.token_ids) == row.steps == 3


def test_near_ties_are_counted(model: Model) -> None:
    row = Row(request(model, "water", max_tokens=99))
    for gap in (0.5, 1e-4, math.inf, 9e-4, 2e-3):
        row.accept(20, 0.0, 0.0, gap)
    assert row.near_ties == 2


def test_figures_count_what_happened(model: Model) -> None:
    free, bound = finish(model, [request(model, "water", max_tokens=5), request(model, "a", ["a boat"])], GREEDY)
    assert (free.masks, free.mask_seconds) == (0, 0.0)
    assert bound.masks == bound.steps == len(bound.token_ids)
    assert 0 < bound.mask_seconds < bound.wall_seconds
