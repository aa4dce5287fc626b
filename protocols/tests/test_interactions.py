"""Interactions and realtime sessions: what is refused and what is passed on."""

import json
from typing import Any

import pytest
from smg_protocols import Dialect, Intake, RequestInvalid, read_intake


def accept(**changes: Any) -> Intake:
    return send(Dialect.INTERACTIONS, {"model": "m", "input": "hi", **changes})


def send(dialect: Dialect, body: Any) -> Intake:
    return read_intake(dialect, json.dumps(body).encode(), content_type=b"application/json")


def code_and_param(dialect: Dialect, body: Any) -> tuple[str | None, str | None]:
    with pytest.raises(RequestInvalid) as caught:
        send(dialect, body)
    return caught.value.code, caught.value.param


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("hi", "hi"),
        ({"type": "text", "text": "a"}, "a"),
        ([{"type": "text", "text": "a"}, {"type": "image", "uri": "u"}], "a"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a b"),
        ([{"role": "user", "content": "a"}, {"content": [{"type": "text", "text": "b"}]}], "a b"),
    ],
    ids=str,
)
def test_every_form_of_input_passes_and_gives_its_text(value: Any, text: str) -> None:
    assert accept(input=value).routing_text() == text


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        [],
        {"type": "text"},
        [{"type": "image"}],
        {"type": "google_search_call"},
        {"type": "url_context_result"},
        [{"role": "user"}],
        [{"content": " "}],
        [{"content": []}],
    ],
    ids=str,
)
def test_empty_input_is_refused(value: Any) -> None:
    body = {"model": "m", "input": value}

    assert code_and_param(Dialect.INTERACTIONS, body) == ("input_cannot_be_empty", "input")


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"input": 5}, "invalid_type", "input"),
        ({"input": {"type": "text", "text": 5}}, "invalid_type", "input"),
        ({"input": [{"type": "file_search_call"}]}, "file_search_content_not_supported", "input"),
        ({"tools": [{"type": "file_search"}]}, "file_search_tool_not_supported", "tools"),
        ({"model": None}, "model_or_agent_required", None),
        ({"agent": "a"}, "model_and_agent_mutually_exclusive", None),
        ({"model": None, "agent": "a"}, "agent_requires_background", None),
        ({"background": True}, "background_requires_agent", None),
        (
            {"model": None, "agent": "a", "background": True, "stream": True},
            "background_conflicts_with_stream",
            None,
        ),
        ({"response_format": {}}, "response_mime_type_required", None),
        (
            {"generation_config": {"top_p": 0}},
            "decimal_below_min_value",
            "generation_config.top_p",
        ),
        (
            {"generation_config": {"max_output_tokens": 0}},
            "integer_below_min_value",
            "generation_config.max_output_tokens",
        ),
        (
            {"generation_config": {"stop_sequences": ["a"] * 6}},
            "too_many_stop_sequences",
            "generation_config.stop_sequences",
        ),
        (
            {"generation_config": {"stop_sequences": [" "]}},
            "stop_sequences_cannot_be_empty",
            "generation_config.stop_sequences",
        ),
        (
            {"generation_config": {"thinking_level": "zzz"}},
            "invalid_value",
            "generation_config.thinking_level",
        ),
    ],
    ids=str,
)
def test_bad_interactions_are_refused(
    changes: dict[str, Any], code: str, param: str | None
) -> None:
    body = {"model": "m", "input": "hi", **changes}

    assert code_and_param(Dialect.INTERACTIONS, body) == (code, param)


def test_an_agent_in_the_background_passes() -> None:
    intake = accept(model=None, agent="a", background=True)

    assert (intake.model, intake.request.agent) == (None, "a")


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (Dialect.REALTIME_SESSIONS, {"type": "realtime", "model": "m"}),
        (Dialect.REALTIME_CLIENT_SECRETS, {"session": {"type": "realtime", "model": "m"}}),
        (Dialect.REALTIME_TRANSCRIPTION_SESSIONS, {"type": "transcription", "model": "m"}),
        (
            Dialect.REALTIME_SESSIONS,
            {
                "type": "realtime",
                "model": "m",
                "max_output_tokens": "inf",
                "tracing": "auto",
                "truncation": {"type": "retention_ratio", "retention_ratio": 0.5},
                "tool_choice": {"type": "function", "name": "f"},
                "tools": [{"type": "function", "name": "f"}],
                "audio": {"output": {"voice": {"id": "v"}, "format": {"type": "audio/pcm"}}},
            },
        ),
    ],
)
def test_good_sessions_pass(dialect: Dialect, body: Any) -> None:
    assert send(dialect, body).model == "m"


@pytest.mark.parametrize(
    ("dialect", "body", "code", "param"),
    [
        (Dialect.REALTIME_SESSIONS, {"model": "m"}, "missing_required_parameter", "type"),
        (Dialect.REALTIME_SESSIONS, {"type": "zzz", "model": "m"}, "invalid_value", "type"),
        (Dialect.REALTIME_SESSIONS, {"type": "realtime"}, "invalid_value", None),
        (Dialect.REALTIME_SESSIONS, {"type": "realtime", "model": " "}, "invalid_value", None),
        (
            Dialect.REALTIME_CLIENT_SECRETS,
            {"session": {"type": "realtime"}},
            "invalid_value",
            None,
        ),
        (Dialect.REALTIME_CLIENT_SECRETS, {}, "missing_required_parameter", "session"),
        (Dialect.REALTIME_TRANSCRIPTION_SESSIONS, {"type": "realtime"}, "invalid_value", "type"),
    ],
)
def test_bad_sessions_are_refused(
    dialect: Dialect, body: Any, code: str, param: str | None
) -> None:
    assert code_and_param(dialect, body) == (code, param)
