"""The one place for numba options, and where compiled kernels are kept.

Kernels are plain functions on int32 arrays and integers: no Python objects, no allocation, no exceptions. They release
the GIL and report trouble by return code. `jit(f)` keeps the Python function as `f.py_func`.

Compiled code is cached on disk in a folder named by the hash of *all* kernel sources, because numba's own cache does
not notice an edited callee in another file (numba issue 1833).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numba
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

from tokamask.cache_directory import default_cache_directory

__all__ = ["carray", "copy_words", "jit", "pointer"]

Function = TypeVar("Function", bound=Callable[..., Any])

PACKAGE = Path(__file__).resolve().parent.parent

# Every file that defines a kernel; a kernel elsewhere would escape the hash.
KERNEL_SOURCES = (
    "grammar/jit.py",
    "grammar/program.py",
    "grammar/arena.py",
    "grammar/string_body.py",
    "grammar/name_table.py",
    "grammar/threads.py",
    "grammar/moves.py",
    "grammar/configurations.py",
    "masking/pieces.py",
    "masking/mask_kernels.py",
    "masking/requests.py",
    "masking/cost_kernels.py",
    "masking/completion_kernels.py",
)


def kernel_cache_directory() -> Path:
    """Folder of the compiled kernels of exactly these sources and this numba, writable by us."""
    digest = hashlib.sha256(numba.__version__.encode())
    for name in KERNEL_SOURCES:
        digest.update((PACKAGE / name).read_bytes())
    name = f"kernels-{digest.hexdigest()[:16]}"
    try:
        folder = default_cache_directory() / name
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except (OSError, RuntimeError):
        # No home, or a read-only one. Not a folder shared through /tmp: whoever writes it decides what runs.
        folder = Path(tempfile.mkdtemp(prefix="tokamask-kernels-"))
        warnings.warn(
            f"the cache folder of compiled kernels cannot be used; they are compiled anew into {folder}, "
            "which takes half a minute in every process",
            stacklevel=2,
        )
    return folder


_CACHE = str(kernel_cache_directory())


def jit(function: Function) -> Function:
    """Compile at the first call, cached on disk; the GIL is released while the kernel runs.

    The argument types are what the annotations say: `int` is int64, `Words` an int32 array. Left alone, numba would
    compile a kernel again for every mixture of int32 and int64 that callers pass, five times the work in all.
    """
    previous = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = _CACHE  # read when the decorator picks its cache folder, restored for everybody else
    try:
        kernel = numba.njit(function, cache=True, nogil=True, error_model="numpy", boundscheck=False)
    finally:
        numba.config.CACHE_DIR = previous
    if not numba.config.DISABLE_JIT:
        pinned = tuple(
            types.int64 if annotation == "int" else types.Array(types.int32, 1, "C")
            for name, annotation in function.__annotations__.items()
            if name != "return"
        )
        compile_for = kernel.compile
        kernel.compile = lambda _: compile_for(pinned)
    return kernel  # type: ignore[no-any-return]


if TYPE_CHECKING:

    def pointer(address: int) -> Any: ...

    def copy_words(target: int, source: int, words: int) -> None: ...

else:

    @intrinsic
    def pointer(typing_context, address):
        """`pointer(address: int64)` -> a void pointer that `carray` can turn into an array.

        Passing addresses as integers makes a call 0.1 us cheaper than passing arrays; the caller keeps them alive.
        """

        def generate(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], cgutils.voidptr_t)

        return types.voidptr(types.int64), generate

    @intrinsic
    def copy_words(typing_context, target, source, words):
        """memcpy of `words` int32 words between two addresses (a plain loop is three times slower)."""

        def generate(context, builder, signature, arguments):
            to, start, count = arguments
            word = cgutils.int32_t.as_pointer()
            cgutils.raw_memcpy(builder, builder.inttoptr(to, word), builder.inttoptr(start, word), count, 4)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64), generate
