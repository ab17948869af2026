"""What all tests share: the examples that Hypothesis draws are the same in every run, on every machine.

    python -m pytest --hypothesis-profile exploring --hypothesis-seed 7 tests/...

draws others, and keeps those that fail in `.hypothesis` to begin with them the next time.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

# How long drawing an example takes is the machine's affair.
settings.register_profile(
    "fixed", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
# Said in full, because on a CI machine Hypothesis itself begins with a derandomized profile.
settings.register_profile(
    "exploring",
    derandomize=False,
    deadline=None,
    database=settings.get_profile("default").database,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("fixed")

# Hypothesis mixes constants from the sources of whatever modules are loaded by then into what it draws: a test would
# get other examples alone than after others, and with every edit of tokamask.
NO_CONSTANTS = Constants()
providers._get_local_constants = lambda: NO_CONSTANTS
