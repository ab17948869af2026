"""What a measurement tells its user instead of a traceback."""

from __future__ import annotations

__all__ = ["CannotMeasure"]


class CannotMeasure(Exception):
    """Something is missing (data, a package) or contradicts earlier results; the message says what to do."""
