"""The command `smg-mock-worker`, also `python -m smg_mock_worker`."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from smg_mock_worker.engine import DEFAULT_CACHE_BLOCKS, EngineTiming
from smg_mock_worker.errors import Flavour
from smg_mock_worker.server import DEFAULT_KEEP_ALIVE_S, MockWorker

__all__ = ("main", "parse_arguments")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits with status 2 when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="smg-mock-worker",
        description="Simulate an LLM inference engine over HTTP.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=int, default=0, help="port to listen on, 0 = any free one")
    add("--model", action="append", help="served model id, may be repeated")
    add("--flavour", choices=[flavour.value for flavour in Flavour], default=Flavour.SGLANG.value)
    add("--prefill-tokens-per-s", type=float, default=0.0, help="0 = prefill takes no time")
    add("--inter-token-latency-ms", type=float, default=0.0, help="time between two tokens")
    add("--max-running-requests", type=int, default=0, help="0 = no limit")
    add("--max-waiting-requests", type=int, help="beyond it requests get 503")
    add("--cache-blocks", type=int, default=DEFAULT_CACHE_BLOCKS, help="prefix cache size, 0 = off")
    add("--max-model-len", type=int, default=32_768, help="longest prompt and answer in tokens")
    add("--answer-tokens", type=int, default=32, help="length of an answer without a limit")
    add("--dp-size", type=int, default=1, help="data-parallel ranks")
    add("--role", choices=("prefill", "decode"), help="do only one leg of each request")
    add("--keep-alive-s", type=float, default=DEFAULT_KEEP_ALIVE_S, help="idle connections' life")
    add("--seed", type=int, default=0, help="for the faults' probabilities")
    add("--quiet", action="store_true", help="do not print the ready line")
    return parser.parse_args(arguments)


def _make_worker(options: argparse.Namespace) -> MockWorker:
    return MockWorker(
        model=options.model or ["mock-model"],
        timing=EngineTiming(
            prefill_tokens_per_s=options.prefill_tokens_per_s,
            inter_token_latency_s=options.inter_token_latency_ms / 1000,
            max_running_requests=options.max_running_requests,
            max_waiting_requests=options.max_waiting_requests,
        ),
        flavour=options.flavour,
        host=options.host,
        port=options.port,
        cache_blocks=options.cache_blocks,
        max_model_len=options.max_model_len,
        answer_tokens=options.answer_tokens,
        dp_size=options.dp_size,
        role=options.role,
        keep_alive_s=options.keep_alive_s,
        seed=options.seed,
    )


async def _serve(worker: MockWorker, *, quiet: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with worker:
        if not quiet:
            print(f"mock worker ready at {worker.url}", flush=True)
        await stopped.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker until SIGTERM or SIGINT; returns the exit status.

    0 after a signal, 1 if the address cannot be listened on, 2 for a wrong command line.
    """
    options = parse_arguments(arguments)
    try:
        worker = _make_worker(options)
    except ValueError as error:
        print(f"smg-mock-worker: {error}", file=sys.stderr)
        return 2
    try:
        asyncio.run(_serve(worker, quiet=options.quiet))
    except OSError as error:
        print(f"smg-mock-worker: cannot listen: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
