"""The Jinja environment of chat templates: as transformers sets it up, and with a bill.

Nothing here depends on one template or one rendering: what a rendering costs is booked on the
account that `limits.current_budget` names, and the clock comes from there too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from types import BuiltinMethodType, MethodType
from typing import Any, NoReturn

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from jinja2.utils import Namespace

from .filters import chat_filters, chat_tests
from .guards import (
    check_format,
    guarded_add,
    guarded_multiply,
    guarded_power,
    guarded_remainder,
    method_guard,
)
from .limits import CONTAINERS, TEXTS, current_budget

__all__ = ("RefusedByTemplate", "chat_environment")

# Attributes of plain values that make bytes of any size out of a number.
NUMBER_METHODS_BARRED = frozenset({"from_bytes", "to_bytes"})
METHODS = (BuiltinMethodType, MethodType)
# What a mapping answers as an attribute even where it has an item of that name.
MAPPING_METHODS = frozenset(dir(dict))
# Formats are left out: the sandbox puts its own in their place.
TEXT_METHODS = frozenset(name for name in dir(str) if not name.startswith(("_", "format")))


class RefusedByTemplate(TemplateError):
    """The template called `raise_exception`."""


class ChatCodeGenerator(CodeGenerator):
    """Writes templates so that loops tick, and so that whatever is built is booked."""

    def visit_For(self, node: nodes.For, frame: Frame) -> None:
        # No template can write a bare reference to the context: it stands for one tick.
        tick = nodes.ExprStmt(nodes.ContextReference(lineno=node.lineno), lineno=node.lineno)
        node.body = [tick, *node.body]
        super().visit_For(node, frame)

    def visit_ExprStmt(self, node: nodes.ExprStmt, frame: Frame) -> None:
        if isinstance(node.node, nodes.ContextReference):
            self.newline(node)
            self.write("environment.tick()")
        else:
            super().visit_ExprStmt(node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:
        self.write("environment.held(")
        super().visit_List(node, frame)
        self.write(")")

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:
        if node.ctx != "load":
            super().visit_Tuple(node, frame)
            return
        self.write("environment.held(")
        super().visit_Tuple(node, frame)
        self.write(")")

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self.write("environment.held(")
        super().visit_Dict(node, frame)
        self.write(")")

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        # Comparisons with something short that stands in the template are cheap, and most are.
        operands = [node.expr, *(operand.expr for operand in node.ops)]
        short = any(isinstance(operand, nodes.Const) for operand in operands)
        if short and all(operand.op in {"eq", "ne"} for operand in node.ops):
            super().visit_Compare(node, frame)
            return
        self.write("environment.compared(")
        super().visit_Compare(node, frame)
        self.write(")")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        if not isinstance(node.arg, nodes.Slice):
            super().visit_Getitem(node, frame)
            return
        self.write("environment.sliced(")
        super().visit_Getitem(node, frame)
        self.write(")")

    def _output_child_pre(
        self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo
    ) -> None:
        self.write("environment.printed(")

    def _output_child_post(
        self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo
    ) -> None:
        self.write(")")


class GenerationMark(Extension):
    """`{% generation %}` blocks, which mark what the model wrote; here they only print it."""

    tags = frozenset({"generation"})  # type: ignore[assignment]

    def parse(self, parser: Parser) -> nodes.Node:
        """Read one block. Like a macro it is a scope of its own: what it sets stays inside."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_print"), [], [], body).set_lineno(line)

    def _print(self, caller: Callable[[], str]) -> str:
        return caller()


class ChatNamespace(Namespace):
    """`namespace(...)` without private names, and printed without what it holds."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, *positional = args
        values = dict(*positional, **kwargs)
        for name in values:
            _check_name(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: object) -> None:
        _check_name(name)
        Namespace.__setitem__(self, name, value)

    def __repr__(self) -> str:
        # Namespaces may hold each other; printing what they hold need not end.
        return "<Namespace>"


def _check_name(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace can not hold the private name {name!r}")


class DictMaker:
    """`dict(...)` as a function, without the type behind it."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, keys: Iterable[object], value: object = None) -> dict[object, object]:
        """A mapping of all `keys` to one value."""
        return dict.fromkeys(keys, value)


class BoundedFormatter(SandboxedFormatter):
    """`str.format` without access to internals and without giant fields."""

    def format_field(self, value: Any, format_spec: str) -> Any:
        """One formatted field."""
        check_format(format_spec, percent=False)
        text = super().format_field(value, format_spec)
        current_budget().book(text)
        return text


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox. Generated code calls its methods for everything that costs."""

    code_generator_class = ChatCodeGenerator
    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[GenerationMark, loopcontrols]
        )
        self.filters = dict(chat_filters())
        self.tests = dict(chat_tests())
        del self.globals["lipsum"]
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = _strftime_now
        self.globals["dict"] = DictMaker()
        self.globals["namespace"] = ChatNamespace
        self.binop_table["*"] = guarded_multiply
        self.binop_table["**"] = guarded_power
        self.binop_table["%"] = guarded_remainder
        self.binop_table["+"] = guarded_add

    def tick(self) -> None:
        """One round of a loop begins."""
        current_budget().tick()

    def printed(self, value: object) -> str:
        """`value` as it appears in the output."""
        if type(value) is str:
            return value
        text = str(value)
        current_budget().book_text(len(text))
        return text

    def joined(self, values: tuple[object, ...]) -> str:
        """The operator `~`."""
        parts = [value if isinstance(value, str) else self.printed(value) for value in values]
        current_budget().book_text(sum(map(len, parts)))
        return "".join(parts)

    def held(self, container: Any) -> Any:
        """A list, tuple or mapping that the template has written down."""
        budget = current_budget()
        budget.book_items(len(container))
        budget.weigh(container)
        return container

    def sliced(self, part: Any) -> Any:
        """The result of a slice."""
        current_budget().book(part)
        return part

    def compared(self, result: Any) -> Any:
        """The result of a comparison that may have read much."""
        current_budget().check()
        return result

    def concat(self, pieces: Iterable[str]) -> str:
        """What a macro, a block or the whole template has printed, in one text."""
        parts = pieces if isinstance(pieces, list) else list(pieces)
        current_budget().book_text(sum(map(len, parts)))
        return "".join(parts)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may see this attribute."""
        if isinstance(obj, int | float) and attr in NUMBER_METHODS_BARRED:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`; the usual cases take a short way to what the sandbox would say."""
        kind = type(obj)
        if kind is dict and attribute not in MAPPING_METHODS:
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(obj=obj, name=attribute)
        if kind is str and attribute in TEXT_METHODS:
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]`."""
        if type(argument) is tuple:
            # To hash it is to read everything in it.
            current_budget().check()
        return super().getitem(obj, argument)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """The bounded stand-in for `str.format` and `str.format_map`."""
        # Texts that are marked as safe for HTML have these methods in Python.
        if not isinstance(value, METHODS) or not isinstance(value.__self__, str):
            return None
        text = str(value.__self__)
        if value.__name__ == "format":
            return lambda *args, **kwargs: BoundedFormatter(self).vformat(text, args, kwargs)
        if value.__name__ == "format_map":
            return lambda mapping: BoundedFormatter(self).vformat(text, (), mapping)
        return None

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a function, method or macro from a template."""
        budget = current_budget()
        if isinstance(obj, METHODS):
            owner = obj.__self__
            budget.scan(owner)
            if isinstance(owner, TEXTS):
                guard = method_guard(obj.__name__)
                if guard is not None:
                    guard(owner, args, kwargs)
        elif isinstance(obj, Macro) and (obj.catch_varargs or obj.catch_kwargs):
            budget.weigh((*args, *kwargs.values()))
        result = super().call(context, obj, *args, **kwargs)
        budget.book(result)
        if isinstance(result, CONTAINERS):
            budget.weigh(result)
        return result


def _raise_exception(message: object) -> NoReturn:
    raise RefusedByTemplate(str(message))


def _strftime_now(pattern: str) -> str:
    check_format(pattern, percent=True)
    return current_budget().now().strftime(pattern)


@lru_cache(maxsize=1)
def chat_environment() -> ChatEnvironment:
    """The one environment: it has no state of its own, and is costly to make."""
    return ChatEnvironment()
