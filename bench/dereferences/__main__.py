"""`python -m bench.dereferences`: see the package."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

import bench.dereferences
from bench.dereferences.judge import judge
from bench.dereferences.sites import Site, choose_sites
from bench.errors import CannotMeasure
from bench.machine import load_in_words, machine, package_version
from bench.markdown import publish, table
from tokamask import Sampling, generate, load_demo
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.monitors.python_dereferences import PythonDereferences
from tokamask.runtime.monitors.suggestions import Suggestions

PACKAGES = "click,httpx2,huggingface_hub,jsonschema,lark,markdown_it,mistral_common,networkx,referencing,rich"

NAME_TOKENS = 16
"""Tokens that a name may have."""

CONTEXT = 1200
"""Characters that the model reads before a dot, from the beginning of a line; the engine reads all."""


@dataclass(frozen=True)
class Answer:
    """What was written at one site.

    Attributes:
        plain, monitored: the name without and with the monitor; empty where something else was written.
        suggestions: what the monitor knew; None where it did not know anything.
    """

    site: Site
    plain: str
    monitored: str
    suggestions: Suggestions | None

    @property
    def is_sure(self) -> bool:
        return self.suggestions is not None and self.suggestions.is_exhaustive

    @property
    def has_truth(self) -> bool:
        """Whether the name in the source is among those that the monitor knew."""
        return self.suggestions is not None and self.site.name.encode() in self.suggestions.names


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.dereferences", description=bench.dereferences.__doc__)
    option = parser.add_argument
    option("--sites", type=int, default=40, metavar="N", help="how many dereferences (default 40)")
    option("--seed", type=int, default=1, metavar="S", help="of their choice (default 1)")
    option("--packages", default=PACKAGES, metavar="NAMES", help="whose sources to take")
    option("--suffix", action="store_true", help="show the engine the code after the site too")
    option(
        "--time-limit", type=float, default=20.0, metavar="SECONDS", help="for one answer of the engine (default 20)"
    )
    option("--judge", default="basedpyright", metavar="PROGRAM", help="where basedpyright is")
    option("--output", type=Path, metavar="FILE", help="write the report there too")
    given = parser.parse_args(arguments)
    try:
        sites = choose_sites(given.packages.split(","), given.sites, given.seed)
        judge(sites[:1], {sites[0]: set()}, given.judge)  # a judge that does not run shows before the work, not after
        answers = _write_all(sites, given.suffix, given.time_limit)
        existing = judge(sites, {one.site: {one.plain, one.monitored} - {""} for one in answers}, given.judge)
    except CannotMeasure as error:
        print(error, file=sys.stderr)
        return 1
    command = f"python -m bench.dereferences --sites {given.sites} --seed {given.seed}"
    text = report(answers, existing, command + (" --suffix" if given.suffix else ""))
    publish(text, given.output)
    return 0


def _write_all(sites: Sequence[Site], with_suffix: bool, time_limit: float) -> list[Answer]:
    model, tokenizer = load_demo()
    vocabulary = Vocabulary.from_tokenizer(tokenizer, size=model.config.vocab_size)

    def name_after(text: str, checkers: Sequence[PythonDereferences]) -> str:
        greedy = Sampling(temperature=0.0)
        written = generate(
            model, text, tokenizer=tokenizer, sampling=greedy, max_tokens=NAME_TOKENS, checkers=checkers, seed=0
        )
        return _name(written.text)

    return [
        _write(site, name_after, vocabulary, with_suffix, time_limit) for site in tqdm(sites, unit="site", leave=False)
    ]


def _write(
    site: Site, name_after: Callable[..., str], vocabulary: Vocabulary, with_suffix: bool, time_limit: float
) -> Answer:
    context = site.before[-CONTEXT:]
    context = context[context.find("\n") + 1 :]
    with PythonDereferences(
        project=site.folder.parent,
        path=site.path,
        prefix=site.before,
        suffix=site.after if with_suffix else "",
        vocabulary=vocabulary,
        time_limit=time_limit,
    ) as checker:
        suggestions = checker.suggestions(checker.start(b""))
        return Answer(site, name_after(context, []), name_after(context, [checker]), suggestions)


def _name(text: str) -> str:
    """The name at the beginning of a text; empty where there is none."""
    match = re.match(r"[^\W\d]\w*", text)
    return "" if match is None else match[0]


def report(answers: Sequence[Answer], existing: dict[Site, set[str] | None], command: str) -> str:
    """The result as Markdown."""
    judged = [one for one in answers if existing[one.site] is not None]
    others = [one for one in answers if existing[one.site] is None]
    sure = [one for one in judged if one.is_sure]
    groups = {"all sites that are judged": judged, "where the monitor was sure": sure}

    def row(title: str, group: Sequence[Answer], name: Callable[[Answer], str]) -> list[str]:
        valid = sum(name(one) in (existing[one.site] or ()) for one in group)
        same = sum(name(one) == one.site.name for one in group)
        return [title, str(len(group)), _share(valid, len(group)), _share(same, len(group))]

    rows = []
    for title, group in groups.items():
        rows.append(row(f"{title}: no monitor", group, lambda one: one.plain))
        rows.append(row(f"{title}: monitor", group, lambda one: one.monitored))
    unjudged = [
        ["no monitor", str(len(others)), _share(sum(one.plain == one.site.name for one in others), len(others))],
        ["monitor", str(len(others)), _share(sum(one.monitored == one.site.name for one in others), len(others))],
    ]
    all_sure = [one for one in answers if one.is_sure]
    partial = [one for one in answers if one.suggestions is not None and not one.is_sure]
    doubts = Counter(one.suggestions.reason for one in partial if one.suggestions is not None)
    excluded = [one for one in all_sure if not one.has_truth]
    knew = [
        ["sure: other names are forbidden", _share(len(all_sure), len(answers))],
        ["of these, the source's own name is forbidden", _share(len(excluded), len(all_sure))],
        ["some names: others cost a penalty, which greedy choices do not see", _share(len(partial), len(answers))],
        ["of these, the source's own name is among them", _share(sum(o.has_truth for o in partial), len(partial))],
        ["nothing: not constrained", _share(len(answers) - len(all_sure) - len(partial), len(answers))],
    ]
    lines = [
        "# Attributes that exist, with and without the monitor",
        "",
        f"`{command}`",
        "",
        f"{machine()}; {load_in_words()}; tokamask {package_version('tokamask')}, "
        f"jedi {package_version('jedi')}. SmolLM2-135M-Instruct, greedy. Sources: "
        f"{', '.join(sorted({one.site.release for one in answers}))}.",
        "",
        "A name exists if basedpyright, which sees the whole file, accepts it at that place. *Same*: it is the one in "
        "the source.",
        "",
        table(["", "sites", "exists", "same"], rows),
        "",
        "Sites that are not judged: basedpyright does not know the receiver.",
        "",
        table(["", "sites", "same"], unjudged),
        "",
        "What the monitor knew:",
        "",
        table(["answer", "sites"], knew),
        "",
        *(f"- {count} x {reason}" for reason, count in doubts.most_common()),
    ]
    if excluded:
        lines += ["", "Where the source's own name was forbidden:", ""]
        lines += [f"- {one.site.package}/{one.site.file.as_posix()}, character {one.site.start}" for one in excluded]
    return "\n".join(lines).rstrip() + "\n"


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}" + (f" ({100 * part / whole:.0f} %)" if whole else "")


if __name__ == "__main__":
    sys.exit(main())
