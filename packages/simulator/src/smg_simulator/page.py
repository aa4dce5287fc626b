"""One HTML page about a comparison: no scripts, nothing to load from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from smg_simulator.measures import Series, ranked
from smg_simulator.plots import COLOURS, Axis, Line, Scale, bar_chart, line_chart
from smg_simulator.result import TABLE_HEAD, Result, table_rows
from smg_simulator.table import html_table

__all__ = ("html_page",)

Labelled = Sequence[tuple[str, Result]]

# One pair per series, for light and dark pages; told apart by lightness as well as by hue.
_PALETTE = (
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#ff8a4c"),
    ("#009e73", "#2fd0a0"),
    ("#cc79a7", "#e69fc7"),
    ("#9a6a00", "#f0c54a"),
    ("#3a3f9b", "#9aa0ff"),
    ("#7a7a7a", "#b5b5b5"),
    ("#b3123a", "#ff6b8b"),
)

_STYLE = """
:root{color-scheme:light dark;--ink:#1c1c1c;--paper:#fff;--soft:#0002}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;
color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:0 0 .3rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .7rem;text-align:right;border-bottom:1px solid var(--soft);white-space:nowrap}
th:first-child{text-align:left}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr));gap:2rem}
figure{margin:0}svg{width:100%;height:auto}svg text{font-size:12px;fill:currentColor}
.line{fill:none;stroke:var(--c);stroke-width:1.8}.bar{fill:var(--c)}
.dashed{stroke-dasharray:5 3;fill-opacity:.6}.grid{stroke:var(--soft)}
.mark{stroke:currentColor;stroke-dasharray:3 3}
.key{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem}
.key svg{width:28px;height:10px;margin-right:.4rem;vertical-align:middle}
"""


def html_page(results: Labelled, title: str | None = None) -> str:
    """The page about results of one trace, each with a label; it stands alone in one file."""
    trace = results[0][1].trace
    title = title or f"Routing policies on {trace.name}"
    facts = (
        f"{trace.requests:,} requests over {trace.span_s:,.0f} s, {trace.prompt_tokens:,} prompt "
        f"tokens. One boundless cache would have found {trace.ideal_hit_rate:.1%} of them."
    )
    credit = f"<p><small>{escape(trace.credit)}</small></p>" if trace.credit else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}{_colours()}</style></head><body>"
        f"<h1>{escape(title)}</h1><p>{escape(facts)}</p>"
        f'<div class="wide">{html_table(TABLE_HEAD, table_rows(results))}</div>'
        f'{_key([label for label, _ in results])}<div class="plots">{_plots(results)}</div>'
        f"<h2>Why they chose as they did</h2>"
        f'<div class="wide">{_reasons(results)}</div>{credit}</body></html>\n'
    )


def _plots(results: Labelled) -> str:
    ideal = results[0][1].trace.ideal_hit_rate
    hits = [(label, result.hit_rate) for label, result in results]
    work = [(label, result.imbalance) for label, result in results]
    seconds = Axis(label="seconds", show=_number, scale=Scale.LOGARITHMIC)
    charts = (
        ("Prefix cache hit rate", bar_chart("Hit rate", hits, _percent, ("best possible", ideal))),
        (
            "Most to mean work per worker",
            bar_chart("Imbalance", work, lambda value: f"{value:.2f}"),
        ),
        (
            "Time to first token, by percentile",
            line_chart("Time to first token", _SHARE, seconds, _by_share(results, _first_tokens)),
        ),
        (
            "Time to the end, by percentile",
            line_chart("End to end", _SHARE, seconds, _by_share(results, _ends)),
        ),
        (
            "Hit rate over time",
            line_chart(
                "Hit rate over time",
                _TIME,
                Axis(label="", show=_percent, low=0.0),
                _over_time(results, lambda series: series.hit_rate),
            ),
        ),
        (
            "Imbalance over time",
            line_chart(
                "Imbalance over time",
                _TIME,
                Axis(label="most / mean work", show=_number, low=1.0),
                _over_time(results, lambda series: series.imbalance),
            ),
        ),
        (
            "Mean wait for prefill over time",
            line_chart(
                "Wait over time",
                _TIME,
                seconds,
                _over_time(results, lambda series: [max(at, 1e-3) for at in series.wait_s]),
            ),
        ),
    )
    return "".join(f"<figure><h2>{escape(name)}</h2>{chart}</figure>" for name, chart in charts)


def _first_tokens(result: Result) -> list[float]:
    record = result.record
    return sorted(record.first_token_at[i] - record.arrived_at[i] for i in record.completed())


def _ends(result: Result) -> list[float]:
    record = result.record
    return sorted(record.finished_at[i] - record.arrived_at[i] for i in record.completed())


def _by_share(results: Labelled, measure: Callable[[Result], list[float]]) -> list[Line]:
    lines: list[Line] = []
    for label, result in results:
        values = measure(result)
        # Below a millisecond a logarithmic axis would show nothing but rounding.
        points = [(float(at), max(ranked(values, at / 100), 1e-3)) for at in range(1, 101)]
        lines.append(Line(label, points if values else []))
    return lines


def _over_time(results: Labelled, measure: Callable[[Series], Sequence[float]]) -> list[Line]:
    return [
        Line(
            label,
            [
                ((number + 0.5) * result.series.window_s, value)
                for number, value in enumerate(measure(result.series))
            ],
        )
        for label, result in results
    ]


def _reasons(results: Labelled) -> str:
    reasons = list(dict.fromkeys(reason for _, result in results for reason in result.reasons))
    rows = [
        (label, *(f"{result.reasons.get(reason, 0):,}" for reason in reasons))
        for label, result in results
    ]
    return html_table(("policy", *reasons), rows)


def _key(names: Sequence[str]) -> str:
    swatch = '<svg viewBox="0 0 28 10"><path class="line s{}{}" d="M0 5H28"/></svg>'
    return '<ul class="key">' + "".join(
        f"<li>{swatch.format(n % COLOURS, ' dashed' if n // COLOURS % 2 else '')}{escape(name)}</li>"
        for n, name in enumerate(names)
    ) + "</ul>"  # fmt: skip


def _colours() -> str:
    light = "".join(f".s{n}{{--c:{pair[0]}}}" for n, pair in enumerate(_PALETTE))
    dark = "".join(f".s{n}{{--c:{pair[1]}}}" for n, pair in enumerate(_PALETTE))
    ink = ":root{--ink:#e8e8e8;--paper:#161616;--soft:#fff3}"
    return f"{light}@media(prefers-color-scheme:dark){{{ink}{dark}}}"


def _number(value: float) -> str:
    return f"{value:g}"


def _percent(value: float) -> str:
    return f"{value * 100:.3g}%"


_TIME = Axis(label="seconds into the trace", show=_number, low=0.0)
_SHARE = Axis(label="percentile", show=_number, low=0.0)
