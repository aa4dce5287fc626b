"""Command lines and environments to settings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from smg_gateway.settings import (
    BootstrapUrl,
    ConfigError,
    ControlPlaneKey,
    Declaration,
    Origin,
    Settings,
    Source,
    declarations,
    parse_launch,
    read_launch,
)

WORD = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def integers(declaration: Declaration) -> st.SearchStrategy[int]:
    return st.integers(declaration.shape.low, declaration.shape.high)


def scalar(declaration: Declaration) -> st.SearchStrategy[Any]:
    """Single values of a declaration, as they stand in the settings."""
    if declaration.choices is not None:
        return st.sampled_from(declaration.choices)
    match declaration.shape.label:
        case "int" | "int >= 0":
            return integers(declaration)
        case "float" | "list of float":
            return FINITE
        case "comma-separated int":
            return st.lists(st.integers(0, 10**6)).map(tuple)
        case "comma-separated text":
            return st.lists(WORD).map(tuple)
        case _:
            return WORD


def as_word(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return str(value)


@st.composite
def assignments(draw: st.DrawFn) -> tuple[Declaration, list[str], object]:
    """A declaration, words that set it, and the value they stand for."""
    # `--config` brings in what a file says: another test's story.
    plain = [one for one in declarations() if one.shape.build is None and one.name != "config"]
    declaration = draw(st.sampled_from(plain))
    flag = draw(st.sampled_from([declaration.flag, *declaration.aliases]))
    match declaration.shape.taking:
        case "flag":
            return declaration, [flag], True
        case "toggle":
            value = draw(st.booleans())
            return declaration, [flag if value else f"--no-{flag.removeprefix('--')}"], value
        case "one":
            value = draw(scalar(declaration))
            return declaration, [f"{flag}={as_word(value)}"], value
        case "repeated":
            values = draw(st.lists(scalar(declaration), min_size=1))
            return declaration, [f"{flag}={value}" for value in values], tuple(values)
        case _:
            values = draw(st.lists(scalar(declaration).filter(lambda one: one != 0), min_size=1))
            words = [word for value in values for word in (flag, as_word(abs_of(value)))]
            return declaration, words, tuple(abs_of(value) for value in values)


def abs_of(value: Any) -> Any:
    """Lists of numbers cannot hold negative ones: a word with a dash would be a flag."""
    return abs(value) if isinstance(value, float) else value


@example_settings(deadline=None)
@given(assignments())
def test_what_the_command_line_says_is_what_the_settings_hold(
    assignment: tuple[Declaration, list[str], object],
) -> None:
    declaration, words, value = assignment

    launch = read_launch(words, {})

    assert getattr(launch.settings, declaration.name) == value
    assert launch.explicit == {declaration.name}
    assert launch.settings == Settings(**{declaration.name: value})  # type: ignore[arg-type]


def test_no_words_and_no_variables_give_the_defaults() -> None:
    launch = read_launch([], {})

    assert launch.settings == Settings()
    assert launch.explicit == frozenset()
    assert launch.origin("port") == Origin(Source.DEFAULT)


def test_an_unambiguous_beginning_of_a_flag_stands_for_it() -> None:
    assert parse_launch(["--max-conc", "5"], {}).max_concurrent_requests == 5


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        ("--worker-urls http://a http://b --worker-urls http://c", "worker_urls",
         ("http://a", "http://b", "http://c")),
        ("--worker-urls", "worker_urls", ()),
        ("--prometheus-duration-buckets 0.5 1 --prometheus-duration-buckets 2",
         "prometheus_duration_buckets", (0.5, 1.0, 2.0)),
        ("--decode http://a --decode http://b", "decode", ("http://a", "http://b")),
        ("--prefill http://a 9000 --prefill http://b none --prefill http://c", "prefill",
         (BootstrapUrl("http://a", 9000), BootstrapUrl("http://b", None),
          BootstrapUrl("http://c", None))),
        ("--encode http://a NONE", "encode", (BootstrapUrl("http://a", None),)),
        ("--selector app=llm stray tier=gpu", "selector", (("app", "llm"), ("tier", "gpu"))),
        ("--selector app=a --selector app=b", "selector", (("app", "b"),)),
        ("--storage-context-headers x-a=a stray x-b=b", "storage_context_headers",
         (("x-a", "a"), ("x-b", "b"))),
        ("--model-alias fast=org/model --model-alias slow=org/other", "model_alias",
         (("fast", "org/model"), ("slow", "org/other"))),
        ("--model-alias q=m=1", "model_alias", (("q", "m=1"),)),
        ("--tenant-api-key acme:k:1", "tenant_api_key", (("acme", "k:1"),)),
        ("--control-plane-api-keys a:b:admin:k:1 c:d:user:", "control_plane_api_keys",
         (ControlPlaneKey("a", "b", "admin", "k:1"), ControlPlaneKey("c", "d", "user", ""))),
        ("--jwt-role-mapping ops=admin dev=user", "jwt_role_mapping",
         (("ops", "admin"), ("dev", "user"))),
        ("--cache-boundaries 128,256", "cache_boundaries", (128, 256)),
        ("--mm-allowed-media-domains a.example,b.example", "mm_allowed_media_domains",
         ("a.example", "b.example")),
        ("--mm-processing ROUTER", "mm_processing", "router"),
        ("--model org/model", "model_path", "org/model"),
        ("--no-worker-auto-recovery", "remove_unhealthy_workers", False),
        ("--max-concurrent-requests -5", "max_concurrent_requests", -5),
    ],
)  # fmt: skip
def test_words_take_the_shape_of_their_setting(words: str, field: str, value: object) -> None:
    assert getattr(parse_launch(words.split(), {}), field) == value


def test_one_word_may_hold_several_pairs() -> None:
    assert parse_launch(["--selector", "a=1 junk b=2"], {}).selector == (("a", "1"), ("b", "2"))


def test_both_sides_of_a_tenant_key_are_trimmed() -> None:
    assert parse_launch(["--tenant-api-key", " acme : k "], {}).tenant_api_key == (("acme", "k"),)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--model-alias foo",
         "ValueError: Invalid model alias 'foo'. Expected format: <alias>=<canonical>"),
        ("--model-alias a=a",
         "ValueError: Invalid model alias 'a=a'. Alias must differ from the canonical model ID"),
        ("--model-alias a=b --model-alias a=c",
         "ValueError: Invalid model alias 'a'. It maps to both 'b' and 'c'"),
        ("--prefill http://a abc",
         "ValueError: Invalid bootstrap port: abc. Must be a number or 'none'"),
        ("--tenant-api-key foo", ("ValueError: Invalid --tenant-api-key value: "
                                  "expected 'tenant_id:key' (missing ':' separator)")),
        ("--control-plane-api-keys a:b:admin",
         "ValueError: Invalid control-plane API key entry: expected 'id:name:role:key'"),
        ("--control-plane-api-keys a:b:root:k",
         "ValueError: Invalid control-plane API key role: must be 'admin' or 'user'"),
        ("--jwt-role-mapping foo", ("ValueError: Invalid role mapping format: 'foo'. "
                                    "Expected 'idp_role=gateway_role'")),
        ("--jwt-role-mapping a=root",
         "ValueError: Invalid gateway role: 'root'. Must be 'admin' or 'user'"),
        ("--port 70000", ("OverflowError: out of range integral type conversion attempted "
                          "(while processing 'port')")),
        ("--queue-size -1", ("OverflowError: can't convert negative int to unsigned "
                             "(while processing 'queue_size')")),
        ("--max-tree-size 18446744073709551616",
         "OverflowError: int too big to convert (while processing 'max_tree_size')"),
    ],
)  # fmt: skip
def test_words_of_the_wrong_shape_are_refused_in_upstreams_words(words: str, line: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_launch(words.split(), {})

    assert refusal.value.line == line


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--policy zzz", "argument --policy: invalid choice: 'zzz' (choose from "),
        ("--decode-policy bucket", "argument --decode-policy: invalid choice: 'bucket'"),
        ("--encode-policy manual", "argument --encode-policy: invalid choice: 'manual'"),
        ("--bogus", "unrecognized arguments: --bogus"),
        ("--version", "unrecognized arguments: --version"),
        ("--port x", "argument --port: invalid int value: 'x'"),
        ("--cache-boundaries a,b",
         "argument --cache-boundaries: invalid _parse_int_csv value: 'a,b'"),
        ("--sse-keepalive-secs -1",
         "argument --sse-keepalive-secs: expected a non-negative integer, got '-1'"),
        ("--mm-pixel-cache-mb x",
         "argument --mm-pixel-cache-mb: expected a non-negative integer, got 'x'"),
        ("--retry", "ambiguous option: --retry could match"),
        ("--service-discovery --discovery-provider file",
         "argument --discovery-provider: not allowed with argument --service-discovery"),
    ],
)  # fmt: skip
def test_words_that_cannot_be_parsed_exit_with_two(
    words: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parse_launch(words.split(), {})

    assert end.value.code == 2
    usage, *rest = capsys.readouterr().err.splitlines()
    assert usage.startswith("usage: smg launch")
    assert rest[-1].startswith(f"smg: error: {complaint}")


def test_a_flag_wins_over_its_variable_and_the_variable_over_the_default() -> None:
    environ = {"ATP_POOL_MIN": "2", "ATP_POOL_MAX": "8"}

    launch = read_launch(["--oracle-pool-min", "3"], environ)

    assert (launch.settings.oracle_pool_min, launch.settings.oracle_pool_max) == (3, 8)
    assert launch.origin("oracle_pool_min") == Origin(Source.COMMAND_LINE, "--oracle-pool-min")
    assert launch.origin("oracle_pool_max") == Origin(Source.ENVIRONMENT, "ATP_POOL_MAX")
    assert launch.explicit == {"oracle_pool_min"}


@pytest.mark.parametrize(("text", "value"), [("TRUE", True), ("1", True), ("no", False)])
def test_a_variable_can_turn_a_switch_either_way(text: str, value: bool) -> None:
    assert parse_launch([], {"SMG_LOG_MM_TIMING": text}).log_mm_timing is value


def test_an_empty_variable_counts_as_unset() -> None:
    assert read_launch([], {"REDIS_URL": ""}).origin("redis_url").source is Source.DEFAULT


@pytest.mark.parametrize(
    ("variable", "text", "complaint"),
    [
        ("ATP_POOL_MIN", "many", "invalid literal for int"),
        ("SMG_MM_PIXEL_CACHE_MB", "-1", "expected a non-negative integer, got '-1'"),
        ("SMG_MM_PROCESSING", "nowhere", "'nowhere' is not one of auto, router, worker"),
        ("SMG_MM_PIXEL_RDMA", "perhaps", "expected true or false, got 'perhaps'"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(
    variable: str, text: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parse_launch([], {variable: text})

    assert end.value.code == 2
    assert f"smg: error: environment variable {variable}: {complaint}" in capsys.readouterr().err


def test_a_variable_too_large_for_its_field_is_refused() -> None:
    with pytest.raises(ConfigError, match="while processing 'redis_pool_max'"):
        parse_launch([], {"REDIS_POOL_MAX": "-1"})


def test_help_lists_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse_launch(["--help"], {})

    text = capsys.readouterr().out
    assert end.value.code == 0
    assert all(declaration.flag in text for declaration in declarations())
