"""Other servers' tool parsers with the face that the property suite knows: `feed` and `finish`.

Neither server says when a call ends, so a call counts as ended where the next one begins or the
output is over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import servers
from smg_tool_parser import ArgumentsDelta, CallClosed, CallOpened, Event, TextDelta
from smg_tool_parser.testing.formats import MARKERS
from tokens import MarkerTokenizer

VLLM: Mapping[str, str] = {
    "deepseek": "deepseek_v3",
    "deepseek31": "deepseek_v31",
    "deepseek32": "deepseek_v32",
    "deepseek_v4": "deepseek_v4",
    "deepseek_v41": "deepseek_v41",
    "gemma4": "gemma4",
    "glm45_moe": "glm45",
    "glm47_moe": "glm47",
    "hy_v4": "hy_v4",
    "inkling": "inkling",
    "kimi_k3": "kimi_k3",
    "kimik2": "kimi_k2",
    "llama": "llama3_json",
    "minimax_m2": "minimax_m2",
    "minimax_m3": "minimax_m3",
    "pythonic": "pythonic",
    "qwen": "hermes",
    "qwen_xml": "qwen3_coder",
    "step3": "step3",
}
"""vLLM's names for the formats of our parsers."""

SGLANG: Mapping[str, str] = {
    "cohere": "cohere_command4",
    "deepseek": "deepseekv3",
    "deepseek31": "deepseekv31",
    "deepseek32": "deepseekv32",
    "deepseek_v4": "deepseekv4",
    "deepseek_v41": "deepseekv41",
    "gemma4": "gemma4",
    "glm45_moe": "glm45",
    "glm47_moe": "glm47",
    "inkling": "inkling",
    "kimi_k3": "kimi_k3",
    "kimik2": "kimi_k2",
    "llama": "llama3",
    "minimax_m2": "minimax-m2",
    "minimax_m3": "minimax-m3",
    "mistral": "mistral",
    "pythonic": "pythonic",
    "qwen": "qwen25",
    "qwen_xml": "qwen3_coder",
    "step3": "step3",
}
"""SGLang's names for the formats of our parsers."""

# Tokens that a vLLM parser refuses to start without, beside the markers of the corpus.
_TOKENS: Mapping[str, tuple[str, ...]] = {
    "cohere": ("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>"),
    "deepseek": ("<｜tool▁calls▁end｜>", "<｜tool▁call▁end｜>"),
    "deepseek31": ("<｜tool▁calls▁end｜>", "<｜tool▁call▁end｜>"),
    "gemma4": ("<|channel>", "<channel|>"),
    "inkling": ("<|content_text|>", "<|content_thinking|>", "<|content_model_end_sampling|>"),
    "kimik2": (
        "<|tool_calls_section_end|>",
        "<|tool_call_argument_begin|>",
        "<|tool_call_section_begin|>",
    ),
    "llama": ("<|python_tag|>",),
    "mistral": ("[ARGS]", "[CALL_ID]", "[TOOL_CALLS]"),
    "step3": ("<｜tool_calls_end｜>", "<｜tool_call_end｜>", "<｜tool_sep｜>"),
}
_THINK = ("<think>", "</think>")


def tokenizer_for(name: str) -> MarkerTokenizer:
    """A tokenizer to which the markers of a format are tokens."""
    markers = [word for word in MARKERS[name] if word[:1] in "<]" and word[-1:] in ">]["]
    return MarkerTokenizer([*markers, *_TOKENS.get(name, ()), *_THINK])


class _Told:
    """Deltas of a server, as events."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._open: int | None = None

    def text(self, text: str | None) -> None:
        if text:
            self.events.append(TextDelta(text))

    def call(self, index: int, name: str | None, arguments: str | None) -> None:
        if name:
            self.close()
            self._open = index
            self.events.append(CallOpened(index, "", name))
        if arguments:
            self.events.append(ArgumentsDelta(index, arguments))

    def close(self) -> None:
        if self._open is not None:
            self.events.append(CallClosed(self._open, True))
            self._open = None

    def drain(self) -> list[Event]:
        events, self.events = self.events, []
        return events


class VllmSubject:
    """A vLLM parser behind the class that vLLM's server drives it with."""

    def __init__(self, parser: type[Any], name: str, tools: Sequence[Any]) -> None:
        self._tokenizer = tokenizer_for(name)
        self._request = servers.vllm_request(tools)
        composed = servers.vllm_serving_parser(parser)
        self._parser = composed(self._tokenizer, self._request.tools)
        self._told = _Told()
        self._waiting: str | None = None

    def feed(self, delta: str) -> list[Event]:
        """The last piece is told apart from others, so one piece always waits."""
        if self._waiting is not None:
            self._step(self._waiting, finished=False)
        self._waiting = delta
        return self._told.drain()

    def finish(self) -> list[Event]:
        self._step(self._waiting or "", finished=True)
        self._told.close()
        return self._told.drain()

    def _step(self, delta: str, *, finished: bool) -> None:
        ids = self._tokenizer.encode(delta)
        message = self._parser.parse_delta(delta, ids, self._request, [], finished=finished)
        if message is not None:
            self._told.text(message.content)
            for call in message.tool_calls:
                function = call.function
                if function is not None:
                    self._told.call(call.index, function.name, function.arguments)


class SglangSubject:
    """A SGLang detector."""

    def __init__(self, detector: type[Any], name: str, tools: Sequence[Any]) -> None:
        self._tools = servers.sglang_tools(tools)
        self._detector = detector()
        self._told = _Told()

    def feed(self, delta: str) -> list[Event]:
        self._take(self._detector.parse_streaming_increment(delta, self._tools))
        return self._told.drain()

    def finish(self) -> list[Event]:
        self._take(self._detector.finish(self._tools))
        self._send_rest()
        self._told.close()
        return self._told.drain()

    def _send_rest(self) -> None:
        """Arguments of the last call that were read and not streamed, as SGLang's server sends them."""
        read, sent = self._detector.prev_tool_call_arr, self._detector.streamed_args_for_tool
        at = len(read) - 1
        if 0 <= at < len(sent):
            known = read[at].get("arguments", {})
            whole = known if isinstance(known, str) else json.dumps(known, ensure_ascii=False)
            if whole.startswith(sent[at]) and len(whole) > len(sent[at]):
                self._told.call(at, None, whole[len(sent[at]) :])

    def _take(self, result: Any) -> None:
        self._told.text(result.normal_text)
        for call in result.calls:
            self._told.call(call.tool_index, call.name, call.parameters)
