"""Kernels as parts: what other kernels call is lowered to LLVM's language once, and compiled inside its callers.

numba by itself turns every function into machine code, with all that it calls linked in and optimised again, so the
code at the bottom is optimised once for every way that leads there. Here only what Python calls is optimised and
compiled, once, as a whole: less than half the time, and no slower code.

The one place that knows numba's insides: that a pipeline may bring a library, what finishes a library, and that lowered
functions are registered under a key.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from numba.core.codegen import CPUCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder, _LowerResult
from numba.core.compiler_machinery import register_pass
from numba.core.registry import CPUDispatcher
from numba.core.typed_passes import NativeLowering

from tokamask.grammar.budget import uncounted

__all__ = ["Kernel"]


class Kernel(CPUDispatcher):  # type: ignore[misc]
    """A function of fixed argument types: a part where a kernel calls it, the `whole` where Python does.

    Args:
        function: the Python function.
        arguments: the numba types of its arguments.
        options: numba's, of parts.
        whole: what numba makes of the function to be called from Python.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any], whole: Any
    ) -> None:
        super().__init__(function, {}, {"nopython": True, **options}, PartPipeline)
        self._arguments = arguments
        self._whole = whole

    def compile(self, _: object = None) -> Any:
        """The address for Python; for a kernel that is being compiled, the key of the part."""
        if _compilation.is_running:
            part = self.overloads.get(self._arguments)
            if part is None:
                part = self.overloads[self._arguments] = self._compiler.compile(self._arguments, None)
            return part.entry_point
        _compilation.is_running = True
        try:
            with uncounted():
                address = self._whole.compile(self._arguments)
        finally:
            _compilation.is_running = False
        self._insert([argument._code for argument in self._arguments], address, False)
        return address


class _Compilation(threading.local):
    """Whether this thread is compiling a kernel: callees are compiled while the types of their caller are found."""

    is_running = False


_compilation = _Compilation()


class PartPipeline(CompilerBase):  # type: ignore[misc]
    """numba's own passes up to LLVM's language."""

    def __init__(self, typingctx: Any, targetctx: Any, library: None, *rest: Any) -> None:
        super().__init__(typingctx, targetctx, PartLibrary(targetctx.codegen(), "part"), *rest)
        flags = self.state.flags
        flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True

    def define_pipelines(self) -> list[Any]:
        manager = DefaultPassBuilder.define_nopython_pipeline(self.state, "part")
        manager.passes = [(PartLowering if step is NativeLowering else step, name) for step, name in manager.passes]
        manager.finalize()
        return [manager]


class PartLibrary(CPUCodeLibrary):  # type: ignore[misc]
    """Code to be linked into the libraries of its callers, neither optimised nor compiled by itself."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class PartLowering(NativeLowering):  # type: ignore[misc]
    """Lower a function, and make it known to its callers under a key in place of an address."""

    _name = "part_lowering"

    def run_pass(self, state: Any) -> bool:
        super().run_pass(state)
        lowered = state["cr"]
        key = object()
        state.targetctx.insert_user_function(key, lowered.fndesc, [state.library])
        state["cr"] = _LowerResult(lowered.fndesc, lowered.call_helper, cfunc=key, env=lowered.env)
        return True
