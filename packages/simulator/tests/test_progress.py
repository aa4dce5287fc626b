from __future__ import annotations

from io import StringIO

import pytest
from smg_simulator import progress
from smg_simulator.progress import shown_progress


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_sees_no_progress() -> None:
    out = StringIO()
    with shown_progress(10, out) as show:
        assert show is None
    assert out.getvalue() == ""


def test_a_terminal_sees_label_and_count() -> None:
    out = Terminal()
    with shown_progress(10, out) as show:
        assert show is not None
        show("round_robin", 4)
    assert "round_robin" in out.getvalue()
    assert "4/10" in out.getvalue()


def test_without_rich_one_line_is_overwritten_and_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    out = Terminal()
    with shown_progress(8, out) as show:
        assert show is not None
        show("random", 4)
        show("random", 8)
    erase = "\r\x1b[K"
    half, full = "#" * 12 + "-" * 12, "#" * 24

    assert out.getvalue() == (f"{erase}random [{half}] 4/8{erase}random [{full}] 8/8{erase}")


def test_the_line_is_removed_after_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    out = Terminal()
    with pytest.raises(ValueError, match="stop"), shown_progress(0, out) as show:
        assert show is not None
        show("random", 0)
        raise ValueError("stop")
    assert out.getvalue().endswith("\r\x1b[K")
