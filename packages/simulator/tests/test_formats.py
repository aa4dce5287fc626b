from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_simulator import Trace, TraceFormat, TraceInvalid, parse_trace, read_trace

MOONCAKE = b'{"timestamp": 500, "input_length": 600, "output_length": 9, "hash_ids": [0, 1]}'
GATEWAY = b'{"t": 3.5, "model": "m", "input_tokens": 20, "blocks": ["a"], "block_size": 16}'
AZURE = b"TIMESTAMP,ContextTokens,GeneratedTokens"
AZURE_ROW = b"2026-01-05 18:17:03.9799600,4808,10"


def line(**fields: object) -> bytes:
    return msgspec.json.encode(fields)


def test_a_mooncake_trace_counts_in_milliseconds_and_blocks_of_512(data: Path) -> None:
    trace = read_trace(data / "conversations.jsonl")
    first, second = trace.requests[:2]

    assert (trace.name, len(trace), trace.block_size) == ("conversations", 60, 512)
    assert (second.prompt_tokens, second.output_tokens) == (2559, 15)
    assert second.at_s == pytest.approx(0.2)
    assert first.blocks[:2] == second.blocks[:2]
    assert trace.credit.startswith("Mooncake trace")
    assert trace.ideal_hit_rate > 0.6


def test_an_azure_trace_has_prompts_that_share_nothing(data: Path) -> None:
    trace = read_trace(data / "azure.csv")
    first, second = trace.requests[:2]

    assert (trace.name, len(trace)) == ("azure", 20)
    assert (first.prompt_tokens, first.output_tokens, len(first.blocks)) == (3987, 259, 8)
    assert second.at_s == pytest.approx(4.849101, abs=1e-6)
    assert trace.ideal_hit_rate == 0.0
    assert "CC-BY" in trace.credit


def test_a_recording_of_characters_is_turned_into_tokens(data: Path) -> None:
    trace = read_trace(data / "recording.jsonl")
    first, second = trace.requests[:2]

    assert (trace.block_size, len(trace), trace.credit) == (512, 12, "")
    assert (first.model, first.routing_key, first.prompt_tokens) == ("large", "2", 2351)
    assert (first.output_tokens, second.output_tokens) == (230, 128)
    assert len(first.blocks) == 5, "four hashes and a rest that nobody else has"


def test_a_recording_of_tokens_is_taken_as_it_is() -> None:
    trace = parse_trace([GATEWAY])

    assert trace.block_size == 16
    assert trace.requests[0].prompt_tokens == 20
    assert (trace.requests[0].model, trace.requests[0].routing_key) == ("m", None)


def test_block_sizes_that_are_no_multiple_of_a_token_lose_the_last_hash() -> None:
    trace = parse_trace([line(t=0, chars=14, blocks=[1, 2], block_size=7)])

    assert trace.block_size == 1
    assert trace.requests[0].prompt_tokens == 4
    assert len(trace.requests[0].blocks) == 4


def test_lines_out_of_order_are_sorted() -> None:
    rows = [line(t=at, input_tokens=at, block_size=1) for at in (7, 5, 6)]

    assert [each.prompt_tokens for each in parse_trace(rows).requests] == [5, 6, 7]


def test_times_with_a_zone_are_understood() -> None:
    rows = [AZURE, b"2026-01-05 00:00:00+00:00,1,1", b"2026-01-05 01:00:02+01:00,1,1"]

    assert parse_trace(rows).span_s == 2.0


def test_a_byte_order_mark_and_foreign_line_ends_do_not_matter() -> None:
    trace = parse_trace([b"\xef\xbb\xbf" + AZURE + b"\r\n", AZURE_ROW + b"\r\n"])

    assert trace.requests[0].prompt_tokens == 4808


def test_empty_lines_say_nothing_but_count() -> None:
    assert len(parse_trace([b"", MOONCAKE, b"  \n", MOONCAKE, b""])) == 2
    with pytest.raises(TraceInvalid, match="line 4") as caught:
        parse_trace([b"", MOONCAKE, b"", b"{}"])
    assert caught.value.line == 4


def test_unknown_fields_are_left_alone() -> None:
    assert len(parse_trace([line(t=1, input_tokens=1, block_size=1, colour="red")])) == 1


@pytest.mark.parametrize("lines", [[], [b"\n", b""], [AZURE]])
def test_a_file_without_requests_is_no_trace(lines: list[bytes]) -> None:
    with pytest.raises(TraceInvalid, match="there is no request in it"):
        parse_trace(lines)


@pytest.mark.parametrize(
    ("lines", "number", "problem"),
    [
        ([b"hello"], 1, "neither a JSON object nor the header"),
        ([b"[1]"], 1, "neither a JSON object nor the header"),
        ([b'{"time": 3}'], 1, "neither `timestamp` nor `t`"),
        ([MOONCAKE, b"{"], 2, "truncated"),
        ([MOONCAKE, MOONCAKE.replace(b"600", b"-1")], 2, "input_length"),
        ([MOONCAKE, MOONCAKE.replace(b"600", b'"long"')], 2, "input_length"),
        ([MOONCAKE, MOONCAKE.replace(b"600", b"512")], 2, "512 tokens have 1 blocks"),
        ([MOONCAKE, b'{"timestamp": 1}'], 2, "input_length"),
        ([MOONCAKE, b"\xff\xfe"], 2, "malformed"),
        ([GATEWAY, line(t=1, block_size=16)], 2, "neither `input_tokens` nor `chars`"),
        ([GATEWAY, line(t=1, input_tokens=1)], 2, "block_size"),
        ([GATEWAY, line(t=1, input_tokens=1, block_size=8)], 2, "blocks of the same size"),
        ([GATEWAY, line(t=1, chars=1, block_size=16)], 2, "blocks of the same size"),
        ([line(t=1, chars=9, blocks=[1, 2, 3], block_size=8)], 1, "do not have 3 blocks"),
        ([AZURE, AZURE_ROW, b"2026-01-05 18:17:04,1"], 3, "not enough values"),
        ([AZURE, b"yesterday,1,1"], 2, "yesterday"),
        ([AZURE, b"2026-01-05,one,1"], 2, "invalid literal"),
        ([AZURE, b"2026-01-05,-1,1"], 2, "negative"),
        ([AZURE, AZURE_ROW, b"2026-01-05 18:17:04Z,1,1"], 3, "offset-naive"),
    ],
)
def test_a_bad_line_is_named_with_its_number(lines: list[bytes], number: int, problem: str) -> None:
    with pytest.raises(TraceInvalid, match=problem) as caught:
        parse_trace(lines, "bad")

    assert caught.value.line == number
    assert str(caught.value).startswith(f"bad, line {number}: ")


def test_a_given_format_is_not_questioned() -> None:
    with pytest.raises(TraceInvalid, match="timestamp"):
        parse_trace([GATEWAY], form=TraceFormat.MOONCAKE)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_trace(tmp_path / "nothing.jsonl")


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_any_bytes_make_a_trace_or_the_one_error(lines: list[bytes]) -> None:
    try:
        trace = parse_trace([AZURE, *lines])
    except TraceInvalid:
        return
    assert isinstance(trace, Trace)


def test_lines_in_characters_and_in_tokens_go_together_when_their_blocks_are_alike() -> None:
    trace = parse_trace([
        line(t=0, input_tokens=128, block_size=64, blocks=["a", "b"]),
        line(t=1, chars=512, block_size=256, blocks=["a", "c"]),
    ])

    first, second = trace.requests
    assert trace.block_size == 64
    assert first.blocks[0] == second.blocks[0]
    assert second.prompt_tokens == 128
