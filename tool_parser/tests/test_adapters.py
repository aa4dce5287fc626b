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
from smg_tool_parser import ParserUnknown, create_parser, gather, parser_names
from smg_tool_parser.adapters import sglang, vllm
from smg_tool_parser.adapters.history import calls_before
from smg_tool_parser.testing import TOOLS, chunkings, corpus, write_calls

from .servers import RECORDED, installed, sglang_doubles, vllm_doubles

TEXT = "Let me look. " + write_calls("qwen", [("find_item", {"code": "A-1"}), ("wave", {})])
CUT = TEXT[: TEXT.index("A-1")]

Streamed = list[list[str]]
"""Names with joined arguments."""


class Tool:
    """A declared tool as the servers have it: not a mapping, but able to become one."""

    def __init__(self, declared: Mapping[str, Any]) -> None:
        self.declared = declared
        self.function = SimpleNamespace(**declared["function"])

    def model_dump(self) -> Mapping[str, Any]:
        return self.declared


def request(**changes: Any) -> SimpleNamespace:
    fields = {
        "tools": TOOLS,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "messages": [],
        "skip_special_tokens": True,
    }
    return SimpleNamespace(**(fields | changes))


@pytest.fixture
def in_vllm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not installed("vllm"):
        for name, module in vllm_doubles().items():
            monkeypatch.setitem(sys.modules, name, module)
    yield
    vllm.tool_parser_class.cache_clear()
    vllm._protocol.cache_clear()


@pytest.fixture
def in_sglang(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not installed("sglang"):
        for name, module in sglang_doubles().items():
            monkeypatch.setitem(sys.modules, name, module)
    yield
    sglang.detector_class.cache_clear()
    sglang._types.cache_clear()


def vllm_parser(name: str) -> Any:
    parser = vllm.tool_parser_class(name)(None)
    # Set afterwards, because the real class only takes its own kind of tools.
    parser.tools = [Tool(tool) for tool in TOOLS]
    return parser


def vllm_stream(parser: Any, chunks: list[str]) -> tuple[str, Streamed]:
    """Text and calls out of a stream, checking that they could be sent as they come."""
    text = ""
    calls: Streamed = []
    messages = [
        parser.extract_tool_calls_streaming("", "", chunk, [], [], [], request())
        for chunk in chunks
    ]
    for message in [*messages, parser.finish_streaming()]:
        if message is None:
            continue
        assert message.content or message.tool_calls
        text += message.content or ""
        for call in message.tool_calls:
            if call.function.name:
                assert (call.index, call.type) == (len(calls), "function") and call.id
                calls.append([call.function.name, ""])
            calls[call.index][1] += call.function.arguments
    return text, calls


def sglang_stream(detector: Any, chunks: list[str]) -> tuple[str, Streamed]:
    tools = [Tool(tool) for tool in TOOLS]
    text = ""
    calls: Streamed = []
    results = [detector.parse_streaming_increment(chunk, tools) for chunk in chunks]
    for result in [*results, detector.finish(tools)]:
        text += result.normal_text
        for call in result.calls:
            if call.name:
                assert call.tool_index == len(calls)
                calls.append([call.name, ""])
            calls[call.tool_index][1] += call.parameters
    return text, calls


def alone(name: str, text: str) -> tuple[str, Streamed]:
    parser = create_parser(name, TOOLS)
    parsed = gather(parser.feed(text) + parser.finish())
    return parsed.normal_text, [[call.name, call.arguments] for call in parsed.calls]


@pytest.mark.usefixtures("in_vllm")
@pytest.mark.parametrize("name", parser_names())
def test_a_stream_in_vllm_says_what_the_parser_says_alone(name: str) -> None:
    for output in corpus(name)[::5]:
        for chunks in chunkings(output.text, random_ones=1):
            assert vllm_stream(vllm_parser(name), chunks) == alone(name, output.text)


@pytest.mark.usefixtures("in_sglang")
@pytest.mark.parametrize("name", parser_names())
def test_a_stream_in_sglang_says_what_the_parser_says_alone(name: str) -> None:
    for output in corpus(name)[::5]:
        for chunks in chunkings(output.text, random_ones=1):
            assert sglang_stream(sglang.detector_class(name)(), chunks) == alone(name, output.text)


@pytest.mark.usefixtures("in_vllm")
def test_whole_outputs_in_vllm_have_complete_calls_only() -> None:
    whole = vllm_parser("qwen").extract_tool_calls(TEXT, request())
    assert whole.tools_called and whole.content == "Let me look. "
    named = [(call.function.name, call.function.arguments) for call in whole.tool_calls]
    assert named == [("find_item", '{"code": "A-1"}'), ("wave", "{}")]
    assert whole.tool_calls[0].id == whole.tool_calls[0].function.id

    cut = vllm_parser("qwen").extract_tool_calls(CUT, request())
    assert (cut.tools_called, cut.content, cut.tool_calls) == (False, CUT, [])
    assert vllm_parser("qwen").extract_tool_calls("", request()).content is None


@pytest.mark.usefixtures("in_sglang")
def test_whole_outputs_in_sglang_have_complete_calls_only() -> None:
    tools = [Tool(tool) for tool in TOOLS]
    detector = sglang.detector_class("qwen")()
    whole = detector.detect_and_parse(TEXT, tools)
    assert whole.normal_text == "Let me look. "
    assert [(call.tool_index, call.name) for call in whole.calls] == [(1, "find_item"), (2, "wave")]
    assert detector.detect_and_parse(CUT, tools).calls == []


@pytest.mark.usefixtures("in_sglang")
def test_sglang_learns_whether_an_output_has_calls() -> None:
    for name in parser_names():
        detector = sglang.detector_class(name)()
        assert not detector.has_tool_call("Just an answer.")
        if name != "passthrough":
            assert detector.has_tool_call(write_calls(name, [("wave", {})]))


@pytest.mark.usefixtures("in_sglang")
def test_sglang_writes_forced_calls_its_own_way() -> None:
    detector = sglang.detector_class("qwen")()
    assert not detector.supports_structural_tag()
    with pytest.raises(NotImplementedError):
        detector.structure_info()


@pytest.mark.usefixtures("in_vllm")
def test_special_tokens_stay_in_the_text_when_vllm_reads_calls() -> None:
    assert vllm_parser("qwen").adjust_request(request()).skip_special_tokens is False
    for without in (request(tools=[]), request(tool_choice="none")):
        assert vllm_parser("qwen").adjust_request(without).skip_special_tokens is True


@pytest.mark.usefixtures("in_vllm")
def test_call_ids_go_on_where_a_model_numbers_them() -> None:
    text = write_calls("kimik2", [("wave", {})])
    before = [{"role": "assistant", "tool_calls": [{}, {}]}, SimpleNamespace(tool_calls=None)]
    asked = request(messages=before)
    whole = vllm_parser("kimik2").extract_tool_calls(text, asked)
    assert whole.tool_calls[0].id == "functions.wave:2"
    message = vllm_parser("kimik2").extract_tool_calls_streaming("", "", text, [], [], [], asked)
    assert message.tool_calls[0].id == "functions.wave:2"
    assert calls_before("Hello") == 0


@pytest.mark.usefixtures("in_vllm")
def test_nothing_is_told_at_the_end_of_a_stream_that_never_began() -> None:
    assert vllm_parser("qwen").finish_streaming() is None


@pytest.mark.usefixtures("in_sglang")
def test_nothing_is_found_at_the_end_of_a_stream_that_never_began() -> None:
    result = sglang.detector_class("qwen")().finish([])
    assert (result.normal_text, result.calls) == ("", [])


@pytest.mark.usefixtures("in_vllm")
def test_vllm_knows_the_parsers_after_a_plugin_file_of_two_lines(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text("from smg_tool_parser.adapters.vllm import register\nregister()\n")
    exec(compile(plugin.read_text(), plugin, "exec"), {})
    manager = import_module("vllm.tool_parsers.abstract_tool_parser").ToolParserManager
    for name in parser_names():
        assert manager.tool_parsers["smg_" + name] is vllm.tool_parser_class(name)


@pytest.mark.usefixtures("in_vllm")
def test_vllm_knows_the_parsers_after_importing_the_plugin_module() -> None:
    reload(import_module("smg_tool_parser.adapters.vllm_plugin"))
    manager = import_module("vllm.tool_parsers.abstract_tool_parser").ToolParserManager
    assert "smg_qwen" in manager.tool_parsers


@pytest.mark.usefixtures("in_sglang")
def test_sglang_knows_the_parsers_once_its_plugins_are_loaded() -> None:
    (plugin,) = entry_points(group="sglang.srt.plugins", name="smg_tool_parser")
    plugin.load()()
    parser = import_module("sglang.srt.function_call.function_call_parser").FunctionCallParser
    for name in parser_names():
        assert parser.ToolCallParserEnum["smg_" + name] is sglang.detector_class(name)


@pytest.mark.usefixtures("in_vllm", "in_sglang")
@pytest.mark.parametrize("make", [vllm.tool_parser_class, sglang.detector_class])
def test_a_wrong_name_is_refused(make: Any) -> None:
    with pytest.raises(ParserUnknown):
        make("no such parser")


ABSTRACT = [
    ("vllm", "vllm.tool_parsers.abstract_tool_parser", "ToolParser", vllm.StreamedCalls),
    (
        "sglang",
        "sglang.srt.function_call.base_format_detector",
        "BaseFormatDetector",
        sglang.DetectedCalls,
    ),
]


@pytest.mark.parametrize(("server", "module", "name", "ours"), ABSTRACT)
def test_our_methods_take_what_the_servers_classes_say(
    server: str, module: str, name: str, ours: type[Any]
) -> None:
    recorded: Mapping[str, list[list[Any]]] = RECORDED[server][name]
    shared = [method for method in recorded if method in vars(ours)]
    assert len(shared) > 2
    for method in shared:
        assert parameters(getattr(ours, method)) == recorded[method], method


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
