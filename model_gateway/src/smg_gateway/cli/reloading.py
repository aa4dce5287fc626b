"""Restarting the gateway whenever its sources change, for those who work on them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

__all__ = ("RELOAD_CHILD", "Reloader", "run_reloading")

# Set for the child: it sees --reload among its words too, and must serve, not watch.
RELOAD_CHILD = "SMG_RELOAD_CHILD"

_PACKAGES = ("smg_gateway", "smg_policies", "smg_protocols")
_POLL_S = 0.5


def run_reloading(words: Sequence[str]) -> int:
    """Run `smg launch` with `words` in a child process until it ends or a signal arrives."""
    command = [sys.executable, "-m", "smg_gateway", "launch", *words]
    environ = {**os.environ, RELOAD_CHILD: "1"}
    return Reloader(command, tuple(_source_roots()), environ=environ).run()


class Reloader:
    """Keeps one child process running that is younger than every source file below `roots`.

    A child that fails is started again at the next change; one that ends by itself with 0 ends
    the run. SIGINT and SIGTERM are passed on to the child, and end the run when it has ended.
    """

    def __init__(
        self,
        command: Sequence[str],
        roots: Sequence[Path],
        *,
        environ: Mapping[str, str] | None = None,
        poll_s: float = _POLL_S,
    ) -> None:
        self._command = command
        self._roots = roots
        self._environ = environ
        self._poll_s = poll_s
        self._stopping = False
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Watch and restart; returns the exit code of the last child."""
        previous = {
            number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            return self._run()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _run(self) -> int:
        while True:
            before = self._snapshot()
            # In a group of its own: Ctrl-C would otherwise reach the child twice.
            with subprocess.Popen(self._command, env=self._environ, process_group=0) as child:
                self._child = child
                if self._stopping:
                    child.terminate()
                code = self._wait_for_end_or_change(child, before)
            if code is not None:
                return code if code >= 0 else 128 - code

    def _wait_for_end_or_change(
        self, child: subprocess.Popen[bytes], before: Mapping[Path, int]
    ) -> int | None:
        """The exit code of a child that is not to be replaced, None for one that is."""
        while True:
            try:
                code = child.wait(self._poll_s)
            except subprocess.TimeoutExpired:
                code = None
            if code == 0 or (code is not None and self._stopping):
                return code
            if not self._stopping and self._snapshot() != before:
                child.terminate()
                child.wait()
                return None
            if code is not None:
                # Waiting for a dead child takes no time: pace the search for the repairing change.
                time.sleep(self._poll_s)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    def _snapshot(self) -> dict[Path, int]:
        found: dict[Path, int] = {}
        for root in self._roots:
            for path in root.rglob("*.py"):
                try:
                    found[path] = path.stat().st_mtime_ns
                except FileNotFoundError:
                    # Editors replace files by renaming; the next look sees the new one.
                    continue
        return found


def _source_roots() -> Iterator[Path]:
    for name in _PACKAGES:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            yield Path(spec.origin).parent
