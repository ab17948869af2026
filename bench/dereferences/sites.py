"""Dereferences in the sources of installed packages: places, never the text itself."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from bench.errors import CannotMeasure

__all__ = ["Site", "choose_sites", "sites_in"]

MIN_PREFIX = 400
"""Characters of a file before a site: a model that has read less guesses."""


@dataclass(frozen=True)
class Site:
    """One dereference.

    Attributes:
        package: the import name of the package.
        release: its distribution and version.
        folder: of the package.
        file: below that folder.
        start, end: of the attribute's name in the file's text, in characters; the dot is at start - 1.
    """

    package: str
    release: str
    folder: Path
    file: Path
    start: int
    end: int

    @property
    def path(self) -> Path:
        return self.folder / self.file

    @property
    def before(self) -> str:
        """The file up to the dot, which it ends with."""
        return self._text[: self.start]

    @property
    def name(self) -> str:
        """What the source says."""
        return self._text[self.start : self.end]

    @property
    def after(self) -> str:
        return self._text[self.end :]

    @property
    def _text(self) -> str:
        return self.path.read_text(encoding="utf-8")


def choose_sites(packages: Sequence[str], count: int, seed: int) -> list[Site]:
    """Some sites, as many of each package as can be, in an order that mixes them.

    Raises:
        CannotMeasure: a package is not installed, or has no site.
    """
    draws = {package: _shuffled_sites(package, seed) for package in packages}
    chosen: list[Site] = []
    while len(chosen) < count:
        before = len(chosen)
        for draw in draws.values():
            if len(chosen) < count and (site := next(draw, None)) is not None:
                chosen.append(site)
        if len(chosen) == before:
            raise CannotMeasure(f"{', '.join(packages)} have {before} dereferences, fewer than {count}")
    return chosen


def sites_in(text: str) -> list[tuple[int, int]]:
    """(start, end) of the attributes that functions read, where the name follows the dot; f-strings left out.

    Raises:
        SyntaxError: it is not Python.
    """
    lines = [0]
    for line in text.split("\n"):
        lines.append(lines[-1] + len(line) + 1)
    found = []
    pending: list[tuple[ast.AST, bool]] = [(ast.parse(text), False)]
    while pending:
        node, in_function = pending.pop()
        if isinstance(node, ast.JoinedStr):
            continue
        in_function |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if in_function and isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            assert node.end_lineno is not None, "ast.parse sets it"
            assert node.end_col_offset is not None, "ast.parse sets it"
            first = lines[node.end_lineno - 1]
            line = text[first : lines[node.end_lineno]]
            end = first + len(line.encode()[: node.end_col_offset].decode())
            start = end - len(node.attr)
            if text[start - 1 : end] == f".{node.attr}":
                found.append((start, end))
        pending += [(child, in_function) for child in ast.iter_child_nodes(node)]
    return sorted(found)


def _shuffled_sites(package: str, seed: int) -> Iterator[Site]:
    """One site per file, over and over, files and sites in random order."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CannotMeasure(f"{package} is not an installed package; install it, or choose others with --packages")
    folder = Path(spec.submodule_search_locations[0])
    distribution = packages_distributions()[package][0]
    release = f"{distribution} {version(distribution)}"
    rng = random.Random(f"{seed} {package}")
    files = sorted(path.relative_to(folder) for path in folder.rglob("*.py") if "test" not in path.as_posix())
    rng.shuffle(files)
    of_files = []
    for file in files:
        text = (folder / file).read_text(encoding="utf-8")
        places = [place for place in sites_in(text) if place[0] >= MIN_PREFIX]
        rng.shuffle(places)
        if places:
            of_files.append([Site(package, release, folder, file, *place) for place in places])
    while of_files:
        for sites in of_files:
            yield sites.pop()
        of_files = [sites for sites in of_files if sites]
