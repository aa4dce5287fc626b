"""Templates that came to do harm: they end soon, small, and without having seen anything."""

from __future__ import annotations

import pytest
from smg_tokenizer.errors import RenderingFailed, TemplateInvalid
from smg_tokenizer.templates import ChatTemplate, RenderLimits, RenderOptions

LIMITS = RenderLimits(
    steps=200_000, cpu_s=1, text_chars=1 << 20, items=1 << 16, weight=1 << 20, total_chars=1 << 24
)
DOUBLING = "{% set ns = namespace(v=START) %}{% for i in range(90) %}{% set ns.v = STEP %}{% endfor %}{{ ns.v }}"
ENDLESS = {
    "nested loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "filtered loops": "{% for i in range(99999) %}{% for j in range(99999) if false %}{% endfor %}{% endfor %}",
    "branching macros": "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "endless recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "recursive loop": "{% for i in [1, 2] recursive %}{{ loop([1, 2]) }}{% endfor %}",
    "recursive block": "{% block a %}{{ self.a() }}{% endblock %}",
    "slow comparisons": "{% set t = 'a' * 1000000 %}{% for i in range(99999) %}{% for j in range(99999) %}{% if 'b' in t %}{% endif %}{% endfor %}{% endfor %}",
}
ENDLESS |= {
    "comparing lists": "{% set a = range(60000) | list %}{% set b = range(60000) | list %}"
    + "{% set x = (a == b) %}" * 3000,
    "searching lists": "{{ range(60000) | select('in', range(60000) | list) | list }}",
    "searching in line": "{% set a = range(60000) | list %}" + "{% set x = -1 in a %}" * 3000,
    "printing in line": "{% set a = range(60000) | list %}" + "{{ a }}" * 3000,
    "counting": "{% set a = range(60000) | list %}" + "{% set x = a.count(-1) %}" * 3000,
}
HUGE = {
    "repeated text": "{{ 'a' * 10**9 }}",
    "repeated list": "{{ [1] * 10**9 }}",
    "repeated tuple": "{{ 10**9 * (1,) }}",
    "long range": "{{ range(10**9) | list }}",
    "power": "{{ 10 ** 100000 }}",
    "squares": DOUBLING.replace("START", "3").replace("STEP", "ns.v * ns.v"),
    "doubled by plus": DOUBLING.replace("START", "'ab'").replace("STEP", "ns.v + ns.v"),
    "doubled by tilde": DOUBLING.replace("START", "'ab'").replace("STEP", "ns.v ~ ns.v"),
    "doubled by block": DOUBLING.replace(
        "{% set ns.v = STEP %}", "{% set w %}{{ ns.v }}{{ ns.v }}{% endset %}{% set ns.v = w %}"
    ).replace("START", "'ab'"),
    "doubled list": DOUBLING.replace("START", "[1]").replace("STEP", "ns.v + ns.v"),
    "nested lists": DOUBLING.replace("START", "[1]").replace("STEP", "[ns.v, ns.v]"),
    "nested mappings": DOUBLING.replace("START", "[1]").replace("STEP", "{'a': ns.v, 'b': ns.v}"),
    "nested by dict": DOUBLING.replace("START", "[1]").replace("STEP", "dict(a=ns.v, b=ns.v)"),
    "nested by repeating": DOUBLING.replace("START", "[1]").replace("STEP", "[ns.v] * 9"),
    "nested by arguments": "{% macro m() %}{{ varargs | length }}{% set ns.v = varargs %}{% endmacro %}"
    + DOUBLING.replace("START", "(1,)").replace("STEP", "(ns.v, ns.v)"),
    "sum of lists": "{{ (range(60000) | map('list') | list) or ([[1] * 9999] * 999) | sum(start=[]) }}{{ ([[1] * 9999] * 999) | sum(start=[]) }}",
    "views in lists": "{% set d = {'a': 1} %}{{ [d.items(), d.items()] }}",
    "centre filter": "{{ 'a' | center(10**9) }}",
    "centre method": "{{ 'a'.center(10**9) }}",
    "left method": "{{ 'a'.ljust(width=10**9) }}",
    "bytes method": "{{ 'a'.encode().rjust(10**9) }}",
    "zeros": "{{ '1'.zfill(10**9) }}",
    "tabs": "{{ '\t\t\t'.expandtabs(10**9) }}",
    "replacing method": "{{ ('a' * 9999).replace('a', 'a' * 9999) }}",
    "replacing filter": "{{ ('a' * 9999) | replace('a', 'a' * 9999) }}",
    "joining method": "{{ ('a' * 9999).join(range(9999) | map('string') | list) }}",
    "joining filter": "{{ range(9999) | join('a' * 9999) }}",
    "percent width": "{{ '%1000000000d' % 1 }}",
    "percent star": "{{ '%*d' % (10**9, 1) }}",
    "percent precision": "{{ '%.1000000000f' % 1 }}",
    "format filter": "{{ '%1000000000d' | format(1) }}",
    "format width": "{{ '{:1000000000}'.format(1) }}",
    "format nested width": "{{ '{:{}}'.format(1, 10**9) }}",
    "format map": "{{ '{a:1000000000}'.format_map({'a': 1}) }}",
    "strftime width": "{{ strftime_now('%1000000000Y') }}",
    "indentation": "{{ 'a\nb' | indent(10**9) }}",
    "json indentation": "{{ [1] | tojson(indent=10**9) }}",
    "json separators": "{{ [1] | tojson(separators=('a' * 9999, 'b')) }}",
    "batches": "{{ [1] | batch(10**9, 'x') | list }}",
    "slices": "{{ [1] | slice(10**9) | list }}",
    "rounding": "{{ 3.5 | round(10**8, 'ceil') }}",
    "to bytes": "{{ (5).to_bytes(10**9) }}",
    "split text": "{{ ('a ' * 300000).split() | length }}",
    "kept slices": "{% set t = 'a' * 999999 %}{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = ns.l + [t[1:]] %}{% endfor %}",
    "kept printouts": "{% set l = range(60000) | list %}{% for i in range(9999) %}{{ l }}{% endfor %}",
    "slow filter": "{{ ('<a' * 99999) | striptags }}",
    "marked text": "{{ ('a' | e).center(10**9) }}",
    "marked tags": "{{ ('<a' * 99999 | e).striptags() }}",
    "named twice": "{{ '%(a)s' * 9999 % {'a': 'b' * 9999} }}",
    "named twice in a filter": "{{ '%(a)s' * 9999 | format(a='b' * 9999) }}",
    "deep indents": "{% set ns = namespace(v=[1] * 999) %}{% for i in range(90) %}"
    "{% set ns.v = [ns.v] %}{% endfor %}{{ ns.v | tojson(indent=99) }}",
    "digits of another base": "{{ ('f' * 9999) | int(base=16) }}",
    "slow encoding": "{{ ('é' * 9999).encode('punycode') }}",
    "translation": "{{ ('a' * 9999).translate({97: 'b' * 9999}) }}",
}
PRYING = {
    "class": "{{ ''.__class__.__mro__ }}",
    "class by item": "{{ ''['__class__'].__mro__ }}",
    "class by filter": "{{ ('' | attr('__class__')).__mro__ }}",
    "class by map": "{{ (['a'] | map(attribute='__class__') | first).__mro__ }}",
    "class by format": "{{ '{0.__class__.__mro__}'.format('a') }}",
    "class by format map": "{{ '{a.__class__.__mro__}'.format_map({'a': ''}) }}",
    "class by marked format": "{{ ('{0.__class__.__mro__}' | e).format('a') }}",
    "class by marked format map": "{{ ('{a.__class__.__mro__}' | e).format_map({'a': ''}) }}",
    "globals": "{{ raise_exception.__globals__.os }}",
    "globals of a class": "{{ cycler.__init__.__globals__.os }}",
    "globals of a macro": "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "code of a method": "{{ strftime_now.__code__.co_consts }}",
    "the environment": "{{ self._TemplateReference__context.environment }}",
    "mutation": "{{ messages.append(1) }}",
    "mutation of a message": "{{ messages[0].update(role='x') }}",
    "private namespace": "{{ namespace(__class__=1) }}",
    "private in namespace": "{% set ns = namespace() %}{% set ns._x = 1 %}",
    "type of dict": "{{ dict.mro() }}",
    "files": "{% include '/etc/passwd' %}",
    "modules": "{% import 'os' as os %}{{ os }}",
    "ipsum": "{{ lipsum(10**9) }}",
}


def render(text: str) -> str:
    template = ChatTemplate(text, {}, limits=LIMITS)
    return template.render([{"role": "user", "content": "hi"}], RenderOptions())


@pytest.mark.parametrize("text", [*ENDLESS.values()], ids=[*ENDLESS])
def test_a_template_that_does_not_end_is_ended(text: str) -> None:
    with pytest.raises(RenderingFailed):
        render(text)


@pytest.mark.parametrize("text", [*HUGE.values()], ids=[*HUGE])
def test_a_template_that_wants_too_much_is_refused(text: str) -> None:
    with pytest.raises(RenderingFailed):
        render(text)


@pytest.mark.parametrize("text", [*PRYING.values()], ids=[*PRYING])
def test_a_template_sees_nothing_of_python(text: str) -> None:
    with pytest.raises(RenderingFailed):
        render(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{% if 1 %}" * 300 + "{% endif %}" * 300,
        "{% for i in [1] %}" * 40 + "{% endfor %}" * 40,
        "{{ " + "9" * 5000 + " }}",
        "x" * (1 << 21),
    ],
    ids=["brackets", "branches", "loops", "digits", "length"],
)
def test_a_template_that_can_not_be_compiled_is_invalid(text: str) -> None:
    with pytest.raises(TemplateInvalid):
        ChatTemplate(text, {})


def test_the_output_is_bounded() -> None:
    template = ChatTemplate("{% for i in range(99) %}{{ messages[0].content }}{% endfor %}", {})
    message = [{"role": "user", "content": "x" * 100}]
    assert len(template.render(message, RenderOptions())) == 9900
    bounded = ChatTemplate(template.text, {}, limits=RenderLimits(output_chars=5000))
    with pytest.raises(RenderingFailed, match="longer than"):
        bounded.render(message, RenderOptions())


def test_a_long_honest_conversation_stays_far_below_the_limits() -> None:
    text = (
        "{% set ns = namespace(out='') %}{% for m in messages %}"
        "{% set ns.out = ns.out + m.role ~ ': ' ~ m.content.strip() ~ '\n' %}{% endfor %}{{ ns.out }}"
    )
    messages = [{"role": "user", "content": "word " * 100} for _ in range(1000)]
    assert len(ChatTemplate(text, {}).render(messages, RenderOptions())) > 500_000


def test_ordinary_formats_are_no_offence() -> None:
    assert render("{{ '%s-%5.2f 20250101%%' % ('a', 2) }}") == "a- 2.00 20250101%"
    assert render("{{ '**%s** * 5' | format('b') }}") == "**b** * 5"
    assert render("{{ '{:>8} {:.2f}'.format('c', 1) }}") == "       c 1.00"
