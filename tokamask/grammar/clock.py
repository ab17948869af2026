"""The times of RFC 3339, section 5.6, with leap seconds exactly where they can be (section 5.7).

A second numbered 60 exists only at 23:59 UTC. Which local time that is depends on the offset, which is spelled last:
the automaton remembers hour and minute (1,440 of them) until it has read the offset that fits. With 11,000 states it
is written down state by state, from the end to the start, each kind of state once: nothing is searched or merged.
"""

from __future__ import annotations

from array import array
from functools import cache

import numpy as np

from tokamask.grammar.automaton import flat
from tokamask.grammar.language import Language, frozen

_DIGITS = "0123456789"
_COLUMN = {character: column for column, character in enumerate("+-." + _DIGITS + ":Zz", 1)}
_BYTE_CLASS = bytes(_COLUMN.get(chr(byte), 0) for byte in range(256))
_WIDTH = 1 + len(_COLUMN)
_DAY = 24 * 60


@cache
def full_time() -> Language:
    """hh:mm:ss, a fraction or none, and Z or an offset."""
    rows = _Rows()
    rows.time()
    # The start was written last and must be state 0; the first one is the end.
    written = np.frombuffer(rows.targets, dtype=np.intc).reshape(-1, _WIDTH)[::-1]
    last = len(written) - 1
    turned = np.where(written < 0, -1, last - written)
    return frozen(np.frombuffer(_BYTE_CLASS, dtype=np.uint8), flat(turned, np.arange(last + 1) == last))


def date_time(date: Language) -> Language:
    """A date with its separator, followed by a time.

    Args:
        date: a language none of whose texts goes on, so that its last state is its only accepting one.
    """
    time = full_time()
    assert date.accepting.nonzero()[0].tolist() == [len(date.accepting) - 1], "the date goes on"
    joint, byte_class = np.unique(date.byte_class * np.int32(256) + time.byte_class, return_inverse=True)
    # The last state of the date is the first one of the time.
    shift = len(date.accepting) - 1
    after = time.transitions[:, joint & 255]
    transitions = np.concatenate((date.transitions[:-1, joint >> 8], np.where(after < 0, -1, after + shift)))
    accepting = np.concatenate((date.accepting[:-1], time.accepting))
    return Language(byte_class.astype(np.uint8), transitions.astype(np.int32), accepting)


class _Rows:
    """The states written so far.

    Attributes:
        targets: where each state goes on from each column, -1 for nowhere; row by row. An array from the beginning, as
            other threads would wait for all of it to be made into one.
    """

    def __init__(self) -> None:
        self.targets = array("i")

    def state(self, edges: dict[str, int]) -> int:
        """A new state that goes on with each of the characters of a key to the same state."""
        row = [-1] * _WIDTH
        for characters, target in edges.items():
            for character in characters:
                row[_COLUMN[character]] = target
        self.targets.extend(row)
        return len(self.targets) // _WIDTH - 1

    def time(self) -> int:
        end = self.state({})
        minute_ends = [self.state({digit: end}) for digit in _DIGITS]
        any_minute = self.state({"012345": self.state({_DIGITS: end})})
        hour_done = self.state({":": any_minute})
        any_offset = self.state({"01": self.state({_DIGITS: hour_done}), "2": self.state({"0123": hour_done})})
        second = self.state({_DIGITS: self.second_done({"Zz": end, "+-": any_offset})})
        # The rest of one offset: ":mm", "h:mm", "hh:mm".
        minutes = [self.state({":": self.state({_tens(m): minute_ends[m % 10]})}) for m in range(60)]
        hours = [[self.state({digit: minute}) for minute in minutes] for digit in _DIGITS]
        offsets = [self.state({_tens(at // 60): hours[at // 60 % 10][at % 60]}) for at in range(_DAY)]
        local = []
        for at in range(_DAY):
            # Local time is UTC + offset; UTC is one minute before the end of the day.
            zones = {"+": offsets[(at + 1) % _DAY], "-": offsets[_DAY - 1 - at]}
            if at == _DAY - 1:
                zones["Zz"] = end
            leap = self.state({"0": self.second_done(zones)})
            local.append(self.state({":": self.state({"012345": second, "6": leap})}))
        return self.state(
            {
                first: self.state(
                    {
                        digit: self.hour(local[60 * int(first + digit) :])
                        for digit in (_DIGITS if first < "2" else "0123")
                    }
                )
                for first in "012"
            }
        )

    def second_done(self, zones: dict[str, int]) -> int:
        """Behind the seconds: a fraction or none, then one of the zones."""
        fraction = self.state(zones)
        for digit in _DIGITS:
            self.targets[fraction * _WIDTH + _COLUMN[digit]] = fraction
        return self.state({".": self.state({_DIGITS: fraction}), **zones})

    def hour(self, local: list[int]) -> int:
        """Behind an hour whose minutes lead to the first states of `local`."""
        tens = {first: self.state({digit: local[int(first + digit)] for digit in _DIGITS}) for first in "012345"}
        return self.state({":": self.state(tens)})


def _tens(number: int) -> str:
    return _DIGITS[number // 10]
