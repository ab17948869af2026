"""The engines that are measured, one file each.

An engine's file has a table ENGINES, from the names of its configurations to what makes them, and loads the engine's
package only when one is made. To add an engine, add its file and its line below.
"""

from __future__ import annotations

from importlib.util import find_spec

from bench.engines import glrmask, llguidance, maskforge, outlines_core, tokamask, xgrammar
from bench.engines.engine import EngineMaker
from bench.errors import CannotMeasure

__all__ = ["ENGINES", "checked_engines", "installed_engines"]

ENGINES: dict[str, EngineMaker] = {
    **tokamask.ENGINES,
    **llguidance.ENGINES,
    **glrmask.ENGINES,
    **maskforge.ENGINES,
    **xgrammar.ENGINES,
    **outlines_core.ENGINES,
}


def installed_engines() -> list[str]:
    """The engines whose packages are there."""
    return [name for name, maker in ENGINES.items() if find_spec(maker.package) is not None]


def checked_engines(names: str) -> list[str]:
    """Engines by their names, separated by commas.

    Raises:
        CannotMeasure: an unknown name, a name given twice, or an engine that is not installed.
    """
    chosen = names.split(",")
    for name in chosen:
        if name not in ENGINES:
            raise CannotMeasure(f"there is no engine {name!r}; there are {', '.join(ENGINES)}")
        if name not in installed_engines():
            raise CannotMeasure(
                f"{name} needs the package {ENGINES[name].package}; install the peers (pip install -e '.[bench]') "
                "or leave it out of --engines"
            )
    if len(set(chosen)) < len(chosen):
        raise CannotMeasure(f"an engine is named twice in {names!r}")
    return chosen
