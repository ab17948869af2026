"""The string formats of JSON Schema (2020-12 Validation, section 7.3) as languages over the unescaped UTF-8 text.

Each is written as the expression that its RFC gives as ABNF, rule by rule; dates and times, whose parts depend on each
other, are exact too. A format is built when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from tokamask.grammar.clock import date_time, full_time
from tokamask.grammar.language import Language
from tokamask.grammar.regular_expression import pattern_language
from tokamask.grammar.text_lengths import with_length


def format_language(name: str) -> Language | None:
    """The texts of a format; None if it cannot be enforced (`format_is_known` tells whether it should be)."""
    return _built(name) if name in _FORMATS else None


def format_is_known(name: str) -> bool:
    """Whether the name is a format of JSON Schema, or `byte` of OpenAPI; other names are annotations."""
    return name in _FORMATS or name in _NOT_REGULAR


def format_refusal(name: str) -> str:
    """Why a known format has no language, and what to do about it."""
    return f"{_NOT_REGULAR[name]}; leave the format out, or read all formats as annotations (formats='annotate')"


def format_limitation(name: str) -> str | None:
    """What `format_language` leaves unchecked of a format, as a sentence; None if nothing."""
    return _LIMITATIONS.get(name)


@cache
def _built(name: str) -> Language:
    return _FORMATS[name]()


def _expression(pattern: str) -> Language:
    return pattern_language(pattern, "ecma", search=False)


# ECMA-262, section 22.2.1; RFC 5890, section 2.3.2.1, with RFC 3492, section 6.2.
_NOT_REGULAR = {
    "regex": "regular expressions nest without end, which no regular language does",
    "idn-hostname": "its labels are measured by an encoding that no automaton of a reasonable size follows",
}
_LIMITATIONS = {
    "hostname": "labels that begin with xn-- are not decoded, so they may encode what IDNA 2008 does not allow",
    "idn-email": "labels of the domain are not checked against IDNA 2008 beyond the kinds of their characters",
}

# RFC 3339, section 5.6, and the calendar of its appendix C.
_LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DATE = (
    "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    f"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
)

# RFC 3339, appendix A; designators in upper case, as in ISO 8601.
_SECONDS = "[0-9]+S"
_MINUTES = f"[0-9]+M(?:{_SECONDS})?"
_HOURS = f"[0-9]+H(?:{_MINUTES})?"
_CLOCK = f"T(?:{_HOURS}|{_MINUTES}|{_SECONDS})"
_DAYS = "[0-9]+D"
_MONTHS = f"[0-9]+M(?:{_DAYS})?"
_YEARS = f"[0-9]+Y(?:{_MONTHS})?"
_DURATION = f"P(?:(?:{_DAYS}|{_MONTHS}|{_YEARS})(?:{_CLOCK})?|{_CLOCK}|[0-9]+W)"

# RFC 2673, section 3.2, and RFC 3986, appendix A.
_OCTET = "(?:[0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_H16 = "[0-9A-Fa-f]{1,4}"
_LS32 = f"(?:{_H16}:{_H16}|{_IPV4})"
_IPV6 = (
    "(?:"
    + "|".join(
        (
            f"(?:{_H16}:){{6}}{_LS32}",
            f"::(?:{_H16}:){{5}}{_LS32}",
            *(
                f"(?:(?:{_H16}:){{0,{before}}}{_H16})?::" + (f"(?:{_H16}:){{{4 - before}}}{_LS32}")
                for before in range(5)
            ),
            f"(?:(?:{_H16}:){{0,5}}{_H16})?::{_H16}",
            f"(?:(?:{_H16}:){{0,6}}{_H16})?::",
        )
    )
    + ")"
)

# RFC 1123, section 2.1, on RFC 952; lengths from RFC 1034, section 3.1 (255 octets in all are 253 characters).
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"


def _mailbox(beyond: str, letters: str) -> str:
    """RFC 5321, sections 4.1.2 and 4.1.3 (IPv6 is the only registered tag), as RFC 6531, section 3.3, extends it.

    `beyond`: what text may hold beyond ASCII; `letters`: what a label may.
    """
    atom = f"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~{beyond}-]+"
    quoted = rf'"(?:[ !#-\[\]-~{beyond}]|\\[ -~])*"'
    label = f"[A-Za-z0-9{letters}](?:[A-Za-z0-9{letters}-]*[A-Za-z0-9{letters}])?"
    literal = rf"\[(?:{_IPV4}|[Ii][Pp][Vv]6:{_IPV6})\]"
    return rf"(?:{atom}(?:\.{atom})*|{quoted})@(?:{label}(?:\.{label})*|{literal})"


# RFC 3986, appendix A, with the additions of RFC 3987, section 2.2 (empty for URIs).
_UCSCHAR = r"\u{A0}-\u{D7FF}\u{F900}-\u{FDCF}\u{FDF0}-\u{FFEF}" + "".join(
    rf"\u{{{plane:X}0000}}-\u{{{plane:X}FFFD}}" for plane in range(1, 15)
).replace(r"\u{E0000}", r"\u{E1000}")
_IPRIVATE = r"\u{E000}-\u{F8FF}\u{F0000}-\u{FFFFD}\u{100000}-\u{10FFFD}"
_ESCAPED = "%[0-9A-Fa-f]{2}"
_SUB_DELIMS = "!$&'()*+,;="


class _Identifiers:
    """The rules of one of the two: `beyond` are its characters beyond ASCII, `private` those of queries alone."""

    def __init__(self, beyond: str, private: str) -> None:
        plain = f"A-Za-z0-9._~{beyond}-"
        character = f"(?:[{_SUB_DELIMS}:@{plain}]|{_ESCAPED})"
        no_colon = f"(?:[{_SUB_DELIMS}@{plain}]|{_ESCAPED})"
        name = f"(?:[{_SUB_DELIMS}{plain}]|{_ESCAPED})*"
        user = f"(?:[{_SUB_DELIMS}:{plain}]|{_ESCAPED})*"
        future = rf"[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~{_SUB_DELIMS}:-]+"
        authority = rf"(?:{user}@)?(?:\[(?:{_IPV6}|{future})\]|{name})(?::[0-9]*)?"
        rest = f"(?:/{character}*)*"
        absolute = f"/(?:{character}+{rest})?"
        hierarchical = f"(?://{authority}{rest}|{absolute}|{character}+{rest}|)"
        relative = f"(?://{authority}{rest}|{absolute}|{no_colon}+{rest}|)"
        query = rf"(?:\?(?:{character}|[/?{private}])*)?"
        fragment = f"(?:#(?:{character}|[/?])*)?"
        self.absolute = f"[A-Za-z][A-Za-z0-9+.-]*:{hierarchical}{query}{fragment}"
        self.reference = f"(?:{self.absolute}|{relative}{query}{fragment})"


_URI = _Identifiers("", "")
_IRI = _Identifiers(_UCSCHAR, _IPRIVATE)

# RFC 6901, section 3, and draft-bhutton-relative-json-pointer-00, section 3.
_POINTER = "(?:/(?:[^~/]|~[01])*)*"

# RFC 6570, section 2, with erratum 6937 (the apostrophe is a literal).
_VARIABLE_CHARACTER = f"(?:[A-Za-z0-9_]|{_ESCAPED})"
_VARIABLE = rf"{_VARIABLE_CHARACTER}(?:\.?{_VARIABLE_CHARACTER})*(?::[1-9][0-9]{{0,3}}|\*)?"
_TEMPLATE = (
    rf"(?:[!#$&'-;=?-\[\]_a-z~{_UCSCHAR}{_IPRIVATE}]|{_ESCAPED}"
    rf"|\{{[+#./;?&=,!@|]?{_VARIABLE}(?:,{_VARIABLE})*\}})*"
)

# RFC 4648, section 4.
_BASE64 = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"

_FORMATS: dict[str, Callable[[], Language]] = {
    "date": lambda: _expression(_DATE),
    "time": full_time,
    "date-time": lambda: date_time(_expression(f"{_DATE}[Tt]")),
    "duration": lambda: _expression(_DURATION),
    "email": lambda: _expression(_mailbox("", "")),
    "idn-email": lambda: _expression(_mailbox(r"\u{80}-\u{10FFFF}", r"\p{L}\p{M}\p{N}")),
    "hostname": lambda: with_length(_expression(rf"{_LABEL}(?:\.{_LABEL})*"), 1, 253),
    "ipv4": lambda: _expression(_IPV4),
    "ipv6": lambda: _expression(_IPV6),
    "uri": lambda: _expression(_URI.absolute),
    "uri-reference": lambda: _expression(_URI.reference),
    "iri": lambda: _expression(_IRI.absolute),
    "iri-reference": lambda: _expression(_IRI.reference),
    "uuid": lambda: _expression("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    "uri-template": lambda: _expression(_TEMPLATE),
    "json-pointer": lambda: _expression(_POINTER),
    "relative-json-pointer": lambda: _expression(f"(?:0|[1-9][0-9]*)(?:#|{_POINTER})"),
    "byte": lambda: _expression(_BASE64),
}
