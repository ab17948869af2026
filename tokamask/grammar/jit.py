"""The one place for numba options, and where compiled kernels are kept.

Kernels are plain functions on int32 arrays and integers: no Python objects, no allocation, no exceptions. They release
the GIL and report trouble by return code. `jit(f)` keeps the Python function as `f.py_func`.

Compiled code is cached on disk in a folder named by the hash of *all* kernel sources, because numba's own cache does
not notice an edited callee in another file (numba issue 1833).
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

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


def user_cache_directory() -> Path:
    """The platform's folder for files that can be made again, with `tokamask` below it."""
    if sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "tokamask"


def kernel_cache_directory() -> Path:
    """Folder of the compiled kernels of exactly these sources and this numba, writable by us."""
    digest = hashlib.sha256(numba.__version__.encode())
    for name in KERNEL_SOURCES:
        path = PACKAGE / name
        if path.exists():
            digest.update(path.read_bytes())
    folder = user_cache_directory() / f"kernels-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError:
        # A read-only home: compile once per boot instead of once per machine.
        folder = Path(tempfile.gettempdir()) / f"tokamask-{os.getuid() if hasattr(os, 'getuid') else 0}" / folder.name
        folder.mkdir(parents=True, exist_ok=True)
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


@intrinsic  # type: ignore[untyped-decorator]
def pointer(typing_context: Any, address: Any) -> Any:
    """`pointer(address: int64)` -> a void pointer that `numba.carray` can turn into an array.

    Passing addresses as integers makes a call 0.1 us cheaper than passing arrays; the caller keeps them alive.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def copy_words(typing_context: Any, target: Any, source: Any, words: Any) -> Any:
    """memcpy of `words` int32 words between two addresses (a plain loop is three times slower)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, start, count = arguments
        word = cgutils.int32_t.as_pointer()
        cgutils.raw_memcpy(builder, builder.inttoptr(to, word), builder.inttoptr(start, word), count, 4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate
