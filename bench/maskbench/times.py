"""The times that are reported, each as a function from a record to the nanoseconds that it holds of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from bench.maskbench.records import Record

__all__ = ["Times", "all_masks", "collected", "document", "first_mask", "masks_and_commits", "masks_of_the_first"]

Times = Callable[[Record], Iterable[int]]


def collected(times: Times, records: Iterable[Record]) -> npt.NDArray[np.float64]:
    """All times of the records that were compiled, in their order."""
    return np.array([time for one in records if one.status.is_compiled for time in times(one)], dtype=np.float64)


def document(record: Record) -> Iterable[int]:
    """Compile, and every mask and commit of the first valid instance, if it was accepted."""
    first = record.first_document
    return () if first is None else (record.compile_ns + sum(first.mask_ns) + sum(first.commit_ns),)


def first_mask(record: Record) -> Iterable[int]:
    """From the schema's text to the first mask."""
    return (record.compile_ns + record.first_mask_ns,)


def masks_of_the_first(record: Record) -> Sequence[int]:
    """Every mask of the first valid instance, if it was accepted."""
    return record.first_document.mask_ns if record.first_document else ()


def all_masks(record: Record) -> Iterable[int]:
    """Every mask of the valid instances that were accepted."""
    return (time for text in record.followed if text.valid and text.is_right for time in text.mask_ns)


def masks_and_commits(record: Record) -> Iterable[int]:
    """Every mask with its commit, of all instances up to where they are refused."""
    for text in record.followed:
        refused_masks = len(text.mask_ns) - len(text.commit_ns)
        yield from (m + c for m, c in zip(text.mask_ns, (*text.commit_ns, *[0] * refused_masks), strict=True))
