"""What a template expects, read off its text and its syntax tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import nodes

from ..renderers.contract import ContentFormat, ThinkingToggle

__all__ = ("TemplateTraits", "template_traits", "thinking_of")

# The blanks keep out thinking_mode, thinking_budget and the like.
_THINKING_USES = ("if thinking ", "thinking is ", "thinking ==", "set thinking ")
_THINKING_OFF = (
    "set thinking = false",
    "set thinking=false",
    "set enable_thinking = false",
    "set enable_thinking=false",
)


@dataclass(frozen=True, slots=True)
class TemplateTraits:
    """What was found in one template."""

    content_format: ContentFormat = "string"
    think_in_prefill: bool = False
    thinking_toggle: ThinkingToggle = "none"
    thinking_key: str | None = None


def thinking_of(text: str) -> tuple[ThinkingToggle, str | None]:
    """Whether a template can switch thinking, which way it starts, and the variable's name."""
    has_enable = "enable_thinking" in text
    if not has_enable and not any(use in text for use in _THINKING_USES):
        return "none", None
    key = "enable_thinking" if has_enable else "thinking"
    off = any(assignment in text for assignment in _THINKING_OFF)
    return "default_off" if off else "default_on", key


def template_traits(text: str, tree: nodes.Template) -> TemplateTraits:
    """Everything that is known about a template before it is rendered."""
    toggle, key = thinking_of(text)
    detector = _Detector()
    detector.read(tree.body)
    content_format: ContentFormat = "openai" if detector.structured else "string"
    return TemplateTraits(content_format, detector.think_in_prefill, toggle, key)


class _Detector:
    def __init__(self) -> None:
        self._messages: list[str] = []
        self.structured = False
        self.think_in_prefill = False

    def read(self, body: Sequence[nodes.Node]) -> None:
        for node in body:
            match node:
                case nodes.For():
                    self._read_loop(node)
                case nodes.If():
                    self._read_condition(node)
                case nodes.Output():
                    for printed in node.nodes:
                        self._look_for_structure(printed)
                case nodes.Macro():
                    if _tests_a_type(node.body) and _has_loop(node.body):
                        self.structured = True
                case nodes.CallBlock() | nodes.FilterBlock() | nodes.With() | nodes.Scope():
                    self.read(node.body)
                case _:
                    pass

    def _read_loop(self, loop: nodes.For) -> None:
        over_messages = isinstance(loop.iter, nodes.Name) and loop.iter.name == "messages"
        message = loop.target.name if isinstance(loop.target, nodes.Name) else None
        if over_messages and message is not None:
            self._messages.append(message)
        if self._is_content(loop.iter) or self._is_within_content(loop.iter):
            self.structured = True
        self.read(loop.body)
        if over_messages and message is not None:
            self._messages.pop()

    def _read_condition(self, node: nodes.If) -> None:
        for branch in (node, *node.elif_):
            self._look_for_structure(branch.test)
            if _mentions(branch.test, "add_generation_prompt") and _opens_thinking(branch.body):
                self.think_in_prefill = True
            self.read(branch.body)
        self.read(node.else_)

    def _is_content(self, node: nodes.Node) -> bool:
        return isinstance(node, nodes.Name) and node.name == "content"

    def _is_message_content(self, node: nodes.Node | None) -> bool:
        while isinstance(node, nodes.Filter | nodes.Test):
            node = node.node
        match node:
            case nodes.Getattr(node=nodes.Name(name=name), attr="content"):
                return name in self._messages
            case nodes.Getitem(node=nodes.Name(name=name), arg=nodes.Const(value="content")):
                return name in self._messages
        return False

    def _is_within_content(self, node: nodes.Node) -> bool:
        while not self._is_message_content(node):
            if (
                isinstance(node, nodes.Getattr)
                or isinstance(node, nodes.Getitem)
                and not isinstance(node.arg, nodes.Slice)
            ):
                node = node.node
            else:
                return False
        return True

    def _look_for_structure(self, node: nodes.Node | None) -> None:
        match node:
            case nodes.Getitem():
                content = self._is_content(node.node) or self._is_within_content(node.node)
                self.structured |= content and _is_number(node.arg)
            case nodes.Filter(name="length"):
                inner = node.node
                if inner is not None and (
                    self._is_content(inner) or self._is_within_content(inner)
                ):
                    self.structured = True
            case nodes.Filter() | nodes.Test() | nodes.Getattr() | nodes.UnaryExpr():
                self._look_for_structure(node.node)
            case nodes.BinExpr():
                self._look_for_structure(node.left)
                self._look_for_structure(node.right)
            case nodes.Compare():
                self._look_for_structure(node.expr)
                for operand in node.ops:
                    self._look_for_structure(operand.expr)
            case nodes.Concat():
                for part in node.nodes:
                    self._look_for_structure(part)
            case _:
                pass


def _is_number(node: nodes.Node) -> bool:
    if not isinstance(node, nodes.Const):
        return False
    return isinstance(node.value, int | float) and not isinstance(node.value, bool)


def _mentions(node: nodes.Node, name: str) -> bool:
    match node:
        case nodes.Name():
            return bool(node.name == name)
        case nodes.BinExpr():
            return _mentions(node.left, name) or _mentions(node.right, name)
        case nodes.UnaryExpr():
            return _mentions(node.node, name)
        case nodes.Compare():
            parts = [node.expr, *(operand.expr for operand in node.ops)]
            return any(_mentions(part, name) for part in parts)
    return False


def _opens_thinking(body: Sequence[nodes.Node]) -> bool:
    for node in body:
        match node:
            case nodes.Output():
                if any(_prints_think(printed) for printed in node.nodes):
                    return True
            case nodes.If():
                branches = [node.body, *(branch.body for branch in node.elif_), node.else_]
                if any(_opens_thinking(branch) for branch in branches):
                    return True
            case _:
                pass
    return False


def _prints_think(node: nodes.Node) -> bool:
    match node:
        case nodes.TemplateData():
            return "<think>" in node.data
        case nodes.Const(value=str() as value):
            return "<think>" in value
    return False


def _tests_a_type(body: Sequence[nodes.Node]) -> bool:
    for node in body:
        match node:
            case nodes.If():
                branches = (node, *node.elif_)
                if any(isinstance(branch.test, nodes.Test) for branch in branches):
                    return True
                bodies = [*(branch.body for branch in branches), node.else_]
                if any(_tests_a_type(inner) for inner in bodies):
                    return True
            case nodes.For():
                if _tests_a_type(node.body):
                    return True
            case _:
                pass
    return False


def _has_loop(body: Sequence[nodes.Node]) -> bool:
    for node in body:
        match node:
            case nodes.For():
                return True
            case nodes.If():
                bodies = [node.body, *(branch.body for branch in node.elif_), node.else_]
                if any(_has_loop(inner) for inner in bodies):
                    return True
            case _:
                pass
    return False
