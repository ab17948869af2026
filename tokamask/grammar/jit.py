"""The one place for numba options, and where compiled kernels are kept.

Kernels are plain functions on flat arrays and integers: no Python objects, no allocation, no exceptions. They release
the GIL and report trouble by return code. `jit(f)` keeps the Python function as `f.py_func`.

Compiled code is cached on disk in a folder named by the hash of all sources of a kernel's family, because numba's own
cache does not notice an edited callee in another file (numba issue 1833). A family is closed: its kernels call only one
another.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numba
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

from tokamask.cache_directory import default_cache_directory, mark_used, remove_unused
from tokamask.grammar.kernel_parts import Kernel

__all__ = ["ENGINE", "carray", "compare_and_swap", "copy_words", "jit", "pointer", "source_digest"]

Function = TypeVar("Function", bound=Callable[..., Any])

PACKAGE = Path(__file__).resolve().parent.parent

# Every file that defines a kernel, by family; a kernel elsewhere has no cache folder and cannot be made.
ENGINE = (
    "grammar/jit.py",
    "grammar/kernel_parts.py",
    "grammar/program.py",
    "grammar/arena.py",
    "grammar/body_states.py",
    "grammar/string_body.py",
    "grammar/name_table.py",
    "grammar/lexemes.py",
    "grammar/frames.py",
    "grammar/memory_nodes.py",
    "grammar/number_values.py",
    "grammar/memory.py",
    "grammar/string_index.py",
    "grammar/repetition.py",
    "grammar/search.py",
    "grammar/name_order.py",
    "grammar/values_left.py",
    "grammar/survival.py",
    "grammar/properties.py",
    "grammar/keys.py",
    "grammar/threads.py",
    "grammar/moves.py",
    "grammar/configurations.py",
    "grammar/closure.py",
    "masking/alphabets.py",
    "masking/token_trie.py",
    "masking/pieces.py",
    "masking/character_units.py",
    "masking/text_rows.py",
    "masking/trie_kernels.py",
    "masking/mask_operations.py",
    "masking/trie_walk.py",
    "masking/lexeme_walk.py",
    "masking/blanks.py",
    "masking/begun_values.py",
    "masking/closing_tokens.py",
    "masking/unit_outcomes.py",
    "masking/pattern_kernels.py",
    "masking/safe_subtrees.py",
    "masking/patterned_strings.py",
    "masking/named_values.py",
    "masking/object_keys.py",
    "masking/mask_kernels.py",
    "masking/remembering_masks.py",
    "masking/requests.py",
    "masking/automaton_costs.py",
    "masking/string_costs.py",
    "masking/object_costs.py",
    "masking/record_costs.py",
    "masking/configuration_costs.py",
    "masking/target_kernels.py",
    "masking/completion_kernels.py",
)
INFILLING = ("grammar/jit.py", "grammar/kernel_parts.py", "masking/infilling_kernels.py")
AUTOMATA = (
    "grammar/jit.py",
    "grammar/kernel_parts.py",
    "grammar/flat_automaton.py",
    "grammar/refinement.py",
    "grammar/minimisation.py",
    "grammar/products.py",
    "grammar/word_automaton.py",
    "grammar/text_counts.py",
    "grammar/regular_expression/spelling.py",
)
FAMILIES = (ENGINE, INFILLING, AUTOMATA)


@cache
def source_digest(sources: tuple[str, ...]) -> str:
    """What tells these sources from all others."""
    digest = hashlib.sha256()
    for name in sources:
        digest.update((PACKAGE / name).read_bytes())
    return digest.hexdigest()[:32]


@cache
def kernel_cache_directory(sources: tuple[str, ...] = ENGINE) -> Path:
    """Folder of the compiled kernels of exactly these sources and this numba, writable by us."""
    digest = hashlib.sha256(f"{numba.__version__} {source_digest(sources)}".encode())
    name = f"kernels-{digest.hexdigest()[:16]}"
    try:
        folder = default_cache_directory() / name
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
        mark_used(folder)
        if is_new:
            remove_unused(folder.parent, "kernels")
    except (OSError, RuntimeError):
        # No home, or a read-only one. Not a folder shared through /tmp: whoever writes it decides what runs.
        folder = Path(tempfile.mkdtemp(prefix="tokamask-kernels-"))
        warnings.warn(
            f"the cache folder of compiled kernels cannot be used; they are compiled anew into {folder}, "
            "which takes about a minute in every process",
            stacklevel=2,
        )
    return folder


# What the annotations of a kernel's arguments stand for, as they are written.
_ARGUMENT_TYPES = {
    "int": types.int64,
    "float": types.float64,
    "Words": types.Array(types.int32, 1, "C"),
    "npt.NDArray[np.int32]": types.Array(types.int32, 1, "C"),
    "Reals": types.Array(types.float64, 1, "C"),
    # The arrays of a `Language`, which nobody may write to.
    "Columns": types.Array(types.uint8, 1, "C", readonly=True),
    "Table": types.Array(types.int32, 2, "C", readonly=True),
    "Flags": types.Array(types.bool_, 1, "C", readonly=True),
}


OPTIONS = {"nogil": True, "error_model": "numpy", "boundscheck": False}


def jit(function: Function) -> Function:
    """Compile at the first call from Python, cached on disk; the GIL is released while the kernel runs.

    The argument types are what the annotations say: `int` is int64, `float` float64, arrays are flat and contiguous.
    Left alone, numba would compile a kernel again for every mixture of int32 and int64 that callers pass, five times
    the work in all.
    """
    source = Path(function.__code__.co_filename).resolve().relative_to(PACKAGE).as_posix()
    family = next(sources for sources in reversed(FAMILIES) if source in sources)
    previous = numba.config.CACHE_DIR
    # Read when the decorator picks its cache folder, restored for everybody else.
    numba.config.CACHE_DIR = str(kernel_cache_directory(family))
    try:
        whole = numba.njit(function, cache=True, **OPTIONS)
    finally:
        numba.config.CACHE_DIR = previous
    if numba.config.DISABLE_JIT:
        return function
    arguments = tuple(
        _ARGUMENT_TYPES[annotation] for name, annotation in function.__annotations__.items() if name != "return"
    )
    return Kernel(function, arguments, OPTIONS, whole)


if TYPE_CHECKING:

    def pointer(address: int) -> Any: ...

    def copy_words(target: int, source: int, words: int) -> None: ...

    def compare_and_swap(address: int, expected: int, value: int) -> bool: ...

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

    @intrinsic
    def compare_and_swap(typing_context, address, expected, value):
        """Replace the int64 word at an address by `value` if it is as `expected`; whether it was. Atomic.

        What was written before one thread's swap is seen after another's that finds its value.
        """

        def generate(context, builder, signature, arguments):
            at, old, new = arguments
            word = builder.inttoptr(at, old.type.as_pointer())
            return builder.extract_value(builder.cmpxchg(word, old, new, "acq_rel", "acquire"), 1)

        return types.boolean(types.int64, types.int64, types.int64), generate
