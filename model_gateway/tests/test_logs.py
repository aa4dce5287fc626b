"""Log lines."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from smg_gateway.observability.logs import LogFilter, configure_logging, get_logger
from smg_gateway.settings import ControlPlaneKey, Settings

CHAT = "/v1/chat/completions"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Where log lines go during a test."""
    yield io.StringIO()
    structlog.reset_defaults()


def test_the_longest_listed_prefix_decides_the_level() -> None:
    parsed = LogFilter.parse("warn, smg_gateway.upstream=debug,smg_gateway=error", "info")
    assert parsed.level_for("elsewhere") == logging.WARNING
    assert parsed.level_for("smg_gateway.app") == logging.ERROR
    assert parsed.level_for("smg_gateway.upstream.pool") == logging.DEBUG
    assert parsed.level_for("smg_gateway.upstreams") == logging.ERROR
    assert LogFilter.parse("", "info").default == logging.INFO


@pytest.mark.parametrize("text", ["loud", "smg_gateway=loud", "a=b=c"])
def test_unknown_levels_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unknown log level"):
        LogFilter.parse(text, "info")


def test_json_lines_carry_level_module_and_fields(lines: io.StringIO) -> None:
    configure_logging(
        LogFilter.parse("smg_gateway.quiet=error", "info"), as_json=True, stream=lines
    )
    get_logger("smg_gateway.app").info("hello", worker="http://w")
    get_logger("smg_gateway.app").debug("not this")
    get_logger("smg_gateway.quiet").warning("nor this")

    (record,) = map(json.loads, lines.getvalue().splitlines())
    assert (record["event"], record["level"], record["module"], record["worker"]) == (
        "hello",
        "info",
        "smg_gateway.app",
        "http://w",
    )
    assert record["timestamp"].endswith("Z")


@pytest.mark.anyio
async def test_each_request_has_one_access_line_without_secrets(
    start: Any, worker: Any, http: Any, chat: Any, lines: io.StringIO
) -> None:
    configure_logging(
        LogFilter.parse("warn,smg_gateway.access=info", "info"), as_json=True, stream=lines
    )
    key = {"authorization": "Bearer sk-very-secret", "x-request-id": "r-1"}

    async with start(worker, api_key="sk-very-secret") as running:
        async with http.post(running.url + CHAT, json=chat("my private words"), headers=key):
            pass
        async with http.post(
            running.url + CHAT, json=chat(), headers={"authorization": "Bearer x"}
        ):
            pass
        async with http.get(running.url + "/readiness"):
            pass
        await running.settled()

    text = lines.getvalue()
    served, refused, probed = map(json.loads, text.splitlines())
    assert served["event"] == "request" and served["level"] == "info"
    assert (served["method"], served["path"], served["status"]) == ("POST", CHAT, 200)
    assert (served["request_id"], served["worker"], served["model"]) == (
        "r-1",
        worker.url,
        "mock-model",
    )
    assert (served["attempts"], served["stream"]) == (1, False)
    assert served["duration_ms"] > 0
    assert (refused["status"], refused["error_code"]) == (401, "invalid_api_key")
    assert (probed["path"], probed["status"]) == ("/readiness", 200)
    assert "secret" not in text and "private" not in text


def test_levels_change_while_loggers_are_in_use(lines: io.StringIO) -> None:
    control = configure_logging(LogFilter.parse("", "warn"), as_json=True, stream=lines)
    log = get_logger("smg_gateway.app")
    log.info("one")
    log.warning("two")

    control.set_filter(LogFilter.parse("smg_gateway.app=debug", "error"))
    log.debug("three")
    get_logger("smg_gateway.other").warning("four")

    assert [json.loads(line)["event"] for line in lines.getvalue().splitlines()] == ["two", "three"]


@pytest.mark.parametrize("as_json", [True, False])
def test_configured_secrets_are_hidden_wherever_a_line_would_show_them(
    as_json: bool, lines: io.StringIO
) -> None:
    settings = Settings(
        api_key='sk-"quoted"-key',
        tenant_api_key=(("acme", "tenant-key-of-acme"),),
        control_plane_api_keys=(ControlPlaneKey("i", "n", "admin", "admin-key"),),
        redis_url="redis://:hushhush@cache:6379",
    )
    control = configure_logging(
        LogFilter.parse("", "info"), as_json=as_json, stream=lines, secrets=[*settings.secrets()]
    )
    log = get_logger("m")
    try:
        raise RuntimeError(f"cannot connect to {settings.redis_url}")
    except RuntimeError as error:
        log.error("failed", exc_info=error, tenant="acme", key="tenant-key-of-acme", short="n")
    log.info("keys", one=settings.api_key, other="admin-key")
    control.hide(["another-secret"])
    log.info("later", text="another-secret admin-key")

    text = lines.getvalue()
    for secret in ("quoted", "tenant-key-of", "hushhush", "another-secret"):
        assert secret not in text
    assert text.count("admin-key") == 1
    assert text.count("***") == 5
    assert "acme" in text
