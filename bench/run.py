#!/usr/bin/env python3
"""Side-by-side gateway benchmark: CPU per request and per streamed chunk, latency, memory.

Every gateway is started in turn in front of the same two mock workers (a small Go program), driven by the
same load generator (Go), for several interleaved rounds; the figures printed are medians over the rounds and
the ratio ours/peer of those medians. CPU is what the kernel charged to the gateway's process tree, so it stays
comparable on a shared machine where wall-clock figures do not.

    python3 run.py --ours "smg launch"                      # ours against SMG and sglang-router from PyPI
    python3 run.py --ours ".venv/bin/smg launch" --peers smg --scenarios plain,stream --rounds 3
    python3 run.py --ours "smg launch" --json out.json

Needs: the Go toolchain (Debian: golang), pip. Peers are installed into virtual environments under the cache
folder ($SMG_BENCH_CACHE, default ~/.cache/smg-bench). All traffic stays on 127.0.0.1.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shlex
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("SMG_BENCH_CACHE", "~/.cache/smg-bench")).expanduser()
TICK = os.sysconf("SC_CLK_TCK")

# name -> (load flags, mock flags, gateway policy)
SCENARIOS = {
    "plain": ({"c": 32, "t": 4}, {}, "round_robin"),
    "stream": ({"c": 32, "t": 4, "stream": True, "max_tokens": 64}, {}, "round_robin"),
    "paced": (
        {"c": 200, "t": 5, "stream": True, "max_tokens": 100},
        {"itl": 20, "ttft": 50},
        "round_robin",
    ),
    "single": ({"c": 1, "t": 3}, {}, "round_robin"),
    "cache_aware": ({"c": 32, "t": 4}, {}, "cache_aware"),
    "long_prompt": ({"c": 16, "t": 4, "prompt": 4000}, {}, "cache_aware"),
}
PEERS = {
    "smg": ("smg", "bin/smg launch"),
    "sglang-router": ("sglang-router", "bin/python -m sglang_router.launch_router"),
}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def build() -> None:
    out = CACHE / "bin"
    out.mkdir(parents=True, exist_ok=True)
    for name in ("mock", "load"):
        newest = (HERE / "src" / name / "main.go").stat().st_mtime
        exe = out / name
        if not exe.exists() or exe.stat().st_mtime < newest:
            env = dict(os.environ, GOCACHE=str(CACHE / "go"), GOFLAGS="-mod=mod")
            subprocess.run(
                ["go", "build", "-o", str(exe), f"./{name}"], cwd=HERE / "src", check=True, env=env
            )


def peer_command(name: str) -> str:
    package, command = PEERS[name]
    venv = CACHE / name
    if not (venv / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(venv / "bin/pip"), "install", "-q", package], check=True)
        (venv / "done").touch()
    return f"{venv}/{command}"


def tree(pid: int) -> set[int]:
    found = {pid}
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            children = pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text()
            for child in children.split():
                found |= tree(int(child))
    except OSError:
        pass
    return found


def usage(pid: int) -> tuple[float, float]:
    cpu = rss = 0
    for p in tree(pid):
        try:
            fields = pathlib.Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        cpu += int(fields[11]) + int(fields[12])
        rss += int(fields[21]) * 4096
    return cpu / TICK, rss / 1e6


def wait_ok(url: str, seconds: float = 60) -> None:
    deadline = time.time() + seconds
    while time.time() < deadline:
        try:
            if urllib.request.urlopen(url, timeout=1).status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"did not become healthy: {url}")


def flags(options: dict) -> list[str]:
    out: list[str] = []
    for key, value in options.items():
        name = "-" + key.replace("_", "-")
        out += [name] if value is True else [name, str(value)]
    return out


def measure(command: str, scenario: str) -> dict:
    load, mock, policy = SCENARIOS[scenario]
    ports = [free_port(), free_port()]
    workers = [f"http://127.0.0.1:{p}" for p in ports]
    mocks = [
        subprocess.Popen(
            [CACHE / "bin/mock", "-addr", f"127.0.0.1:{p}", *flags(mock)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for p in ports
    ]
    gateway = None
    try:
        for w in workers:
            wait_ok(w + "/health")
        port = free_port()
        argv = [
            *shlex.split(command),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--prometheus-port",
            str(free_port()),
            "--worker-urls",
            *workers,
            "--policy",
            policy,
            "--log-level",
            "warn",
        ]
        log = (CACHE / "gateway.log").open("a")
        gateway = subprocess.Popen(
            argv, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        base = f"http://127.0.0.1:{port}"
        wait_ok(base + "/health")
        wait_ok(base + "/readiness")
        time.sleep(1.5)
        url = base + "/v1/chat/completions"
        subprocess.run(
            [CACHE / "bin/load", "-url", url, *flags({**load, "t": 1})],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        before, _ = usage(gateway.pid)
        result = json.loads(
            subprocess.check_output([CACHE / "bin/load", "-url", url, *flags(load)])
        )
        after, rss = usage(gateway.pid)
        chunks = result["chunks_per_s"] * result["elapsed"]
        return {
            "cpu_us_per_request": (after - before) / max(result["ok"], 1) * 1e6,
            "cpu_us_per_chunk": (after - before) / chunks * 1e6 if chunks else None,
            "requests_per_s": result["rps"],
            "p50_ms": result["p50_ms"],
            "p99_ms": result["p99_ms"],
            "ttft_p50_ms": result["ttft_p50_ms"] or None,
            "errors": result["errs"],
            "rss_mb": rss,
        }
    finally:
        if gateway:
            os.killpg(gateway.pid, signal.SIGKILL)
            gateway.wait()
        for m in mocks:
            m.kill()
            m.wait()


def main() -> None:
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--ours", help="command prefix of the gateway under test, e.g. 'smg launch'")
    ap.add_argument(
        "--peers", default="smg,sglang-router", help="comma list of: " + ", ".join(PEERS)
    )
    ap.add_argument("--scenarios", default=",".join(SCENARIOS))
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--json")
    args = ap.parse_args()
    build()
    commands = {"ours": args.ours} if args.ours else {}
    commands |= {p: peer_command(p) for p in args.peers.split(",") if p}
    table: dict = {}
    for scenario in args.scenarios.split(","):
        rounds: dict = {name: [] for name in commands}
        for _ in range(args.rounds):
            for name, command in commands.items():
                rounds[name].append(measure(command, scenario))
        medians = {
            name: {
                k: (
                    statistics.median(v)
                    if (v := [r[k] for r in runs if r[k] is not None])
                    else None
                )
                for k in runs[0]
            }
            for name, runs in rounds.items()
        }
        table[scenario] = medians
        for name, m in medians.items():
            line = "  ".join(f"{k}={v:,.1f}" for k, v in m.items() if v is not None)
            if name != "ours" and "ours" in medians:
                key = "cpu_us_per_chunk" if m["cpu_us_per_chunk"] else "cpu_us_per_request"
                line += f"  ours/{name} {key}={medians['ours'][key] / m[key]:.2f}"
            print(f"{scenario:12} {name:14} {line}", flush=True)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
