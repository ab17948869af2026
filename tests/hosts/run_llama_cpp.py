"""llama-cpp-python with tokamask; `make test-llamacpp` runs it.

Every answer is judged without tokamask (see cases.py). The exit code is 1 if any was wrong.
"""

from __future__ import annotations

import sys
from typing import Any

from llama_cpp import Llama, LogitsProcessorList

from tests.hosts.cases import CASES, RECURSIVE, Report
from tokamask.errors import BudgetTooSmall, GrammarError
from tokamask.integrations.llama_cpp import GrammarLogitsProcessor
from tokamask.runtime.demo import fetch_demo

ARGUMENTS = {"json": "schema", "regex": "regex", "choice": "choices", "grammar": "grammar"}
MAX_TOKENS = 120


def main() -> int:
    folder = fetch_demo()
    weights = folder.with_name(f"{folder.name.rpartition('-transformers')[0]}.gguf")
    llama = Llama(str(weights), n_ctx=1024, verbose=False, seed=1)
    report = Report("llama-cpp-python: chats, greedy and sampled")
    for temperature in (0.0, 1.0):
        for case in [*CASES, RECURSIVE]:
            constraint: dict[str, Any] = {ARGUMENTS[case.kind]: case.value}
            processor = GrammarLogitsProcessor.for_model(llama, **constraint, max_tokens=MAX_TOKENS)
            for _ in range(2):  # a processor can be used again
                answer: Any = llama.create_chat_completion(
                    [{"role": "user", "content": case.prompt}],
                    max_tokens=MAX_TOKENS,
                    temperature=temperature,
                    logits_processor=LogitsProcessorList([processor]),
                )
            report.judge(case, answer["choices"][0]["message"]["content"])
            report.line(processor.error is None, "  its end", answer["choices"][0]["finish_reason"])

    book = CASES[0]
    processor = GrammarLogitsProcessor.for_model(llama, schema=book.value, max_tokens=40)
    pieces: Any = llama.create_completion(
        book.prompt, max_tokens=40, stream=True, logits_processor=LogitsProcessorList([processor])
    )
    report.judge(book, "".join(piece["choices"][0]["text"] for piece in pieces))
    answer = llama(book.prompt, max_tokens=40, logits_processor=LogitsProcessorList([processor]))
    report.judge(book, answer["choices"][0]["text"])

    wrongs: list[tuple[str, type[Exception], dict[str, Any]]] = [
        ("not a schema", GrammarError, {"schema": {"type": "text"}}),
        ("too small a budget", BudgetTooSmall, {"schema": book.value, "max_tokens": 5}),
    ]
    for name, kind, constraint in wrongs:
        try:
            GrammarLogitsProcessor.for_model(llama, **constraint)
        except kind as error:
            report.line(True, name, str(error).splitlines()[0])
        else:
            report.line(False, name, "was not refused")
    return report.failures


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
