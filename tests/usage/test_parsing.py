"""Reading requests for events: pure, so these tests know neither Django nor a database."""

import gzip
import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usage.calc import json_strict, limits
from usage.calc.cloudevents import Event, Window
from usage.calc.corrections import CorrectionEvent
from usage.calc.media import BATCH, PLAIN, SINGLE
from usage.calc.parsing import parse_items, parse_request
from usage.calc.problems import Problem, Unreadable
from usage.calc.quantities import BadQuantity, plain_text, read_quantity
from usage.calc.times import read_time

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WINDOW = Window.around(NOW)


def make_item(**changes: Any) -> dict[str, Any]:
    item = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/prod",
        "type": "api.call",
        "subject": "cust-1",
        "time": "2026-03-01T11:59:00Z",
        "data": {"quantity": 1},
    }
    return {name: value for name, value in (item | changes).items() if value is not ...}


def parse(body: bytes | str, content_type: str = PLAIN, **headers: str) -> list[Event | CorrectionEvent | Problem]:
    raw = body.encode() if isinstance(body, str) else body
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return parse_request(raw, {"content-type": content_type} | named, WINDOW)


def problem_with(**changes: Any) -> str:
    (item,) = parse(json.dumps(make_item(**changes)))
    assert isinstance(item, Problem), item
    return item.code


def refusal(body: bytes | str, content_type: str = PLAIN, **headers: str) -> tuple[int, str]:
    with pytest.raises(Unreadable) as caught:
        parse(body, content_type, **headers)
    return caught.value.status, caught.value.code


def test_an_event_is_read_with_its_instant_in_utc() -> None:
    (event,) = parse(json.dumps(make_item(time="2026-03-01T13:30:00.5+02:00")))
    assert isinstance(event, Event)
    assert (event.id, event.subject, event.data) == ("e-1", "cust-1", {"quantity": 1})
    assert event.time == datetime(2026, 3, 1, 11, 30, 0, 500_000, tzinfo=UTC)


def test_extensions_are_kept_and_null_attributes_are_absent_ones() -> None:
    (event,) = parse(json.dumps(make_item(time=None, traceparent="00-abc", empty=None)))
    assert isinstance(event, Event)
    assert event.time is None
    assert event.extensions == {"traceparent": "00-abc"}


@pytest.mark.parametrize("at", [32, 33])
def test_nesting_is_allowed_to_the_limit_and_not_beyond(at: int) -> None:
    nested = json.dumps(make_item(data={"quantity": 1, "d": ...}), default=lambda _: None)
    text = nested.replace("null", "[" * (at - 2) + "]" * (at - 2))
    if at == 32:
        assert isinstance(parse(text)[0], Event)
    else:
        assert refusal(text) == (400, "json_too_deep")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "malformed_json"),
        ("\ufeff{}", "malformed_json"),
        ("{'a': 1}", "malformed_json"),
        ("{} {}", "malformed_json"),
        ('{"a": 1,}', "malformed_json"),
        ('{"a": .5}', "malformed_json"),
        ('{"a": 1.}', "malformed_json"),
        ('{"a": 0x10}', "malformed_json"),
        ('{"a": "tab\tinside"}', "malformed_json"),
        ('{"a": -NaN}', "malformed_json"),
        ('{"a": NaN}', "json_nan"),
        ('{"a": 1, "a": 1}', "duplicate_key"),
        ('{"a": 1, "\\u0061": 1}', "duplicate_key"),
        ('{"a": 1, "a" : 1}', "duplicate_key"),
        ('{"\\":": 1, "\\":": 1}', "duplicate_key"),
        ('{"d": {"x": {"k": 1, "k": 2}}}', "duplicate_key"),
        ('{"a": ' + "1" * 65 + "}", "number_too_long"),
        ('{"a": 0.' + "1" * 63 + "}", "number_too_long"),
        ('{"a": 1E' + "9" * 22 + "}", "number_too_long"),
        ('{"a": 1e-1000000}', "number_too_long"),
        ("[" * 100_000, "json_too_deep"),
        ('{"a":' * 100_000, "json_too_deep"),
        ("[]", "empty_batch"),
        ('"text"', "expected_object"),
        ("17", "expected_object"),
    ],
)
def test_what_is_not_strict_json_is_refused_by_name(body: str, code: str) -> None:
    assert refusal(body) == (400, code)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_other_encodings_are_refused(encoding: str) -> None:
    status, code = refusal(json.dumps(make_item(id="é"), ensure_ascii=False).encode(encoding))
    assert status == 400
    assert code in {"not_utf8", "malformed_json"}


def test_no_hostile_text_takes_long() -> None:
    million = limits.BODY_BYTES
    started = time.perf_counter()
    for text in ('"' + '\\"' * (million // 2 - 2), '"' + "\\" * (million - 2), "[" * million, '"' * (million - 1)):
        refusal(text)
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        ("text/plain", "unsupported_media_type"),
        ("", "unsupported_media_type"),
        ("application/json, text/plain", "unsupported_media_type"),
        ("application/json; charset=latin-1", "unsupported_charset"),
        ("application/json; charset=utf-16", "unsupported_charset"),
    ],
)
def test_media_types_and_charsets_that_are_not_offered_are_415(content_type: str, code: str) -> None:
    assert refusal("{}", content_type) == (415, code)


def test_a_batch_type_needs_an_array_and_a_single_type_an_object() -> None:
    assert refusal("{}", BATCH) == (400, "expected_array")
    assert refusal("[{}]", SINGLE) == (400, "expected_object")


def test_gzip_is_unpacked_whole_and_within_limits() -> None:
    body = gzip.compress(json.dumps(make_item()).encode())
    assert isinstance(parse(body, content_encoding="gzip")[0], Event)
    half = json.dumps(make_item()).encode()
    assert isinstance(parse(gzip.compress(half[:50]) + gzip.compress(half[50:]), content_encoding="GZIP")[0], Event)
    assert refusal(body[:-4], content_encoding="gzip") == (400, "bad_gzip")
    assert refusal(body + b"more", content_encoding="gzip") == (400, "bad_gzip")
    assert refusal(gzip.compress(b" " * 50_000_000), content_encoding="gzip") == (413, "body_too_large")
    assert refusal(body, content_encoding="br") == (415, "unsupported_encoding")
    assert refusal(b" " * (limits.BODY_BYTES + 1)) == (413, "body_too_large")


def test_binary_mode_takes_attributes_from_percent_encoded_headers() -> None:
    ce = {f"ce_{name}": str(value) for name, value in make_item(data=..., subject="caf%C3%A9 1").items()}
    (event,) = parse('{"quantity": 2}', "", **ce)
    assert isinstance(event, Event)
    assert (event.subject, event.data) == ("café 1", {"quantity": 2})
    (problem,) = parse('{"quantity": 2}', "application/vnd.acme+json", **(ce | {"ce_id": "%FF"}))
    assert isinstance(problem, Problem)
    assert problem.code == "unsupported_character"
    assert refusal("{}", "text/csv", **ce)[0] == 415


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"specversion": ...}, "unsupported_specversion"),
        ({"id": ...}, "invalid_id"),
        ({"id": True}, "invalid_id"),
        ({"id": "a\x7f"}, "invalid_id"),
        ({"id": "a\x85b"}, "invalid_id"),
        ({"id": "\u00a0a"}, "invalid_id"),
        ({"id": "a\ud800"}, "unsupported_character"),
        ({"source": ""}, "invalid_source"),
        ({"type": 5}, "invalid_type"),
        ({"subject": {}}, "invalid_subject"),
        ({"data": []}, "invalid_data"),
        ({"data": None}, "invalid_data"),
        ({"data": {str(n): n for n in range(101)}}, "too_many_keys"),
        ({"data": {"quantity": 1, "deep": [{"x": "a\x00"}]}}, "unsupported_character"),
        ({"extension": "\x00"}, "unsupported_character"),
        ({"datacontenttype": "text/plain"}, "invalid_datacontenttype"),
        ({"datacontenttype": 5}, "invalid_datacontenttype"),
        ({"time": "2026-03-01T12:05:01Z"}, "time_in_future"),
        ({"time": "2026-01-01T12:05:01Z"}, "time_too_old"),
        ({"time": ["2026-03-01T12:00:00Z"]}, "invalid_time"),
    ],
)
def test_each_attribute_has_its_own_code(changes: dict[str, Any], code: str) -> None:
    assert problem_with(**changes) == code


def test_the_attributes_of_a_batch_are_each_checked_although_they_repeat() -> None:
    items = [make_item(id="1"), make_item(id="2", subject=""), make_item(id="3"), 5, make_item(id="4", type="\n")]
    parsed = parse(json.dumps(items), BATCH)
    assert [getattr(item, "code", "fine") for item in parsed] == [
        "fine", "invalid_subject", "fine", "not_an_object", "invalid_type",
    ]  # fmt: skip


def test_an_event_too_large_is_rejected_alone_even_beside_a_lone_surrogate() -> None:
    big = make_item(id="2", data={"quantity": 1, "note": "x" * limits.EVENT_BYTES})
    parsed = parse(json.dumps([make_item(), big, make_item(id="\ud800")]), BATCH)
    assert [getattr(item, "code", "fine") for item in parsed] == ["fine", "event_too_large", "unsupported_character"]


def test_excerpts_are_safe_to_store_and_short() -> None:
    (problem,) = parse(json.dumps(make_item(id="\x00\ud800", data={"note": "y" * 5000})))
    assert isinstance(problem, Problem)
    assert len(problem.excerpt) <= limits.EXCERPT_CHARS
    assert "\x00" not in problem.excerpt
    problem.excerpt.encode()


def test_a_backfilling_key_may_send_times_since_its_floor() -> None:
    window = Window.around(NOW, floor=datetime(2000, 1, 1, tzinfo=UTC))
    old, ancient = parse_items(
        [make_item(time="2000-01-01T00:00:00Z"), make_item(time="1999-12-31T23:59:59Z")], window
    )
    assert isinstance(old, Event)
    assert isinstance(ancient, Problem)
    assert ancient.code == "time_too_old"


@pytest.mark.parametrize(
    "text",
    [
        "2026-W10-1T00:00:00Z", "2026-060T00:00:00Z", "2026-03-01T24:00:00Z",
        "2026-03-01T00:00Z", "2026-02-29T00:00:00Z",
        "٢٠٢٦-03-01T00:00:00Z", "2026-03-01T00:00:00+0100",
        "2026-03-01T00:00:00\u221201:00", "0001-01-01T00:00:00+14:00",
        " 2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z\n",
        "2026-03-01T12:30:60Z", "0000-01-01T00:00:00Z", "-1", None, 5, True,
    ],
)  # fmt: skip
def test_what_rfc_3339_does_not_have_is_no_time(text: object) -> None:
    with pytest.raises(ValueError, match=r"time|instant|day|year|month|second"):
        read_time(text)


def test_fractions_are_truncated_and_a_leap_second_stays_in_its_day() -> None:
    assert read_time("2026-03-01T00:00:00.1234567899z").microsecond == 123456
    assert read_time("2016-12-31T23:59:60Z") == datetime(2016, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert read_time("2017-01-01T00:59:60+01:00").day == 31


@given(st.integers(-(10**9), 10**11), st.integers(-1439, 1439))
def test_every_rfc_3339_time_is_read_exactly(seconds: int, minutes: int) -> None:
    instant = datetime.fromtimestamp(seconds, UTC)
    shifted = instant.replace(tzinfo=None) + timedelta(minutes=minutes)
    sign = "-" if minutes < 0 else "+"
    offset = f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    assert read_time(shifted.isoformat(timespec="microseconds") + offset) == instant


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (10**26, "quantity_too_large"), (Decimal("1e400"), "quantity_too_large"), ("1e9999", "quantity_too_large"),
        (Decimal("-0.1"), "negative_quantity"), ("-1", "negative_quantity"), (Decimal("1e-13"), "quantity_scale"),
        ("0." + "0" * 12 + "1", "quantity_scale"), ("+1", "invalid_quantity"), ("0x1", "invalid_quantity"),
        ("1\n", "invalid_quantity"), ("sNaN", "invalid_quantity"), (False, "invalid_quantity"),
        ([1], "invalid_quantity"),
        ("01", "invalid_quantity"), ("1e" + "9" * 22, "invalid_quantity"), (1.5, "invalid_quantity"),
    ],
)  # fmt: skip
def test_quantities_that_do_not_fit_are_named(value: object, code: str) -> None:
    with pytest.raises(BadQuantity) as caught:
        read_quantity(value)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (-0, "0"), ("-0.0", "0"), ("12.50", "12.50"), (Decimal("1e25"), "1" + "0" * 25),
     (Decimal("1.0000000000000"), "1.0000000000000"), (10**26 - 1, "9" * 26), (Decimal("1E-12"), "0.000000000001")],
)  # fmt: skip
def test_quantities_are_exact(value: object, text: str) -> None:
    assert plain_text(read_quantity(value)) == text


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**70), 10**70)
    | st.decimals(allow_nan=False, allow_infinity=False).map(float)
    | st.text(st.characters(codec=None, categories=["L", "N", "P", "Z", "Cc", "Cs"]), max_size=8)
    | st.sampled_from(['":', "[", "{", "\\", '"', "1e2345", "a:b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
DAMAGES = st.sampled_from(["", "", "", " ", "\n", ",", ":", "}", '"', "\\", "NaN", "0", "é", '"a":1,', "\\ud800"])


@settings(max_examples=600, deadline=None)
@given(
    JSON_VALUES, st.integers(0, 200), DAMAGES, st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :")])
)
def test_the_fast_reader_means_the_same_as_the_strict_one(
    value: Any, at: int, damage: str, ascii_only: bool, separators: tuple[str, str]
) -> None:
    text = json.dumps([{"data": value, "id": 1}], ensure_ascii=ascii_only, separators=separators)
    body = (text[:at] + damage + text[at:]).encode("utf-8", "surrogatepass")

    def outcome(read: Any) -> Any:
        try:
            return repr(read())
        except Unreadable as refused:
            return refused.code

    fast = outcome(lambda: json_strict.load(body)[0])
    if fast != "not_utf8":
        assert fast == outcome(lambda: json_strict._load_slowly(body))
