"""What the first call after an installation waits for, told while it does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["telling_of_compilation"]


@contextmanager
def telling_of_compilation() -> Iterator[None]:
    """Say so on standard error, once, when a kernel is not in the cache and has to be compiled."""
    from numba.core.event import Event, Listener, install_listener

    class Teller(Listener):  # type: ignore[misc]  # numba has no type information
        has_told = False

        def on_start(self, event: Event) -> None:
            if not self.has_told:
                self.has_told = True
                print("tokamask: compiling kernels, once on this machine; about a minute", file=sys.stderr, flush=True)

        def on_end(self, event: Event) -> None:
            pass

    with install_listener("numba:compile", Teller()):
        yield
