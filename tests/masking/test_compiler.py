"""What is learned about a grammar: shared between threads, grown, saved, bounded; and never seen in an answer."""

from __future__ import annotations

import copy
import pickle
import random
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.strategies import GROWING, byte_vocabulary, random_vocabulary
from tokamask.errors import CompileBudgetExceeded, RollbackTooFar, VocabularyMismatch
from tokamask.grammar import arena as arena_module
from tokamask.grammar.arena import ROW_COUNT
from tokamask.grammar.grammar import Grammar
from tokamask.masking import engine as engine_module
from tokamask.masking.bitmask import allocate_bitmask, fill_bitmasks, unpack_row
from tokamask.masking.compiler import Budget, CompiledGrammar, GrammarCompiler
from tokamask.masking.engine import Engine
from tokamask.masking.vocabulary import Vocabulary


def transcript(compiled: CompiledGrammar, seed: int, samples: list[bytes]) -> list[Any]:
    """Everything a request sees on a few random walks, budgeted masks included."""
    generator = random.Random(seed)
    seen: list[Any] = []
    size = compiled.vocabulary.size
    for _ in range(3):
        matcher = compiled.matcher()
        sample = generator.choice(samples)
        matcher.accept_bytes(sample[: generator.randrange(len(sample))])
        for _ in range(8):
            bitmask = allocate_bitmask(2, size)
            matcher.fill_bitmask(bitmask, 0)
            matcher.fill_bitmask(bitmask, 1, 6)
            seen.append(bitmask.tobytes())
            seen.append((matcher.is_accepting, matcher.forced_bytes()))
            allowed = np.flatnonzero(np.unpackbits(bitmask[0].view(np.uint8), bitorder="little")).tolist()
            allowed = [token for token in allowed if token not in matcher.stop_token_ids]
            if not allowed:
                break
            matcher.accept_token(generator.choice(allowed))
    return seen


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return random_vocabulary(random.Random(8), [text for _, samples in GROWING.values() for text in samples], 150)


def test_warm_is_cold(vocabulary: Vocabulary, tmp_path: Path) -> None:
    compiler = GrammarCompiler(vocabulary, tmp_path)
    for make, samples in GROWING.values():
        grammar = make()
        warm = compiler.compile(grammar)
        assert compiler.compile(grammar) is warm
        for seed in range(2):
            transcript(warm, seed, samples)
        cold = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
        assert transcript(warm, 9, samples) == transcript(cold, 9, samples)


@pytest.mark.parametrize("name", GROWING)
def test_growth_changes_nothing(
    name: str, vocabulary: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An arena too small for anything, grown again and again, says what a roomy one says."""
    make, samples = GROWING[name]
    grammar = make()
    expected = transcript(GrammarCompiler(vocabulary, tmp_path).compile(grammar), 5, samples)
    lay_out = arena_module._lay_out
    grows = 0

    def cramped(capacities: dict[int, int], row_words: int, rows: int) -> Any:
        nonlocal grows
        grows += 1
        if grows == 1:
            small = {arena_module.SCRATCH: 2, arena_module.WALK: 2048}
            least = {table: max(16, capacity // 512) for table, capacity in capacities.items()}
            kept = {table: capacities[table] for table in (arena_module.FOUND, arena_module.OPERATIONS)}
            capacities = {**least, **kept, **small}
        return lay_out(capacities, row_words, rows)

    monkeypatch.setattr(arena_module, "_lay_out", cramped)
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    assert transcript(compiled, 5, samples) == expected
    assert grows > 1


def test_an_arena_grown_between_calls(vocabulary: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = Engine.call
    calls = 0

    def restless(self: Engine, *arguments: int) -> int:
        nonlocal calls
        calls += 1
        if calls % 40 == 0 and self.nbytes < 1 << 22:
            with self.held():
                self._grow()
        return call(self, *arguments)

    for make, samples in list(GROWING.values())[::2]:
        grammar = make()
        expected = transcript(GrammarCompiler(vocabulary, tmp_path).compile(grammar), 6, samples)
        with monkeypatch.context() as patch:
            patch.setattr(Engine, "call", restless)
            found = transcript(GrammarCompiler(vocabulary, tmp_path).compile(grammar), 6, samples)
        assert found == expected


def test_only_grammars_are_compiled_and_only_for_vocabularies(vocabulary: Vocabulary, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="compile takes a Grammar, not dict; its from_ methods make one"):
        GrammarCompiler(vocabulary, tmp_path).compile({"type": "integer"})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"must be a Vocabulary, not list; Vocabulary\.from_tokenizer makes one"):
        GrammarCompiler([b"a"], tmp_path)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="budget must be a Budget"):
        GrammarCompiler(vocabulary, tmp_path, budget=30)  # type: ignore[arg-type]


def test_masks_that_promise_less_than_the_schema_are_warned_of(vocabulary: Vocabulary, tmp_path: Path) -> None:
    compiler = GrammarCompiler(vocabulary, tmp_path)
    schema = {"type": "string", "maxLength": 2, "format": "regex"}
    wider = Grammar.from_json_schema(schema, on_unsupported="warn")
    with pytest.warns(UserWarning, match="leaves out keywords of its schema"):
        compiled = compiler.compile(wider)
    assert not compiled.is_exact
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiler.bind(wider) is compiled
        assert compiler.compile(Grammar.from_json_schema(schema, formats="annotate")).is_exact


def test_threads_see_what_one_thread_sees(vocabulary: Vocabulary, tmp_path: Path) -> None:
    grammars = {name: (make(), samples) for name, (make, samples) in GROWING.items()}
    jobs = [(name, seed) for name in grammars for seed in range(2)]
    alone = GrammarCompiler(vocabulary, tmp_path)
    expected = {(n, s): transcript(alone.compile(grammars[n][0]), s, grammars[n][1]) for n, s in jobs}
    shared = GrammarCompiler(vocabulary, tmp_path)
    differences: list[Any] = []
    start = threading.Barrier(8)

    def work(number: int) -> None:
        generator = random.Random(number)
        start.wait()
        try:
            for name, seed in generator.sample(jobs, len(jobs)):
                grammar, samples = grammars[name]
                if transcript(shared.compile(grammar), seed, samples) != expected[name, seed]:
                    differences.append((name, seed))
        except BaseException as error:
            differences.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert differences == []


def test_threads_that_share_little_memory(vocabulary: Vocabulary, tmp_path: Path) -> None:
    """Engines are given up under the hands of other threads; matchers, forks of them and grammars are many."""
    grammars = [(make(), samples) for make, samples in list(GROWING.values())[::4]]
    alone = GrammarCompiler(vocabulary, tmp_path)

    def walk(compiled: CompiledGrammar, samples: list[bytes], seed: int) -> list[Any]:
        generator = random.Random(seed)
        matcher = compiled.matcher()
        matcher.accept_bytes(samples[0][: generator.randrange(len(samples[0]))])
        forks = [matcher.fork() for _ in range(3)]
        bitmask = allocate_bitmask(len(forks), vocabulary.size)
        seen: list[Any] = []
        for _ in range(6):
            fill_bitmasks(forks, bitmask)
            seen.append(bitmask.tobytes())
            for fork, row in zip(forks, bitmask, strict=True):
                allowed = np.flatnonzero(unpack_row(row, vocabulary.size)).tolist()
                seen.append((fork.is_accepting, fork.forced_bytes(), fork.count_accepted(allowed[:1] * 3)))
                if allowed:
                    fork.accept_token(generator.choice(allowed))
        return seen

    expected = [[walk(alone.compile(grammar), samples, seed) for seed in range(3)] for grammar, samples in grammars]
    shared = GrammarCompiler(vocabulary, tmp_path, Budget(cache_bytes=1 << 20))
    differences: list[Any] = []

    def work(number: int) -> None:
        generator = random.Random(number)
        jobs = [(place, seed) for place in range(len(grammars)) for seed in range(3)]
        try:
            for place, seed in generator.sample(jobs, len(jobs)):
                grammar, samples = grammars[place]
                if walk(shared.compile(grammar), samples, seed) != expected[place][seed]:
                    differences.append((place, seed))
        except BaseException as error:
            differences.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert differences == []


def test_saved_and_loaded(vocabulary: Vocabulary, tmp_path: Path) -> None:
    compiler = GrammarCompiler(vocabulary, tmp_path / "cache")
    for number, (make, samples) in enumerate(list(GROWING.values())[1::3]):
        compiled = compiler.compile(make())
        path = tmp_path / f"{number}.saved"
        transcript(compiled, 1, samples)
        compiled.save(path)
        loaded = GrammarCompiler(vocabulary, tmp_path / "cache").load(path)
        assert loaded.is_exact == compiled.is_exact
        for seed in (1, 2):
            assert transcript(loaded, seed, samples) == transcript(compiled, seed, samples)
        cold = tmp_path / "cold.saved"
        compiler.compile(make()).save(cold)
        assert transcript(compiler.load(cold), 1, samples) == transcript(compiled, 1, samples)


def test_what_cannot_be_loaded(vocabulary: Vocabulary, tmp_path: Path) -> None:
    path = tmp_path / "saved"
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(Grammar.from_regex("ab"))
    compiled.save(path)
    with pytest.raises(VocabularyMismatch, match="another vocabulary"):
        GrammarCompiler(byte_vocabulary(), tmp_path).load(path)
    with pytest.raises(VocabularyMismatch, match="not a saved"):
        GrammarCompiler(vocabulary, tmp_path).load(tmp_path / "nowhere")
    data = path.read_bytes()
    for damaged in (b"", data[:100], b"no file of numpy", data[: len(data) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(VocabularyMismatch):
            GrammarCompiler(vocabulary, tmp_path).load(path)


def test_a_text_that_outgrows_the_memory_is_refused_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the refusal, what fits is still answered, and answered right."""
    monkeypatch.setattr(engine_module, "MOST_BYTES", 1 << 24)
    grammar = Grammar.from_json_schema({"type": "array", "items": {"anyOf": [{"$ref": "#"}, {"type": "string"}]}})
    vocabulary = byte_vocabulary()
    roomy = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    tight = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    matcher = tight.matcher()
    expected = transcript(roomy, 3, [b'["a", []]'])
    assert transcript(tight, 3, [b'["a", []]']) == expected
    with pytest.raises(CompileBudgetExceeded, match="16777216 bytes"):
        matcher.accept_bytes(b"[" * 400_000)
    with pytest.raises(RollbackTooFar):
        matcher.rollback(1)
    matcher.accept_bytes(b"[]")
    assert matcher.is_accepting
    assert transcript(tight, 3, [b'["a", []]']) == expected


def test_a_row_begun_by_a_refused_mask_is_not_seen_later(tmp_path: Path) -> None:
    tokens = [b"a" * n for n in range(1, 40)] + [b"a" + b"%d" % n for n in range(4000)] + [b"b"]
    vocabulary = Vocabulary(tokens, [])
    grammar = Grammar.from_regex("(a+([0-9]{0,4}c?){0,9}b?)*")
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    engine = compiled.engine
    free = engine.arena[ROW_COUNT]
    matcher = compiled.matcher()
    bitmask = allocate_bitmask(1, vocabulary.size)
    matcher.fill_bitmask(bitmask, 0)
    assert engine.arena[ROW_COUNT] >= free
    # A refused growth leaves marks of the walk behind: whoever begins the row again wipes them.
    row = engine.arena[arena_module.ROWS] + engine.arena[ROW_COUNT] * engine._row_words
    engine.arena[row : row + engine._row_words] = -1
    matcher.accept_bytes(b"a1")
    fresh = GrammarCompiler(vocabulary, tmp_path).compile(grammar).matcher()
    fresh.accept_bytes(b"a1")
    other = bitmask.copy()
    matcher.fill_bitmask(bitmask, 0)
    fresh.fill_bitmask(other, 0)
    assert (bitmask == other).all()


def test_compiling_takes_no_longer_than_it_may(tmp_path: Path) -> None:
    compiler = GrammarCompiler(byte_vocabulary(), tmp_path, Budget(compile_seconds=0.0))
    with pytest.raises(CompileBudgetExceeded, match=r"compile_seconds=0\.0"):
        compiler.compile(Grammar.from_regex("a{1,200}b"))


def test_grammars_are_forgotten_with_their_last_user(tmp_path: Path) -> None:
    compiler = GrammarCompiler(byte_vocabulary(), tmp_path)
    for _ in range(3):
        compiler.compile(Grammar.from_regex("a"))
    assert len(compiler._compiled) == 0


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_what_cannot_be_copied_says_what_to_do(duplicate: Callable[[Any], Any], tmp_path: Path) -> None:
    compiler = GrammarCompiler(byte_vocabulary(), tmp_path)
    compiled = compiler.compile(Grammar.from_regex("a"))
    with pytest.raises(TypeError, match=r"^a GrammarCompiler can be neither copied nor pickled: share it"):
        duplicate(compiler)
    with pytest.raises(TypeError, match=r"^a CompiledGrammar can be neither copied nor pickled: .*save\(\)"):
        duplicate(compiled)
    with pytest.raises(TypeError, match=r"^a Matcher can be neither copied nor pickled: fork\(\)"):
        duplicate(compiled.matcher())
