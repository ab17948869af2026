"""Schemas and values, judged: `python -m tests.grammar.json_schema.fuzzing --schemas random --pairs 20000 --seed 1`."""

from __future__ import annotations

import argparse

from tests.grammar.json_schema.fuzzing.judging import Tally, cases, judge
from tests.grammar.json_schema.fuzzing.reduction import reduced
from tests.grammar.json_schema.fuzzing.schemas import DRAFTS
from tests.grammar.json_schema.fuzzing.splices import spliced_cases

SOURCES = {"random": cases, "spliced": spliced_cases}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20_000, help="pairs of a schema and a value to judge")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--schemas", choices=SOURCES, default="random", help="random, or parts of MaskBench's combined")
    parser.add_argument("--draft", choices=DRAFTS, action="append", help="only this draft (may be given again)")
    parser.add_argument("--shown", type=int, default=20, help="findings of a kind to reduce and show")
    arguments = parser.parse_args()
    tally = Tally()
    for case in SOURCES[arguments.schemas](arguments.seed, tuple(arguments.draft or DRAFTS)):
        judge(case, tally)
        if tally.pairs >= arguments.pairs:
            break
    print(f"{tally.schemas} schemas, {sum(tally.refusals.values())} refused, {tally.unsatisfiable} without a value")
    print(f"{tally.pairs} pairs judged, {tally.valid} of them valid")
    print(f"{len(tally.mistakes)} wrong answers, {len(tally.splits)} pairs on which the oracles differ")
    for keyword, count in tally.refusals.most_common():
        print(f"    refused for {keyword}: {count}")
    for title, findings, is_split in (("Wrong", tally.mistakes, False), ("Differing", tally.splits, True)):
        for sentence in dict.fromkeys(str(reduced(finding, is_split)) for finding in findings[: arguments.shown]):
            print(f"{title}: {sentence}")


if __name__ == "__main__":
    main()
