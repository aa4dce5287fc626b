"""The door: content types, the limits of the close look, and what an intake tells."""

import inspect
import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smg_protocols import Dialect, RequestInvalid, read_intake
from smg_protocols.contracts import CONTRACTS
from smg_protocols.document import CLOSE_LOOK_LIMIT_BYTES

JSON = b"application/json"
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def refusal_of(body: bytes, content_type: bytes | None = JSON) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as caught:
        read_intake(Dialect.CHAT, body, content_type=content_type)
    return caught.value


def passes(body: bytes) -> bool:
    return read_intake(Dialect.CHAT, body, content_type=JSON).model == "m"


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/json",
        b"application/json; charset=utf-8",
        b"Application/JSON",
        b" application/json ;charset=latin-1",
        b"application/vnd.api+json",
    ],
)
def test_json_by_any_of_its_names_is_read(content_type: bytes) -> None:
    body = json.dumps(CHAT).encode()

    assert read_intake(Dialect.CHAT, body, content_type=content_type).model == "m"


@pytest.mark.parametrize(
    "content_type",
    [None, b"", b"text/plain", b"text/json", b"application/jsonp", b"application/json/x"],
)
def test_other_content_types_are_refused_before_the_body_is_read(
    content_type: bytes | None,
) -> None:
    refusal = refusal_of(b"not looked at", content_type)

    assert (refusal.status, refusal.code, refusal.param) == (400, "json_parse_error", None)
    assert refusal.message == "Missing Content-Type: application/json header"


@pytest.mark.parametrize(
    "separators", [(",", ":"), (", ", ": "), (" ,\n", " :\t")], ids=["tight", "default", "loose"]
)
def test_a_repeated_member_is_refused_however_the_body_is_printed(
    separators: tuple[str, str],
) -> None:
    comma, colon = separators
    good = json.dumps(CHAT, separators=separators)
    twice = f'{good[:-1]}{comma}"temperature"{colon}1{comma}"temperature"{colon}0}}'

    assert passes(good.encode())
    refusal = refusal_of(twice.encode())
    assert (refusal.code, refusal.param) == ("json_parse_error", None)
    assert "duplicate field `temperature`" in refusal.message


def test_a_member_name_that_also_occurs_deeper_is_no_repetition() -> None:
    body = {**CHAT, "tools": [], "model": "m", "extra": {"model": ["tools", "messages"]}}

    assert passes(json.dumps(body, indent=2).encode())


def test_unknown_members_may_be_repeated() -> None:
    assert passes(json.dumps(CHAT)[:-1].encode() + b', "x": 1, "x": 2}')


def test_beyond_the_close_look_the_last_of_repeated_members_counts() -> None:
    filler = "x" * CLOSE_LOOK_LIMIT_BYTES
    body = json.dumps({"model": "first", **CHAT, "filler": filler})[:-1] + ', "model": "m"}'

    assert passes(body.encode())


def test_broken_utf8_is_refused_even_where_nobody_reads() -> None:
    body = json.dumps(CHAT)[:-1].encode() + b', "x": "\xff"}'

    refusal = refusal_of(body)

    assert refusal.code == "invalid_json"
    assert "invalid unicode code point at line 1 column" in refusal.message


def test_escaped_member_names_are_the_same_names() -> None:
    assert passes(json.dumps(CHAT).replace('"model"', '"mod\\u0065l"').encode())


@pytest.mark.parametrize("depth", [127, 128, 5_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_ends_at_the_limit(depth: int, opening: str, closing: str) -> None:
    inner = opening * (depth - 1) + "1" + closing * (depth - 1)
    body = f'{json.dumps(CHAT)[:-1]}, "x": {inner}}}'.encode()

    if depth < 128:
        assert passes(body)
    else:
        refusal = refusal_of(body)
        assert refusal.code == "invalid_json"
        assert "recursion limit exceeded" in refusal.message


def test_a_caller_with_little_stack_left_gets_a_refusal_too() -> None:
    depth, frame = 0, inspect.currentframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    block: dict[str, Any] = {"type": "text", "text": "x"}
    for _ in range(40):
        source = {"type": "content", "content": [block]}
        block = {"type": "document", "source": source}
    message = {"role": "user", "content": [block]}
    body = json.dumps({"model": "m", "max_tokens": 1, "messages": [message]}).encode()

    def descend(frames: int) -> object:
        if frames:
            return descend(frames - 1)
        return read_intake(Dialect.MESSAGES, body, content_type=JSON)

    assert descend(0)
    try:
        # Since Python 3.12 calls in C have a stack of their own, and there is room after all.
        assert descend(sys.getrecursionlimit() - depth - 60)
    except RequestInvalid as invalid:
        assert "recursion limit exceeded" in invalid.message


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert passes(json.dumps({**CHAT, "x": [[]] * 500, "top_k": -1}).encode())


@pytest.mark.parametrize(
    ("member", "value", "found"),
    [
        ("rid", "r", "r"),
        ("cache_salt", "s", "s"),
        ("cache_salt", 5, None),
        ("extra_key", None, None),
    ],
)
def test_keys_of_the_prefix_cache_are_strings_or_nothing(
    member: str, value: Any, found: str | None
) -> None:
    body = json.dumps({**CHAT, member: value}).encode()

    assert getattr(read_intake(Dialect.CHAT, body, content_type=JSON), member) == found


def test_line_and_column_count_from_the_start_of_the_line() -> None:
    body = b'{\n  "model": "m",\n  "messages": [],\n  "n": "x"\n}'

    assert refusal_of(body).message.endswith("expected u32 at line 4 column 10")


def test_a_missing_member_is_noticed_where_its_object_ends() -> None:
    body = b'{"model": "m", "messages": [{"role": "user"}], "n": 1}'

    assert refusal_of(body).message.endswith("missing field `content` at line 1 column 44")


def test_errors_in_very_long_bodies_point_at_the_end() -> None:
    body = json.dumps({"n": "x", **CHAT, "filler": "x" * 2**20}).encode()

    assert refusal_of(body).message.endswith(f"at line 1 column {len(body)}")


def test_long_texts_are_not_sent_back_whole() -> None:
    body = json.dumps({**CHAT, "temperature": "x" * 100_000}).encode()

    assert len(refusal_of(body).message) < 500


def test_a_refusal_shows_what_it_is() -> None:
    refusal = refusal_of(b"{}", None)

    assert str(refusal) == refusal.message
    assert repr(refusal).startswith("RequestInvalid('Missing Content-Type")


def test_every_dialect_has_a_contract() -> None:
    assert set(CONTRACTS) == set(Dialect)


@settings(deadline=None)
@given(body=st.binary())
@pytest.mark.parametrize("dialect", list(Dialect), ids=lambda each: each.name)
def test_bytes_are_an_intake_or_a_refusal(dialect: Dialect, body: bytes) -> None:
    try:
        read_intake(dialect, body, content_type=JSON)
    except RequestInvalid as refusal:
        assert refusal.status in (400, 422)


SPLICES = st.sampled_from([
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"NaN",
    b"1e400",
    b"-0",
    b"1" * 400,
    b"1" * 5_000,
    b'"\\ud800"',
    b'"\\ud800\\udc00"',
    b"null",
    b"[[[[",
    b"]]]]",
    b"{" * 300,
    b'"',
    b"\\",
    b",",
    b'"model":1,',
    b"\n",
])


@settings(deadline=None)
@given(splice=SPLICES, at=st.integers(0, 80), cut=st.integers(0, 5))
@pytest.mark.parametrize("dialect", list(Dialect), ids=lambda each: each.name)
def test_damaged_bodies_are_an_intake_or_a_refusal(
    dialect: Dialect, splice: bytes, at: int, cut: int
) -> None:
    body = json.dumps({**CHAT, "input": "x", "max_tokens": 5, "prompt": "p"}).encode()

    try:
        read_intake(dialect, body[:at] + splice + body[at + cut :], content_type=JSON)
    except RequestInvalid as refusal:
        assert refusal.status in (400, 422)


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"", "EOF while parsing a value at line 1 column 0"),
        (b"  \n ", "EOF while parsing a value at line 2 column 1"),
        (b'{"model": "m"', "EOF while parsing an object at line 1 column 13"),
        (b"[1", "EOF while parsing a list at line 1 column 2"),
        (b"{} x", "trailing characters at line 1 column 4"),
        (b'{"a": 1,}', "trailing comma at line 1 column 9"),
        (b"{'a': 1}", "key must be a string at line 1 column 2"),
        (b'{"a" 1}', "expected `:` at line 1 column 6"),
        (b'{"a": 1 "b": 2}', "expected `,` or `}` at line 1 column 9"),
        (b'{"a": NaN}', "expected value at line 1 column 7"),
        (b'{"a": "\\x"}', "invalid escape at line 1 column 9"),
        (b'{"a": "\\u12zz"}', "invalid escape at line 1 column 13"),
        (b'{"a": "\\udc00"}', "lone leading surrogate in hex escape at line 1 column 14"),
        (b'{"a": 01}', "invalid number at line 1 column 8"),
        (b'{"a": 1e400}', "number out of range at line 1 column 12"),
        (b'{"a": "\n"}', "control character (\\u0000-\\u001F) found while parsing a string"),
        (b"\xef\xbb\xbf{}", "expected value at line 1 column 1"),
    ],
)
def test_broken_json_is_explained(body: bytes, cause: str) -> None:
    refusal = refusal_of(body)

    assert (refusal.code, refusal.param) == ("invalid_json", None)
    assert refusal.message.startswith(
        f"JSON syntax error: Failed to parse the request body as JSON: {cause}"
    )


@pytest.mark.parametrize(
    ("body", "found"), [(b"null", "null"), (b"[]", "sequence"), (b"5", "integer `5`")]
)
def test_a_document_that_is_no_object_is_an_invalid_type(body: bytes, found: str) -> None:
    refusal = refusal_of(body)

    assert (refusal.code, refusal.param) == ("invalid_type", None)
    assert f"invalid type: {found}, expected struct ChatCompletionRequest" in refusal.message
