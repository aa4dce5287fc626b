"""Tables: as plain text, as HTML, and through rich where a terminal and rich are there."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.util import find_spec
from typing import TextIO

__all__ = ("html_table", "print_table", "text_table")


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns two spaces apart, the first to the left and the others to the right."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join((
            line[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
        )).rstrip()
        for line in lines
    )


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A `<table>` without styles of its own; all text is escaped."""
    header = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        "<tr>"
        + f'<th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], out: TextIO) -> None:
    """Write a table to `out`; with borders when that is a terminal and rich is installed."""
    if not out.isatty() or find_spec("rich") is None:
        print(text_table(head, rows), file=out)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for position, cell in enumerate(head):
        table.add_column(cell, justify="right" if position else "left")
    for row in rows:
        table.add_row(*row)
    Console(file=out).print(table)
