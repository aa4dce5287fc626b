from __future__ import annotations

from io import StringIO

import pytest
from smg_simulator import table
from smg_simulator.table import html_table, print_table, text_table

HEAD = ("name", "n")
ROWS = [("a", "1"), ("longer", "1000")]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_text_columns_line_up() -> None:
    assert text_table(HEAD, ROWS).splitlines() == [
        "name       n",
        "a          1",
        "longer  1000",
    ]


def test_html_escapes_what_it_shows() -> None:
    assert html_table(("<b>",), [("a & b",)]) == (
        '<table><thead><tr><th scope="col">&lt;b&gt;</th></tr></thead>'
        '<tbody><tr><th scope="row">a &amp; b</th></tr></tbody></table>'
    )


def test_a_file_gets_plain_text() -> None:
    out = StringIO()
    print_table(HEAD, ROWS, out)

    assert out.getvalue() == text_table(HEAD, ROWS) + "\n"


def test_a_terminal_gets_borders() -> None:
    out = Terminal()
    print_table(HEAD, ROWS, out)

    assert "longer" in out.getvalue()
    assert "─" in out.getvalue()


def test_a_terminal_without_rich_gets_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "find_spec", lambda name: None)
    out = Terminal()
    print_table(HEAD, ROWS, out)

    assert out.getvalue() == text_table(HEAD, ROWS) + "\n"
