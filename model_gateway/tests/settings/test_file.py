"""Settings files: what they may say, what they are refused for, and what wins over them."""

from __future__ import annotations

import json
from pathlib import Path
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
    Launch,
    Origin,
    Source,
    declarations,
    read_launch,
)
from smg_gateway.settings.document import MAX_FILE_BYTES

SAMPLES: dict[str, tuple[Any, list[str]]] = {
    "list of key=value": (["a=1", "b=2"], ["a=1", "b=2"]),
    "alias=name, repeatable": (["a=b"], ["a=b"]),
    "tenant:key, repeatable": (["t:k"], ["t:k"]),
    "list of id:name:role:key": (["i:n:admin:k"], ["i:n:admin:k"]),
    "list of role=role": (["r=admin"], ["r=admin"]),
    "URL [PORT or none], repeatable": ([["http://a", 90]], ["http://a", "90"]),
    "comma-separated text": (["a", "b"], ["a,b"]),
    "comma-separated int": ([1, 2], ["1,2"]),
    "list of text": (["a", "b"], ["a", "b"]),
    "text, repeatable": (["a"], ["a"]),
    "list of float": ([1, 2.5], ["1", "2.5"]),
    "float": (2, ["2"]),
    "int": (7, ["7"]),
    "int >= 0": (7, ["7"]),
    "text": ("word", ["word"]),
    "switch": (True, []),
    "on/off": (True, []),
}
IN_FILES = [one for one in declarations() if one.name not in {"config", "reload"}]


def written(directory: Path, text: str, name: str = "smg.yaml") -> str:
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def read(path: str, *words: str, **environ: str) -> Launch:
    return read_launch(["--config", path, *words], environ)


def refusal(path: str, *words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(path, *words)
    return str(caught.value).replace(path, "FILE")


@pytest.mark.parametrize("declaration", IN_FILES, ids=lambda one: one.name)
def test_a_file_says_what_the_flag_would_say(declaration: Declaration, tmp_path: Path) -> None:
    value, words = SAMPLES[declaration.shape.label]
    if declaration.choices is not None:
        value, words = declaration.choices[0], [declaration.choices[0]]
    # JSON is YAML.
    path = written(tmp_path, json.dumps({declaration.flag.removeprefix("--"): value}))

    from_file = getattr(read(path).settings, declaration.name)

    assert from_file == getattr(
        read_launch([declaration.flag, *words], {}).settings, declaration.name
    )


YAML = """\
# A gateway in front of two workers.
port: 8080
worker_urls: [http://a:1, http://b:2]
model-alias:
  - small=qwen
api-key: "12345"
prometheus-duration-buckets: [1, 2.5]
retry-jitter-factor: 0
disable-retries: yes
prefill: http://c 9000
control-plane-api-keys: i:n:user:a:b
"""
TOML = """\
port = 8080
worker_urls = ["http://a:1", "http://b:2"]
model-alias = ["small=qwen"]
api-key = "12345"
prometheus-duration-buckets = [1, 2.5]
retry-jitter-factor = 0
disable-retries = true
prefill = [["http://c", 9000]]
control-plane-api-keys = ["i:n:user:a:b"]
"""


@pytest.mark.parametrize(("name", "text"), [("a.yaml", YAML), ("a.yml", YAML), ("a.toml", TOML)])
def test_both_formats_mean_the_same(name: str, text: str, tmp_path: Path) -> None:
    settings = read(written(tmp_path, text, name)).settings

    assert settings.port == 8080
    assert settings.worker_urls == ("http://a:1", "http://b:2")
    assert settings.model_alias == (("small", "qwen"),)
    assert settings.api_key == "12345"
    assert settings.prometheus_duration_buckets == (1.0, 2.5)
    assert settings.retry_jitter_factor == 0.0
    assert settings.disable_retries is True
    assert settings.prefill == (BootstrapUrl("http://c", 9000),)
    assert settings.control_plane_api_keys == (ControlPlaneKey("i", "n", "user", "a:b"),)


def test_a_flag_wins_over_the_environment_which_wins_over_the_file(tmp_path: Path) -> None:
    path = written(
        tmp_path, "redis-pool-max: 1\nredis-retention-days: 2\nport: 3\npolicy: random\n"
    )

    launch = read(path, "--port", "9", REDIS_POOL_MAX="8", REDIS_RETENTION_DAYS="")

    settings = launch.settings
    assert (settings.port, settings.redis_pool_max) == (9, 8)
    assert (settings.redis_retention_days, settings.policy) == (2, "random")
    assert launch.origin("port") == Origin(Source.COMMAND_LINE, "--port")
    assert launch.origin("redis_pool_max") == Origin(Source.ENVIRONMENT, "REDIS_POOL_MAX")
    assert launch.origin("policy") == Origin(Source.FILE, f"{path}:4")
    assert launch.origin("host") == Origin(Source.DEFAULT)
    assert launch.explicit == {"config", "port", "policy", "redis_retention_days"}


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "port: 3")

    assert read_launch([], {"SMG_CONFIG": path}).settings.port == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("port: 1\nprot: 2", "FILE:2: unknown setting 'prot'; did you mean 'port'?"),
        ("zzzzzz: 2", "FILE:1: unknown setting 'zzzzzz'"),
        ("port: 1\nhost: a\nport: 2", "FILE:3: port is set twice (first in line 1)"),
        ("max-idle-secs: 1\nsticky_key_idle_secs: 2",
         "FILE:2: sticky_key_idle_secs is set twice (first in line 1)"),
        ("config: other.yaml", "FILE:1: config cannot be set in a file"),
        ("port: yes", "FILE:1: port: expected int, got true or false"),
        ("port: '1'", "FILE:1: port: expected int, got text"),
        ("port: 1.5", "FILE:1: port: expected int, got number"),
        ("port: [1]", "FILE:1: port: expected int, got list"),
        ("\nport: 70000", ("FILE:2: port: out of range integral type conversion attempted "
         "(while processing 'port')")),
        ("api-key:", "FILE:1: api-key: expected text, got nothing"),
        ("api-key: 5", "FILE:1: api-key: expected text, got int"),
        ("log-level: off", "FILE:1: log-level: expected text, got true or false"),
        ("log-level: loud", "FILE:1: log-level: 'loud' is not one of debug, info, warn, error"),
        ("disable-retries: 1", "FILE:1: disable-retries: expected true or false, got int"),
        ("worker-urls: [1]", "FILE:1: worker-urls: expected text, got int"),
        ("model-alias: [nonsense]", ("FILE:1: model-alias: Invalid model alias 'nonsense'. "
         "Expected format: <alias>=<canonical>")),
        ("sse-keepalive-secs: -1", ("FILE:1: sse-keepalive-secs: expected a non-negative integer, "
         "got '-1'")),
        ("host:\n  deep:\n    er: 1", "FILE:2: expected a plain value or a list"),
        ("worker-urls: [[[[[[1]]]]]]", "FILE:1: nested too deeply"),
        ("worker-urls: [[[1]]]", "FILE:1: nested too deeply"),
        ("a: &a [1]\nb: *a", "FILE:2: aliases are not taken"),
        ("- port", "FILE:1: expected lines of the form `setting: value`"),
        ("[1]: 2", "FILE:1: a setting is named by plain text"),
        ("port: 1\nhost: [", "FILE:2: expected the node content, but found '<stream end>'"),
        ("port: 1\n---\nport: 2", "FILE:2: but found another document"),
        ("host: !!python/object:os.system x",
         ("FILE:1: could not determine a constructor for the tag "
         "'tag:yaml.org,2002:python/object:os.system'")),
        ("host: !!int x", "FILE:1: the value cannot be read"),
        ("host: 2026-01-01", "FILE:1: expected a plain value or a list"),
        ("service-discovery: true\ndiscovery-provider: file",
         "FILE: --discovery-provider and --service-discovery exclude each other"),
    ],
)  # fmt: skip
def test_yaml_is_refused_with_file_line_and_reason(text: str, reason: str, tmp_path: Path) -> None:
    assert refusal(written(tmp_path, text)) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("port = 1\nprot = 2", "FILE:2: unknown setting 'prot'; did you mean 'port'?"),
        ("port = 1\nport = 2", "FILE:2: Cannot overwrite a value"),
        ("port = 1\n'host' = 2", "FILE:2: host: expected text, got int"),
        ("[server]\nport = 1", "FILE:1: expected a plain value or a list"),
        ("host = ", "FILE:1: Invalid value"),
        ("worker-urls = [[[['a']]]]", "FILE:1: nested too deeply"),
        ("host = 2026-01-01", "FILE:1: expected a plain value or a list"),
        ("max-idle-secs = 1\nsticky_key_idle_secs = 2",
         "FILE:2: sticky_key_idle_secs is set twice (first in line 1)"),
    ],
)  # fmt: skip
def test_toml_is_refused_with_file_line_and_reason(text: str, reason: str, tmp_path: Path) -> None:
    assert refusal(written(tmp_path, text, "smg.toml")) == reason


@pytest.mark.parametrize("suffix", [".yaml", ".toml"])
def test_hostile_nesting_is_refused_and_not_followed(suffix: str, tmp_path: Path) -> None:
    path = written(tmp_path, "worker-urls" + (": " if suffix == ".yaml" else " = ") + "[" * 50_000,
                   "deep" + suffix)  # fmt: skip

    assert "nested too deeply" in refusal(path) or "at end of document" in refusal(path)


def test_files_that_cannot_be_settings_are_refused(tmp_path: Path) -> None:
    assert refusal(written(tmp_path, "port: 1", "smg.json")) == (
        "FILE: a settings file is named *.yaml, *.yml or *.toml"
    )
    assert refusal(str(tmp_path / "none.yaml")) == (
        "FILE: cannot be read: No such file or directory (os error 2)"
    )
    assert refusal(written(tmp_path, "#" * (MAX_FILE_BYTES + 1))) == (
        f"FILE: larger than {MAX_FILE_BYTES} bytes"
    )
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"port: 1\nhost: \xe4\n")
    assert refusal(str(path)) == "FILE:2: not UTF-8 text"


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    for name in ("a.yaml", "a.toml"):
        assert read(written(tmp_path, "# nothing\n", name)).settings.port == 30000


def test_a_secret_of_the_wrong_type_is_not_repeated(tmp_path: Path) -> None:
    assert "hush" not in refusal(written(tmp_path, "api-key: [hush]"))


@given(data=st.binary(max_size=200))
@example_settings(max_examples=150, deadline=None)
def test_any_bytes_are_settings_or_a_refusal(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name in ("fuzz.yaml", "fuzz.toml"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(data)
        try:
            read(str(path))
        except ConfigError:
            pass
