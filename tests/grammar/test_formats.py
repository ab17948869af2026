"""Formats against the JSON Schema test suite, the calendar and the address parsers of the standard library."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import date, datetime, timedelta
from functools import cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import pytest

from tests.grammar.json_schema.archives import archived
from tokamask.grammar.formats import format_is_known, format_language, format_limitation, format_refusal
from tokamask.grammar.language import Language, shortest

FORMATS = [
    "date", "time", "date-time", "duration", "email", "idn-email", "hostname", "ipv4", "ipv6", "uri",
    "uri-reference", "iri",
    "iri-reference", "uuid", "uri-template", "json-pointer", "relative-json-pointer", "byte",
]  # fmt: skip


def language_of(name: str) -> Language:
    language = format_language(name)
    assert language is not None
    return language


def matches(name: str, text: str) -> bool:
    return language_of(name).matches(text.encode())


@cache
def suite() -> dict[str, list[tuple[str, bool]]]:
    """The strings that the test suite has for each format, in every draft, and whether they are valid."""
    cases: dict[str, list[tuple[str, bool]]] = {}
    for path, text in archived("json-schema-test-suite.tar.xz"):
        if "/optional/format/" in path and path.endswith(".json") and "draft3" not in path and "/v1/" not in path:
            for group in json.loads(text):
                for test in group["tests"]:
                    if isinstance(test["data"], str) and group["schema"].get("format"):
                        cases.setdefault(group["schema"]["format"], []).append((test["data"], test["valid"]))
    return cases


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"byte"}))
def test_the_suite_agrees(name: str) -> None:
    cases = suite()[name]
    if name == "hostname":
        # What `format_limitation` says: encoded labels are taken as they are.
        cases = [(text, valid) for text, valid in cases if not text.lower().startswith("xn--")]
    assert len(cases) > 20
    assert [(text, valid) for text, valid in cases if matches(name, text) != valid] == []


def test_encoded_labels_are_taken_as_they_are() -> None:
    encoded = [(text, valid) for text, valid in suite()["hostname"] if text.lower().startswith("xn--")]
    outcomes = Counter((matches("hostname", text), valid) for text, valid in encoded)
    assert outcomes[False, True] == 0
    assert outcomes[True, False] > 0
    assert "xn--" in (format_limitation("hostname") or "")


def test_every_day_of_four_centuries() -> None:
    day = date(1899, 12, 31)
    valid = set()
    while day.year < 2301:
        valid.add(day.isoformat())
        day += timedelta(days=1)
    for year in range(1900, 2301):
        for month in range(14):
            for number in (0, 1, 28, 29, 30, 31, 32):
                text = f"{year:04}-{month:02}-{number:02}"
                assert matches("date", text) == (text in valid), text
    assert all(matches("date", text) for text in valid)


def utc_allows_leap_second(text: str) -> bool:
    """By arithmetic on `datetime`: "hh:mm:60+hh:mm"."""
    local = datetime.strptime("2000-01-02T" + text[:5], "%Y-%m-%dT%H:%M")
    offset = timedelta(hours=int(text[9:11]), minutes=int(text[12:14]))
    utc = local - offset if text[8] == "+" else local + offset
    return (utc.hour, utc.minute) == (23, 59)


def test_leap_seconds_are_at_the_end_of_a_day_in_utc() -> None:
    generator = random.Random(0)
    found = Counter[bool]()
    for _ in range(20_000):
        hour, minute = generator.randrange(24), generator.randrange(60)
        sign = generator.choice("+-")
        offset = (hour * 60 + minute + 1) % 1440 if sign == "+" else 1439 - hour * 60 - minute
        if generator.random() < 0.5:
            offset = (offset + generator.choice([1, -1, 60, -60, 10, 600])) % 1440
        text = f"{hour:02}:{minute:02}:60{sign}{offset // 60:02}:{offset % 60:02}"
        allowed = utc_allows_leap_second(text)
        found[allowed] += 1
        assert matches("time", text) == allowed, text
        assert matches("date-time", f"2016-12-31t{text[:8]}.250{text[8:]}") == allowed
    assert min(found.values()) > 5_000


@pytest.mark.parametrize("text", ["23:59:60Z", "23:59:60.5z", "00:00:00Z", "23:59:59.999-23:59"])
def test_times(text: str) -> None:
    assert matches("time", text)
    assert matches("date-time", f"2024-02-29T{text}")
    assert not matches("date-time", f"2023-02-29T{text}")
    assert not matches("date-time", f"2024-02-29 {text}")


@pytest.mark.parametrize(
    "text", ["23:58:60Z", "24:00:00Z", "23:60:00Z", "23:59:61Z", "23:59:60.Z", "23:59:5Z", "12:00:00"]
)
def test_what_is_no_time(text: str) -> None:
    assert not matches("time", text)


def parses(address: type[IPv4Address] | type[IPv6Address], text: str) -> bool:
    try:
        address(text)
    except AddressValueError:
        return False
    return True


def test_addresses_are_those_that_ipaddress_reads() -> None:
    generator = random.Random(1)
    found = Counter[bool]()
    for _ in range(20_000):
        groups = [generator.choice(["0", "1", "ab", "FFFF", "12345", ""]) for _ in range(generator.randint(1, 9))]
        if generator.random() < 0.3:
            groups.append(".".join(generator.choice(["0", "7", "255", "256", "01"]) for _ in range(4)))
        text = ":".join(groups)
        if generator.random() < 0.5:
            text = text.replace(":", "::", 1)
        assert matches("ipv6", text) == parses(IPv6Address, text), text
        found[parses(IPv6Address, text)] += 1
    assert min(found.values()) > 300
    for number in range(300):
        for text in (f"{number}.0.0.1", f"1.2.3.{number}", f"1.{number:03}.2.3", f"{number}.1.2"):
            assert matches("ipv4", text) == parses(IPv4Address, text), text


def test_lengths_of_host_names() -> None:
    label = "a" * 61
    longest = ".".join([label] * 4) + ".bcdef"
    assert len(longest) == 253
    assert matches("hostname", longest)
    assert not matches("hostname", longest + "g")
    assert not matches("hostname", "a" * 64)
    assert matches("hostname", "a" * 63)


@pytest.mark.parametrize(
    ("text", "valid"),
    [("", True), ("Zm9v", True), ("Zm8=", True), ("Zg==", True), ("Zg=", False), ("Z", False), ("Zm9v=", False)],
)
def test_base64(text: str, valid: bool) -> None:
    assert matches("byte", text) == valid


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_built_once_and_has_a_text(name: str) -> None:
    assert format_language(name) is format_language(name)
    assert format_is_known(name)
    assert language_of(name).matches(shortest(language_of(name)))


@pytest.mark.parametrize("name", ["int32", "int64", "color", "path", "", "Date"])
def test_other_names_are_annotations(name: str) -> None:
    assert format_language(name) is None
    assert not format_is_known(name)


@pytest.mark.parametrize("name", ["regex", "idn-hostname"])
def test_what_is_not_regular_is_known_but_not_built(name: str) -> None:
    assert format_language(name) is None
    assert format_is_known(name)
    assert "formats='annotate'" in format_refusal(name)


def test_the_limitations_are_of_formats_that_are_enforced() -> None:
    assert {name for name in FORMATS if format_limitation(name)} == {"hostname", "idn-email"}
