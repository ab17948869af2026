"""Whether an attribute exists, as basedpyright sees it with the whole file at hand.

For every name to judge, a copy of the file has that name at the site, beside the original in a copy of the package. A
name that cannot exist tells where the judge knows the receiver at all: what it does not know it lets pass.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.dereferences.sites import Site
from bench.errors import CannotMeasure

__all__ = ["judge"]

NONSENSE = "no_such_attribute_anywhere"
RULES = {"reportAttributeAccessIssue": "error", "reportFunctionMemberAccess": "error"}

INSTALL = "install it into an environment of its own (pip install basedpyright) and name it with --judge"


def judge(sites: Sequence[Site], names: Mapping[Site, set[str]], command: str) -> dict[Site, set[str] | None]:
    """Of the given names those that exist, site by site; None where the judge does not know.

    It does not know where it accepts nonsense, or refuses what the source says.

    Raises:
        CannotMeasure: the judge cannot be run.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for package in {site.folder for site in sites}:
            shutil.copytree(package, root / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        places: dict[Path, tuple[Site, str]] = {}
        for number, site in enumerate(sites):
            for variant, name in enumerate(sorted({NONSENSE, site.name} | names[site])):
                original = root / site.folder.name / site.file
                path = original.with_name(f"{original.stem}_{number}_{variant}.py")
                path.write_text(site.before + name + site.after, encoding="utf-8")
                places[path.resolve()] = (site, name)
        included = [path.relative_to(root.resolve()).as_posix() for path in places]
        settings = {"typeCheckingMode": "off", **RULES, "include": included}
        (root / "pyrightconfig.json").write_text(json.dumps(settings))
        refused = _refused(_run(command, root), places)
    return {
        site: (names[site] - refused[site] if NONSENSE in refused[site] and site.name not in refused[site] else None)
        for site in sites
    }


def _run(command: str, root: Path) -> Any:
    arguments = [command, "--outputjson", "--project", str(root), "--pythonpath", sys.executable]
    try:
        finished = subprocess.run(arguments, capture_output=True, encoding="utf-8")
    except OSError as error:
        raise CannotMeasure(f"the judge {command!r} cannot be run ({error}); {INSTALL}") from error
    if finished.returncode not in (0, 1):  # 1: it found errors
        raise CannotMeasure(f"the judge {command!r} failed: {finished.stderr.strip() or finished.stdout[:500]}")
    return json.loads(finished.stdout)


def _refused(report: Any, places: Mapping[Path, tuple[Site, str]]) -> dict[Site, set[str]]:
    """The names that an error stands at, site by site."""
    refused: dict[Site, set[str]] = {site: set() for site, _ in places.values()}
    for error in report["generalDiagnostics"]:
        found = places.get(Path(error["file"]).resolve())
        if found is None or error.get("rule") not in RULES:
            continue
        site, name = found
        if error["range"]["start"] == _position(site.before):
            refused[site].add(name)
    return refused


def _position(before: str) -> dict[str, int]:
    """Where a text ends, as the language server protocol counts: lines from 0, columns in UTF-16 units."""
    last = before[before.rfind("\n") + 1 :]
    return {"line": before.count("\n"), "character": len(last.encode("utf-16-le")) // 2}
