"""Where a reader can be inside a JSON string: the *body states* of `string_body`, for those who compile no kernels."""

from __future__ import annotations

QUOTE = 0x22
BACKSLASH = 0x5C

# Between characters; after a backslash; then \u with 0 to 3 digits (ONE_D: the digit was d, a surrogate may follow);
# HIGH*: inside a high surrogate and what must follow it; LOW*: inside its low surrogate; the rest is raw UTF-8.
NORMAL, ESCAPE, HEX_0, HEX_1, HEX_1D, HEX_2, HEX_3 = range(7)
HIGH_2, HIGH_3, HIGH_END, HIGH_SLASH, LOW_0, LOW_1, LOW_2, LOW_3 = range(7, 15)
TAIL_1, TAIL_2, TAIL_3, AFTER_E0, AFTER_ED, AFTER_F0, AFTER_F4 = range(15, 22)
# The same places where escapes are minimal: \u00, then 0 or 1, then the last digit.
MINIMAL, MINIMAL_ESCAPE, MINIMAL_HEX_0, MINIMAL_HEX_1, MINIMAL_HEX_2, MINIMAL_HEX_3, MINIMAL_HEX_4 = range(22, 29)
BODY_STATES = 36
MOST_ESCAPED = 0x5C  # no larger character needs an escape

DEAD = -1
CLOSED = -2  # the closing quote

COMPLETE = 255  # in the low byte of a packed state: an escape has been decoded, the code point is the value
