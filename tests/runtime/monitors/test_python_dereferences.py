"""The dereference monitor: nothing slips past it, nothing uncertain is forbidden, and no engine can hold it up."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runtime.checkers.laws import check_laws
from tests.runtime.tiny_models import tiny_llama, tiny_tokenizer
from tokamask import Sampling, generate
from tokamask.masking.bitmask import unpack_row
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.checkers.checker import Checker
from tokamask.runtime.monitors import python_dereferences
from tokamask.runtime.monitors.engine_process import EngineProcess
from tokamask.runtime.monitors.python_dereferences import Place, PythonDereferences
from tokamask.runtime.monitors.suggestions import Suggestions, unknown

TOKENS = [
    *[bytes((byte,)) for byte in b"xabcg.( )\n'#\"f{}"],
    *[
        b"ab",
        b".a",
        b".g",
        b"a.",
        b"ab(",
        b"ab.",
        b"ab.a",
        b"ab.g",
        b"b(a",
        b"(x.",
        b".ab)",
        b"..",
        b"(x.g",
        b"\xc3",
        b"\xa9",
    ],
    None,
]
VOCABULARY = Vocabulary(TOKENS, [len(TOKENS) - 1])
NAMES = frozenset({b"a", b"ab", b"abc", "é".encode()})
SURE = Suggestions(NAMES, True, "fake")
PARTIAL = Suggestions(NAMES, False, "fake", "there may be others")


class FakeEngine:
    """Answers by the text, and remembers what it was asked."""

    def __init__(self, answer: Callable[[str], Suggestions]) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []
        self.is_closed = False

    def start(self) -> None: ...

    def ask(self, before: str, after: str) -> Suggestions:
        assert before.endswith(".")
        self.asked.append((before, after))
        return self.answer(before)

    def close(self) -> None:
        self.is_closed = True


def always(answer: Suggestions) -> FakeEngine:
    return FakeEngine(lambda before: answer)


def by_receiver(before: str) -> Suggestions:
    """x has attributes; g has some that are known; of others nothing is known."""
    if before.endswith("x."):
        return SURE
    return PARTIAL if before.endswith("g.") else unknown("fake", "another receiver")


def after(checker: PythonDereferences, text: str, prompt: str = "") -> Place | None:
    return checker.advance(checker.start(prompt.encode()), text.encode())


def alive(checker: PythonDereferences, text: str, prompt: str = "") -> Place:
    place = after(checker, text, prompt)
    assert place is not None
    return place


TEXTS = [
    b"x.ab(x.abc)",
    b"x.ab.g.g.a\ng.ab",
    b"g.g(x.\xc3\xa9)",
    b"x.g",
    b"x.abx",
    b"x. a",
    b"x.\n",
    b"'x.g' # x.g\nx.a",
    b'f"{x.g}" + x.g',
    b"a.g.g.x.ab",
    b"(x\n.ab\n.a)",
    b"x.ab.ab",
    b"x..g",
]


@pytest.mark.parametrize("answer", [SURE, PARTIAL, unknown("fake", "")], ids=["sure", "partial", "unknown"])
def test_laws_with_one_answer(answer: Suggestions) -> None:
    check_laws(
        PythonDereferences(engine=always(answer), vocabulary=VOCABULARY), TEXTS, prompt=b"y = 1\n", token_bytes=TOKENS
    )


@pytest.mark.parametrize("when_unsure", ["soft", "free"])
def test_laws_with_all_answers(when_unsure: str) -> None:
    checker = PythonDereferences(
        engine=FakeEngine(by_receiver),
        vocabulary=VOCABULARY,
        when_unsure=when_unsure,  # type: ignore[arg-type]
    )
    check_laws(checker, TEXTS, prompt=b"x.a", token_bytes=TOKENS)


@given(st.lists(st.sampled_from([b"x", b"ab", b"b.", b".", b"c", b"(", b")", b" "]), max_size=8).map(b"".join))
def test_laws_on_random_texts(text: bytes) -> None:
    check_laws(PythonDereferences(engine=FakeEngine(by_receiver), vocabulary=VOCABULARY), [text], token_bytes=TOKENS)


def names_are_known(text: str) -> bool:
    """Whether after every dereference in a line of letters, dots, blanks and brackets stands what NAMES allow."""
    for dot in re.finditer(r"\.", text):
        if not re.search(r"([a-z)]|(?<!\.)\.\.\.) *$", text[: dot.start()]):
            continue  # nothing to dereference
        name = re.compile("[a-z]*").match(text, dot.end())
        assert name is not None
        written = name[0].encode()
        is_finished = name.end() < len(text)
        if not (written in NAMES if is_finished else any(one.startswith(written) for one in NAMES)):
            return False
    return True


@given(st.text("xabc.() ", max_size=14))
def test_against_a_look_at_the_whole_text(text: str) -> None:
    checker = PythonDereferences(engine=always(SURE))
    assert (after(checker, text) is not None) == names_are_known(text)


@pytest.mark.parametrize(
    ("prompt", "token"),
    [
        ("x", ".zz"),
        ("x", ".ab.zz"),
        ("x", ".ab(x.zz"),
        ("x.", "zz("),
        ("x.ab", "c.zz"),
        ("f(", "x).ab + x.zz"),
        ("'", "' + x.zz"),
        ("# ", "\nx.zz"),
        ("f'{x", "}'; x.zz"),
    ],
)
def test_tokens_do_not_slip_past(prompt: str, token: str) -> None:
    checker = PythonDereferences(engine=FakeEngine(lambda before: SURE))
    assert after(checker, token, prompt) is None
    assert after(checker, token.replace("zz", "ab"), prompt) is not None


@pytest.mark.parametrize("text", ["'x.zz'", "# x.zz", "f'{x.zz}'", "import x.zz", "1.", "1.5.", "...", "x = .5", "xx"])
def test_what_is_no_dereference_asks_nobody(text: str) -> None:
    engine = always(SURE)
    checker = PythonDereferences(engine=engine, vocabulary=VOCABULARY)
    place = alive(checker, text)
    assert checker.may_end(place) == (text != "1.5.")
    assert len(engine.asked) == (text == "1.5.")


def test_masks_only_where_something_is_known() -> None:
    checker = PythonDereferences(engine=FakeEngine(by_receiver), vocabulary=VOCABULARY)

    def allowed(text: str) -> set[bytes] | None:
        row = checker.allowed(alive(checker, text))
        if row is None:
            return None
        bits = unpack_row(row, len(TOKENS))
        return {token for token, bit in zip(TOKENS, bits, strict=True) if bit and token is not None}

    assert allowed("x") is None
    assert allowed("g.") is None
    assert allowed("f.") is None
    # One token goes on to another dereference, of which nothing is known.
    assert allowed("x.") == {b"a", b"ab", b"a.", b"ab(", b"ab.", b"ab.a", b"ab.g", b"\xc3"}
    # After a whole name two do, `.a` and `(x.g`, and asking about few tokens is cheaper.
    assert allowed("x.ab") is None
    no_vocabulary = PythonDereferences(engine=always(SURE))
    assert no_vocabulary.allowed(alive(no_vocabulary, "x.")) is None


def test_a_mask_asks_about_one_further_dereference() -> None:
    tokens = [b"ab.g", b"ab.a", b"ab", b"b", None]
    checker = PythonDereferences(engine=always(SURE), vocabulary=Vocabulary(tokens, [4]))
    row = checker.allowed(alive(checker, "x."))
    assert row is not None
    assert unpack_row(row, 5).tolist() == [False, True, True, False, False]
    assert not row.flags.writeable
    shared = checker.allowed(alive(checker, "x.a"))
    assert shared is not None
    assert unpack_row(shared, 5).tolist() == [False, False, False, True, False]


def test_the_end_is_no_place_for_half_a_name() -> None:
    checker = PythonDereferences(engine=FakeEngine(by_receiver))
    assert not checker.may_end(alive(checker, "x."))
    assert checker.may_end(alive(checker, "x.a"))
    half = PythonDereferences(engine=always(Suggestions(frozenset({b"abc"}), True, "fake")))
    assert not half.may_end(alive(half, "x.ab"))
    assert half.may_end(alive(half, "x.abc"))
    assert half.may_end(alive(half, "x.abc "))
    for unsure in ("g.", "g.x", "f.", "f.x"):
        assert checker.may_end(alive(checker, unsure))


def test_unsure_answers_cost() -> None:
    soft = PythonDereferences(engine=FakeEngine(by_receiver), penalty=2.5)
    for text, misses in {
        "g.ab g.abc": 0,
        "g.zz": 1,
        "g.abz": 1,
        "g.zzz(g.y)": 2,
        "f.zz": 0,
        "g.": 0,
        "g.z.zz": 1,
    }.items():
        assert soft.log_weight(alive(soft, text)) == -2.5 * misses, text
    free = PythonDereferences(engine=FakeEngine(by_receiver), when_unsure="free")
    assert free.log_weight(alive(free, "g.zzz(g.y)")) == 0
    for checker in (soft, free):
        assert after(checker, "g.zz(x.zz") is None, "what is sure stays so"


def test_a_prompt_that_ends_in_a_name() -> None:
    engine = always(SURE)
    checker = PythonDereferences(engine=engine)
    assert after(checker, "b", prompt="y.zz\nx.a") is not None
    assert after(checker, "z", prompt="y.zz\nx.a") is None
    assert [before for before, _ in engine.asked] == ["y.zz\nx."], "what the prompt holds already is not judged"
    assert after(checker, "z", prompt="x.z") is not None, "nor is a name that the prompt began"
    assert after(checker, "z", prompt="x.") is None


def test_where_the_code_begins() -> None:
    engine = always(SURE)
    checker = PythonDereferences(engine=engine, prefix="import y\n")
    assert after(checker, "x.ab", prompt="Don't write anything wrong.") is not None
    assert engine.asked == [("import y\nx.", "")]


@pytest.mark.parametrize(
    ("before", "suffix", "asked_after"),
    [
        ("f(a[{x.", "", "}])"),
        ("f(a[{x.", "])\nreturn", "}])\nreturn"),
        ("f(a[{x.", "}]) # )\n(1)", "}]) # )\n(1)"),
        ("x.", ")", ")"),
    ],
)
def test_brackets_are_closed_for_the_engine(before: str, suffix: str, asked_after: str) -> None:
    engine = always(SURE)
    checker = PythonDereferences(engine=engine, suffix=suffix)
    alive(checker, before + "a")
    assert engine.asked == [(before, asked_after)]


def test_every_place_is_asked_about_once() -> None:
    answers = iter([unknown("fake", "the time ran out"), SURE])
    engine = FakeEngine(lambda before: next(answers))
    checker = PythonDereferences(engine=engine, vocabulary=VOCABULARY)
    for _ in range(3):
        assert after(checker, "x.zz") is not None, "the same answer again, or chunks would matter"
        checker.allowed(alive(checker, "x."))
        checker.may_end(alive(checker, "x."))
    assert len(engine.asked) == 1


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_dereferences, "RECENT_ANSWERS", 2)
    engine = always(SURE)
    checker = PythonDereferences(engine=engine)
    for text in ("x.a", "a.a", "x.a", "b.a", "x.a", "a.a"):
        alive(checker, text)
    assert [before for before, _ in engine.asked] == ["x.", "a.", "b.", "a."]


def test_text_that_is_not_utf8() -> None:
    checker = PythonDereferences(engine=always(SURE))
    assert checker.advance(checker.start(b"'\xff'\nx."), b"z") is None


def test_a_hung_engine_never_holds_up() -> None:
    program = "import time; print('ready', flush=True)\nwhile True: time.sleep(60)"
    engine = EngineProcess([sys.executable, "-c", program], "hung", time_limit=0.05)
    with PythonDereferences(engine=engine, vocabulary=VOCABULARY) as checker:
        place = alive(checker, "x.zz\nx.")
        assert checker.allowed(place) is None
        assert checker.may_end(place)
        assert checker.log_weight(place) == 0
    assert after(checker, "x.zz") is not None, "a closed engine knows nothing"


def test_with_jedi() -> None:
    with PythonDereferences(vocabulary=VOCABULARY, time_limit=60.0) as checker:
        prompt = "import os\nprint(os"
        assert after(checker, ".getcwd().strip()", prompt) is not None
        assert after(checker, ".get_cwd", prompt) is None
        assert after(checker, ".path.zz", prompt) is None
        place = alive(checker, ".", prompt)
        suggestions = checker.suggestions(place)
        assert suggestions is not None
        assert suggestions.is_exhaustive
        assert suggestions.source == "jedi"
        row = checker.allowed(place)
        assert row is not None
        assert row.shape == (1 + (len(TOKENS) - 1) // 32,)


def test_without_jedi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_dereferences, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"tokamask\[monitor\]"):
        PythonDereferences()


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match="when_unsure"):
        PythonDereferences(engine=always(SURE), when_unsure="hard")  # type: ignore[arg-type]
    for penalty in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="penalty"):
            PythonDereferences(engine=always(SURE), penalty=penalty)
    with pytest.raises(ValueError, match="exhaustive"):
        Suggestions(frozenset(), True, "fake")


@pytest.mark.parametrize("with_vocabulary", [True, False])
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=0.0)])
def test_in_generation(with_vocabulary: bool, sampling: Sampling) -> None:
    model, tokenizer = tiny_llama(), tiny_tokenizer()
    vocabulary = Vocabulary.from_tokenizer(tokenizer, size=model.config.vocab_size)
    known = Suggestions(frozenset({b"whale", b"sea", b"then"}), True, "fake")
    engine = always(known)
    checker = PythonDereferences(engine=engine, vocabulary=vocabulary if with_vocabulary else None)
    assert isinstance(checker, Checker)
    for seed in range(4):
        result = generate(
            model,
            "x = (boat.",
            tokenizer=tokenizer,
            checkers=[checker],
            sampling=sampling,
            seed=seed,
            max_tokens=6,
        )
        assert engine.asked
        name = re.match("[a-z]*", result.text)
        assert name is not None
        assert any(one.decode().startswith(name[0]) for one in known.names)
        if name.end() < len(result.text):
            assert name[0].encode() in known.names
