"""The command line of `smg quickstart`: a gateway with simulated workers, ready to try."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from smg_gateway.settings.routing import AVAILABLE_POLICIES
from smg_gateway.settings.shapes import U16

__all__ = ("QuickstartOptions", "parse_quickstart")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickstartOptions:
    """What `smg quickstart` was asked for.

    `once` sends a few requests, reports and exits; otherwise the gateway stays up on `port`.
    """

    once: bool = False
    model: str = "demo-model"
    policy: str = "cache_aware"
    port: int = 30000


def parse_quickstart(argv: Sequence[str]) -> QuickstartOptions:
    """Options from the words after `smg quickstart`.

    Raises SystemExit(2) after `smg: error: ...` on stderr, SystemExit(0) after the help text,
    and ConfigError for a port that does not fit.
    """
    default = QuickstartOptions()
    parser = argparse.ArgumentParser(
        prog="smg",
        usage="smg quickstart [--once] [--model NAME] [--policy POLICY] [--port PORT]",
        description="Start simulated workers and a gateway in front of them; no GPU needed.",
    )
    parser.add_argument(
        "--once", action="store_true", help="send a few requests, show what happened, and exit"
    )
    parser.add_argument(
        "--model",
        default=default.model,
        metavar="NAME",
        help=f"name of the simulated model (default: {default.model})",
    )
    parser.add_argument(
        "--policy",
        default=default.policy,
        choices=AVAILABLE_POLICIES,
        help=f"how workers are chosen (default: {default.policy})",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=default.port,
        metavar="PORT",
        help=f"port of the gateway, 0 lets the system choose (default: {default.port})",
    )
    options = QuickstartOptions(**vars(parser.parse_args(list(argv))))
    U16.check_width("port", options.port)
    return options
