"""Constraints as llguidance takes them: grammars in its dialect of Lark.

Its lexer takes the longest token, so free text must not be a token of its own before markup: it is
read together with the marker that ends it, as a lazy token. Hence every part is written knowing the
literal that follows it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

from .constraints import Constraint
from .structural_tags import Format, Schema, const, json_value, members, sequence, text_value

__all__ = ("lark_grammar",)

Part = Mapping[str, object]


def lark_grammar(constraint: Constraint) -> str:
    """The grammar that allows what the constraint allows, for llguidance.

    Raises ValueError for parts of a structural tag that no constraint of this package has.
    """
    writer = _Writer()
    whole: Part = constraint.value
    if constraint.type != "json_schema":
        whole = constraint.value["format"]
        return writer.grammar(writer.expression(whole, ""))
    return writer.grammar(_json(writer, json_value(whole), ""))


class _Writer:
    """Collects rules and terminals; equal ones once."""

    def __init__(self) -> None:
        self._terminals: dict[str, str] = {}
        self._rules: dict[str, str] = {}

    def grammar(self, start: str) -> str:
        lines = [f"start: {start}"]
        lines += [f"{name}{body}" for body, name in self._rules.items()]
        lines += [f"{name}: {pattern}" for pattern, name in self._terminals.items()]
        return "\n".join(lines) + "\n"

    def expression(self, of: Part, then: str) -> str:
        """The part and the literal behind it."""
        kind = of.get("type", "tag")
        write = _WRITERS.get(str(kind))
        if write is None:
            raise ValueError(f"no such part of a structural tag: {kind!r}")
        return write(self, of, then)

    def terminal(self, pattern: str) -> str:
        return self._terminals.setdefault(pattern, f"T{len(self._terminals)}")

    def rule(self, body: str, *, lazy: bool = False) -> str:
        body = f"[lazy]: {body}" if lazy else f": {body}"
        return self._rules.setdefault(body, f"r{len(self._rules)}")

    def text(self, excludes: Sequence[str], then: str) -> str:
        """Text, also none, in which nothing of this occurs, up to the literal."""
        if then:
            without = self._without([one for one in excludes if one not in then])
            # Only rules can be lazy.
            return self.rule(self.terminal(f"/(?s:.*){_escaped(then)}/{without}"), lazy=True)
        return self.terminal(f"/(?s:.*)/{self._without(excludes)}")

    def _without(self, excludes: Sequence[str]) -> str:
        if not excludes:
            return ""
        found = "|".join(map(_escaped, excludes))
        return f" & ~/(?s:.*)({found})(?s:.*)/"


def _escaped(text: str) -> str:
    """For a regular expression between slashes."""
    return re.escape(text).replace("/", r"\/").replace("\\\n", "\\n")


def _parts(of: Part, key: str) -> list[Part]:
    parts = of[key]
    assert isinstance(parts, Sequence), "structural tags are made by this package"
    return list(parts)


def _words(of: Part, key: str) -> list[str]:
    words = of.get(key, ())
    assert isinstance(words, Sequence), "structural tags are made by this package"
    return [str(word) for word in words]


def _content(of: Part) -> Part:
    content = of["content"]
    assert isinstance(content, Mapping), "structural tags are made by this package"
    return content


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _followed(expression: str, then: str) -> str:
    return f"{expression} {_literal(then)}" if then else expression


def _const(writer: _Writer, of: Part, then: str) -> str:
    return _literal(str(of["value"]) + then)


def _sequence(writer: _Writer, of: Part, then: str) -> str:
    written: list[str] = []
    for part in reversed(_parts(of, "elements")):
        if part.get("type") == "const_string":
            then = str(part["value"]) + then
        else:
            written.append(writer.expression(part, then))
            then = ""
    if then or not written:
        written.append(_literal(then))
    return writer.rule(" ".join(reversed(written)))


def _or(writer: _Writer, of: Part, then: str) -> str:
    return _choice(writer, _parts(of, "elements"), then)


def _choice(writer: _Writer, parts: Sequence[Part], then: str) -> str:
    return writer.rule(" | ".join(writer.expression(part, then) for part in parts))


def _repeated(sign: str) -> _Write:
    def write(writer: _Writer, of: Part, then: str) -> str:
        return _followed(f"({writer.expression(_content(of), '')}){sign}", then)

    return write


def _optional(writer: _Writer, of: Part, then: str) -> str:
    if not then:
        return f"({writer.expression(_content(of), '')})?"
    return writer.rule(f"{writer.expression(_content(of), then)} | {_literal(then)}")


def _regex(writer: _Writer, of: Part, then: str) -> str:
    return _followed(writer.terminal("/" + str(of["pattern"]).replace("/", r"\/") + "/"), then)


def _any_text(writer: _Writer, of: Part, then: str) -> str:
    return writer.text(_words(of, "excludes"), then)


def _json(writer: _Writer, of: Part, then: str) -> str:
    schema = of["json_schema"]
    if of.get("style") == "glm_xml":
        return writer.expression(_glm_members(schema if isinstance(schema, Mapping) else {}), then)
    document = {} if schema is True else schema
    return _followed(writer.rule("%json " + json.dumps(document, ensure_ascii=False)), then)


def _glm_members(schema: Schema) -> Format:
    def member(key: str, declared: Schema) -> Format:
        value = text_value(declared, "</arg_value>") or json_value(declared)
        begin = const(f"<arg_key>{key}</arg_key><arg_value>")
        return sequence(begin, value, const("</arg_value>"))

    return members(schema, member) or const("")


def _tag(writer: _Writer, of: Part, then: str) -> str:
    return _sequence(writer, sequence(const(str(of["begin"])), *_inside(of)), then)


def _inside(of: Part) -> tuple[Part, Part]:
    """The rest of a tag behind its beginning."""
    return _content(of), const(str(of["end"]))


def _triggered(writer: _Writer, of: Part, then: str) -> str:
    tags, triggers = _parts(of, "tags"), _words(of, "triggers")
    first = _choice(writer, tags, "")
    if of.get("stop_after_first"):
        return _followed(first, then)
    ways: list[str] = []
    for trigger in triggers:
        # Text runs up to the first trigger of all, whichever it is.
        text = writer.text([one for one in triggers if one != trigger], trigger)
        rests = [
            sequence(const(str(tag["begin"]).removeprefix(trigger)), *_inside(tag))
            for tag in tags
            if str(tag["begin"]).startswith(trigger)
        ]
        if rests:
            ways.append(writer.rule(f"{text} {_choice(writer, rests, '')}"))
    free = f"({' | '.join(ways)})* {writer.text(triggers, then)}"
    return writer.rule(f"{first} {free}" if of.get("at_least_one") else free)


def _separated(writer: _Writer, of: Part, then: str) -> str:
    tags = _choice(writer, _parts(of, "tags"), "")
    if of.get("stop_after_first"):
        return _followed(tags, then)
    separator = str(of["separator"])
    further = f"{_literal(separator)} {tags}" if separator else tags
    calls = f"{tags} ({further})*"
    return _followed(writer.rule(calls if of.get("at_least_one") else f"({calls})?"), then)


_Write = Callable[[_Writer, Part, str], str]

_WRITERS: Mapping[str, _Write] = {
    "any_text": _any_text,
    "const_string": _const,
    "json_schema": _json,
    "optional": _optional,
    "or": _or,
    "plus": _repeated("+"),
    "regex": _regex,
    "sequence": _sequence,
    "star": _repeated("*"),
    "tag": _tag,
    "tags_with_separator": _separated,
    "triggered_tags": _triggered,
}
