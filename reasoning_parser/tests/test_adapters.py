"""The parsers inside vLLM and SGLang say what they say alone, through methods that fit."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module, reload
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from smg_reasoning_parser import PARSER_NAMES, Parsed, ParserUnknown, create_parser, parse
from smg_reasoning_parser.adapters import sglang, vllm
from smg_reasoning_parser.adapters.markers import markers_of

from .reading import read
from .servers import RECORDED, Characters, installed, sglang_doubles, vllm_doubles

SIZES = (1, 3, 1000)


@pytest.fixture
def in_vllm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not installed("vllm"):
        for name, module in vllm_doubles().items():
            monkeypatch.setitem(sys.modules, name, module)
    yield
    vllm.reasoning_parser_class.cache_clear()
    vllm._protocol.cache_clear()


@pytest.fixture
def in_sglang(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not installed("sglang"):
        for name, module in sglang_doubles().items():
            monkeypatch.setitem(sys.modules, name, module)
    yield
    sglang.detector_class.cache_clear()
    sglang._types.cache_clear()


def ids(text: str) -> list[int]:
    return Characters().encode(text)


def vllm_parser(name: str, prompt: str | None = None) -> Any:
    parser = vllm.reasoning_parser_class(name)(Characters())
    if prompt is not None:
        parser.adjust_initial_state_from_prompt(ids(prompt))
    return parser


def vllm_stream(parser: Any, text: str, size: int) -> Parsed:
    """As vLLM's server does: once reasoning has ended, text goes past the parser."""
    told = {"reasoning": "", "content": ""}
    ended = False

    def take(message: Any) -> None:
        if message is not None:
            told["reasoning"] += message.reasoning or ""
            told["content"] += message.content or ""

    for at in range(0, len(text), size):
        chunk = text[at : at + size]
        if ended:
            told["content"] += chunk
            continue
        take(parser.extract_reasoning_streaming("", "", chunk, [], [], []))
        ended = parser.has_engine_confirmed_reasoning_end()
        if ended:
            take(parser.finish_streaming())
    if not ended:
        take(parser.finish_streaming())
    return Parsed(told["reasoning"], told["content"])


def sglang_stream(detector: Any, text: str, size: int) -> Parsed:
    results = [
        detector.parse_streaming_increment(text[at : at + size]) for at in range(0, len(text), size)
    ]
    results.append(detector.finish())
    return Parsed(
        "".join(result.reasoning_text for result in results),
        "".join(result.normal_text for result in results),
    )


def outputs(name: str) -> list[str]:
    """One block of reasoning, whole and cut off, and answers without."""
    start, end = markers_of(name)
    block = f"{start}3 < 5{end}Yes <b>"
    return [block, block[:-8], f"3 < 5{end}Yes", "Yes <", f"{start}3 <", ""]


@pytest.mark.usefixtures("in_vllm")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PARSER_NAMES)
def test_a_stream_in_vllm_says_what_the_parser_says_alone(name: str, size: int) -> None:
    begins_inside = create_parser(name).in_reasoning
    for text in outputs(name):
        # Once an answer has begun, vLLM shows its parser nothing more: a stray end marker stays.
        if text.startswith("3 < 5") and not begins_inside:
            continue
        assert vllm_stream(vllm_parser(name), text, size) == parse(name, text)


@pytest.mark.usefixtures("in_sglang")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PARSER_NAMES)
def test_a_stream_in_sglang_says_what_the_parser_says_alone(name: str, size: int) -> None:
    for text in outputs(name):
        for stream_reasoning in (True, False):
            detector = sglang.detector_class(name)(stream_reasoning=stream_reasoning)
            assert sglang_stream(detector, text, size) == parse(name, text)


@pytest.mark.usefixtures("in_vllm", "in_sglang")
@pytest.mark.parametrize("name", PARSER_NAMES)
def test_whole_outputs_are_split_with_what_stands_before_the_start_marker(name: str) -> None:
    start, end = markers_of(name)
    text = f"Well. {start}3 < 5{end}Yes"
    expected = parse(name, text, hold_lead=True)

    said = vllm_parser(name).extract_reasoning(text, None)
    found = sglang.detector_class(name)().detect_and_parse(text)

    assert said == (expected.reasoning or None, expected.normal_text or None)
    assert Parsed(found.reasoning_text, found.normal_text) == expected


@pytest.mark.usefixtures("in_vllm")
@pytest.mark.parametrize(
    ("prompt", "reasoning"),
    [
        ("<user>Why?<assistant><think>\n", "Because"),
        ("<user>Why?<assistant><think>\n\n</think>\n\n", ""),
        ("<assistant><think>x</think>Since.<user>Why?<assistant>", ""),
    ],
)
def test_the_end_of_the_prompt_tells_vllm_where_an_output_begins(
    prompt: str, reasoning: str
) -> None:
    parser = vllm_parser("qwen3", prompt)
    assert vllm_stream(parser, "Because", 3).reasoning == reasoning
    assert vllm_parser("qwen3").is_reasoning_end(ids(prompt)) == prompt.endswith("</think>\n\n")


@pytest.mark.usefixtures("in_vllm")
def test_reasoning_of_an_earlier_turn_does_not_change_the_habit_of_a_family() -> None:
    prompt = "<think>x</think>Since.<user>Why?<assistant>"
    assert vllm_stream(vllm_parser("deepseek_r1", prompt), "Because", 3).reasoning == "Because"


@pytest.mark.usefixtures("in_vllm")
def test_blank_space_before_the_start_marker_does_not_end_reasoning() -> None:
    assert vllm_stream(vllm_parser("qwen3"), "\n\n<think>3</think>Yes", 1).reasoning == "3"


@pytest.mark.usefixtures("in_vllm")
def test_vllm_finds_the_end_of_reasoning_in_the_newest_tokens() -> None:
    parser = vllm_parser("qwen3")
    text = "3 < 5</think>"
    assert parser.is_reasoning_end_streaming(ids(text), iter(ids(">")))
    assert not parser.is_reasoning_end_streaming(ids(text + "Yes, of course"), ids("e"))
    assert not vllm_parser("passthrough").is_reasoning_end_streaming(ids(text), ids(">"))


@pytest.mark.usefixtures("in_vllm")
def test_vllm_gets_the_tokens_behind_the_end_of_reasoning() -> None:
    parser = vllm_parser("qwen3")
    assert parser.extract_content_ids(ids("a</think>Yes")) == ids("Yes")
    assert parser.extract_content_ids(ids("Yes")) == []
    assert vllm_parser("passthrough").extract_content_ids(ids("Yes")) == []


@pytest.mark.usefixtures("in_vllm")
@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("qwen3", "<think>abc</think>Yes", 3),
        ("qwen3", "<think>abc", 3),
        ("qwen3", "Yes", 0),
        ("deepseek_r1", "abc</think>Yes", 3),
        ("deepseek_r1", "abc", 3),
        ("passthrough", "abc", 0),
    ],
)
def test_vllm_learns_how_many_tokens_are_reasoning(name: str, text: str, count: int) -> None:
    assert vllm_parser(name).count_reasoning_tokens(ids(text)) == count


@pytest.mark.usefixtures("in_vllm")
def test_vllm_keeps_special_tokens_and_knows_the_markers() -> None:
    request = SimpleNamespace(skip_special_tokens=True)
    parser = vllm_parser("kimi")
    assert parser.adjust_request(request).skip_special_tokens is False
    assert (parser.reasoning_start_str, parser.reasoning_end_str) == ("◁think▷", "◁/think▷")
    assert vllm_parser("passthrough").reasoning_end_str is None
    assert vllm_parser("kimi").finish_streaming() is None


@pytest.mark.parametrize("name", PARSER_NAMES)
def test_the_markers_are_those_that_the_parsers_know(name: str) -> None:
    start, end = markers_of(name)
    if start:
        parsed = parse(name, f"{start}a{end}b", reasoning_started=False)
        assert parsed == Parsed("a", "b")
    with pytest.raises(ParserUnknown):
        markers_of(name + "?")


@pytest.mark.usefixtures("in_sglang")
def test_sglang_may_say_where_an_output_begins() -> None:
    made = sglang.detector_class("qwen3")
    forced = made(force_reasoning=True)
    assert sglang_stream(forced, "a</think>b", 2) == Parsed("a", "b")
    for before, expected in (("<think>x", Parsed("a", "")), ("<think>x</think>y", Parsed("", "a"))):
        detector = made(continue_final_message=True, previous_content=before)
        assert sglang_stream(detector, "a", 1) == expected


@pytest.mark.usefixtures("in_sglang")
@pytest.mark.parametrize("stream_reasoning", [True, False])
def test_reasoning_without_an_answer_is_the_answer_if_sglang_wants_one(
    stream_reasoning: bool,
) -> None:
    def detector() -> Any:
        return sglang.detector_class("qwen3")(
            stream_reasoning=stream_reasoning, force_nonempty_content=True
        )

    assert sglang_stream(detector(), "<think>a", 2).normal_text == "a"
    assert sglang_stream(detector(), "<think>a</think>b", 2) == Parsed("a", "b")
    assert detector().detect_and_parse("<think>a").normal_text == "a"
    assert detector().detect_and_parse("<think>a</think>b").normal_text == "b"


@pytest.mark.usefixtures("in_sglang")
def test_sglang_gets_reasoning_that_is_not_streamed_when_it_ends() -> None:
    detector = sglang.detector_class("qwen3")(stream_reasoning=False)
    assert detector.parse_streaming_increment("<think>a").reasoning_text == ""
    assert detector.parse_streaming_increment("b</think>").reasoning_text == "ab"


@pytest.mark.usefixtures("in_vllm")
def test_vllm_knows_the_parsers_after_a_plugin_file_of_two_lines(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text("from smg_reasoning_parser.adapters.vllm import register\nregister()\n")
    exec(compile(plugin.read_text(), plugin, "exec"), {})
    manager = import_module("vllm.reasoning.abs_reasoning_parsers").ReasoningParserManager
    for name in PARSER_NAMES:
        assert manager.reasoning_parsers["smg_" + name] is vllm.reasoning_parser_class(name)


@pytest.mark.usefixtures("in_vllm")
def test_vllm_knows_the_parsers_after_importing_the_plugin_module() -> None:
    reload(import_module("smg_reasoning_parser.adapters.vllm_plugin"))
    manager = import_module("vllm.reasoning.abs_reasoning_parsers").ReasoningParserManager
    assert "smg_qwen3" in manager.reasoning_parsers


@pytest.mark.usefixtures("in_sglang")
def test_sglang_knows_the_parsers_once_its_plugins_are_loaded() -> None:
    (plugin,) = entry_points(group="sglang.srt.plugins", name="smg_reasoning_parser")
    plugin.load()()
    known = import_module("sglang.srt.parser.reasoning_parser").ReasoningParser.DetectorMap
    for name in PARSER_NAMES:
        assert known["smg_" + name] is sglang.detector_class(name)


@pytest.mark.usefixtures("in_vllm", "in_sglang")
@pytest.mark.parametrize("make", [vllm.reasoning_parser_class, sglang.detector_class])
def test_a_wrong_name_is_refused(make: Any) -> None:
    with pytest.raises(ParserUnknown):
        make("no such parser")


ABSTRACT = [
    ("vllm", "vllm.reasoning.abs_reasoning_parsers", "ReasoningParser", vllm.StreamedReasoning),
    (
        "sglang",
        "sglang.srt.parser.reasoning_parser",
        "BaseReasoningFormatDetector",
        sglang.DetectedReasoning,
    ),
]


@pytest.mark.parametrize(("server", "module", "name", "ours"), ABSTRACT)
def test_our_methods_take_what_the_servers_classes_say(
    server: str, module: str, name: str, ours: type[Any]
) -> None:
    recorded: Mapping[str, list[list[Any]]] = RECORDED[server][name]
    shared = [method for method in recorded if method in vars(ours) and method != "__init__"]
    assert len(shared) > 2
    for method in shared:
        assert parameters(getattr(ours, method)) == recorded[method], method


def test_the_base_class_of_sglang_takes_what_our_detector_gives_it() -> None:
    known = {name for name, _, _ in RECORDED["sglang"]["BaseReasoningFormatDetector"]["__init__"]}
    double = set(
        inspect.signature(sglang_doubles()[ABSTRACT[1][1]].BaseReasoningFormatDetector).parameters
    )
    assert double <= known


@pytest.mark.parametrize(("server", "module", "name", "ours"), ABSTRACT)
def test_the_recorded_methods_are_those_of_the_installed_server(
    server: str, module: str, name: str, ours: type[Any]
) -> None:
    if not installed(server):
        pytest.skip(f"{server} is not installed")
    real = getattr(import_module(module), name)
    for method, recorded in RECORDED[server][name].items():
        assert parameters(vars(real)[method]) == recorded, method


def parameters(function: Any) -> list[list[Any]]:
    """Name, kind, and whether there is a default, also of a class method's first parameter."""
    return [
        [one.name, one.kind.name.lower(), one.default is not one.empty]
        for one in inspect.signature(getattr(function, "__func__", function)).parameters.values()
    ]


def test_a_reader_of_streams_reads_as_the_tests_do() -> None:
    assert read(create_parser("qwen3"), ["<think>a</think>b"]) == Parsed("a", "b")
