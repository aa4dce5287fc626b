"""pythonic, sarashina, gemma4, inkling, minimax_m3: formats with a syntax of their own."""

from __future__ import annotations

import pytest
from smg_tool_parser import parse

from .reading import calls, read, text_of


def test_pythonic_reads_the_first_list_that_looks_like_calls() -> None:
    text = "See [1], [x]: [go(to='L', by=(1, 2)), wave()] and [late()]"
    assert calls("pythonic", text) == [("go", '{"to": "L", "by": [1, 2]}'), ("wave", "{}")]
    assert text_of("pythonic", text) == "See [1], [x]:  and [late()]"


def test_pythonic_removes_its_tags_around_calls() -> None:
    assert text_of("pythonic", "a<|python_start|>[wave()]<|python_end|>b") == "ab"
    assert text_of("pythonic", "a<|python_start|>b") == "a<|python_start|>b"


@pytest.mark.parametrize("block", ["[go(1)]", "[go(a=f())]", "[go(a=1),]", "[go(a='x"])
def test_a_pythonic_list_that_is_refused_is_text(block: str) -> None:
    assert text_of("pythonic", block + " [wave()]") == block + " [wave()]"


def test_pythonic_finds_the_end_of_a_list_past_brackets_in_strings() -> None:
    assert calls("pythonic", "[go(a=']', b='''it's ]''')]") == [
        ("go", '{"a": "]", "b": "it\'s ]"}')
    ]


def test_sarashina_reads_behind_the_marker_or_at_the_start() -> None:
    payload = "[{'name': 'go', 'arguments': {'a': (1, None)}}, {'name': 'wave'}]"
    expected = [("go", '{"a": [1, null]}'), ("wave", "{}")]
    assert calls("sarashina", "So. <|tool_calls|> " + payload) == expected
    assert calls("sarashina", " \n" + payload) == expected
    assert calls("sarashina", "So. " + payload) == []


def test_sarashina_trims_text_and_removes_a_marker_without_payload() -> None:
    assert text_of("sarashina", " a <|tool_calls|> b ") == "a  b"
    assert text_of("sarashina", "<|tool_calls|>[{'name': oops(") == "[{'name': oops("


def gemma(body: str) -> str:
    return f"<|tool_call>call:{body}<tool_call|>"


def test_gemma_reads_quoted_bare_and_nested_values() -> None:
    body = (
        'plan_trip{place:<|"|>a, {b}<|"|>, days: 3 ,flexible:true,stops:[<|"|>x<|"|>,y,],'
        'extras:{seat:4,row:5},<|"|>odd:key<|"|>:1}'
    )
    json = (
        '{"place": "a, {b}", "days": 3, "flexible": true, "stops": ["x", "y"], '
        '"extras": {"seat": 4, "row": "5"}, "odd:key": "1"}'
    )
    assert calls("gemma4", gemma(body)) == [("plan_trip", json)]


def test_gemma_keeps_text_and_removes_the_response_marker_behind_a_call() -> None:
    assert text_of("gemma4", "a " + gemma("wave{}") + "<|tool_response> b") == "a  b"


def test_a_gemma_call_may_lack_its_closing_marker() -> None:
    assert calls("gemma4", "<|tool_call>call: wave {} so") == [("wave", "{}")]
    assert text_of("gemma4", "<|tool_call>call: wave {} so") == " so"


@pytest.mark.parametrize("body", ["wave", "{}", "wave{a}", "wave{a:}", "wave{:1}", "wave{a:1"])
def test_a_gemma_block_that_cannot_be_read_is_text_up_to_its_end(body: str) -> None:
    assert text_of("gemma4", gemma(body) + gemma("wave{}")) == gemma(body)


def frame(body: str, header: str = "") -> str:
    return f"<|message_model|>{header}<|content_invoke_tool_json|>{body}<|end_message|>"


def test_inkling_reads_declared_calls_and_suppresses_others() -> None:
    text = frame('{"args": {"code": "A"}, "name": "find_item"}') + frame(
        '{"name": "x", "args": {}}'
    )
    assert calls("inkling", text) == [("find_item", '{"code": "A"}')]
    assert text_of("inkling", text) == ""
    assert parse("inkling", text).calls == ()


@pytest.mark.parametrize("body", ['{"name": "wave"}', '{"name": "wave", "args": []}', "oops", "[]"])
def test_an_inkling_frame_that_cannot_be_read_vanishes(body: str) -> None:
    text = "a" + frame(body) + "b"
    assert (calls("inkling", text), text_of("inkling", text)) == ([], "ab")


def test_inkling_shows_text_and_drops_headers() -> None:
    text = "<|message_model|>hidden<|content_text|>Hi.<|end_message|> there<|message_model|>gone"
    assert text_of("inkling", text) == "Hi. there"


def m3(*invokes: str) -> str:
    return ("§<tool_call>\n" + "\n".join(invokes) + "\n§</tool_call>").replace("§", "]<]minimax[>[")


def test_minimax_m3_builds_values_from_elements_and_schema() -> None:
    invoke = (
        "§<invoke name='plan_trip'>§<place>a &amp; b§</place>§<days>3§</days>"
        "§<stops>§<any>x§</any>§<item>7§</item>§</stops>§<extras>§<seat>4§</seat>§</extras>"
        "§<more>1§</more>§<more>two§</more>§<none>§</none>§</invoke>"
    )
    json = (
        '{"place": "a & b", "days": 3, "stops": ["x", "7"], "extras": {"seat": 4}, '
        '"more": [1, "two"], "none": ""}'
    )
    assert calls("minimax_m3", m3(invoke)) == [("plan_trip", json)]


def test_minimax_m3_knows_empty_objects_and_arrays_and_text_beside_elements() -> None:
    invoke = (
        '§<invoke name="plan_trip">§<stops> §</stops>§<extras>§</extras>'
        "§<free>so§<a>1§</a>§</free>§</invoke>"
    )
    assert calls("minimax_m3", m3(invoke)) == [
        ("plan_trip", '{"stops": [], "extras": {}, "free": {"a": 1, "$text": "so"}}')
    ]


@pytest.mark.parametrize("inside", ["§<a>1", "§<a>1§</b>", "1§</a>", "§<a>" * 200 + "§</a>" * 200])
def test_an_element_without_its_end_spoils_a_minimax_m3_block(inside: str) -> None:
    text = m3(f'§<invoke name="wave">{inside}§</invoke>')
    assert (calls("minimax_m3", text), text_of("minimax_m3", text)) == ([], text)


def test_passthrough_leaves_everything_alone() -> None:
    text = '<tool_call>\n{"name": "a"}\n</tool_call>'
    assert read("passthrough", *text).normal_text == text
