"""Metrics of requests that are served by a prefill and a decode worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .metrics import Exposition

BACKEND = "pd"
_LABELS = ("backend_type", "model", "runtime")


class LegState(NamedTuple):
    """One worker of a leg as it is now; `window` is 0 where it is not known."""

    url: str
    load: int
    window: int


class PairTelemetry:
    """Times of the legs, how caches are handed over, and who had to wait."""

    def __init__(self, exposition: Exposition, bounds_s: Sequence[float]) -> None:
        counter, gauge = exposition.counter, exposition.gauge
        histogram = exposition.histogram
        self._prefill = histogram(
            "smg_pd_prefill_duration_seconds", "Time of the prefill leg.", _LABELS, bounds_s
        )
        self._ttft = histogram(
            "smg_pd_ttft_seconds",
            "Prefill dispatch to the decode worker's first byte.",
            _LABELS,
            bounds_s,
        )
        self._transfer = histogram(
            "smg_pd_kv_transfer_duration_seconds",
            "End of the prefill leg to dispatch of the decode leg.",
            _LABELS,
            bounds_s,
        )
        self._decode_ttft = histogram(
            "smg_pd_decode_ttft_seconds",
            "Decode dispatch to the decode worker's first byte.",
            _LABELS,
            bounds_s,
        )
        self._connectors = counter(
            "smg_pd_kv_connector_mode_total", "How caches were handed over.", ("mode",)
        )
        counter("smg_pd_bootstrap_failures_total", "Requests that could not be told where to meet.")
        self._transfer_failures = counter(
            "smg_pd_kv_transfer_failures_total", "Prefill answers without handover parameters."
        )
        self._rendezvous_failures = counter(
            "smg_pd_rendezvous_failures_total", "Legs that did not meet.", ("leg", "phase")
        )
        self._window = gauge(
            "smg_pd_admission_window", "Requests a decode worker runs at once.", ("worker",)
        )
        self._waits = counter("smg_pd_admission_waits_total", "Requests that waited for decoding.")
        self._sheds = counter("smg_pd_admission_sheds_total", "Requests that waited in vain.")
        self._inflight = gauge(
            "smg_pd_prefill_admission_inflight", "Requests on a prefill worker.", ("worker",)
        )
        self._queued = gauge("smg_pd_prefill_admission_queued", "Requests waiting for prefill.")
        self._wait = exposition.summary(
            "smg_pd_prefill_admission_wait_seconds", "Time waited for prefill."
        )
        self._rejections = counter(
            "smg_pd_prefill_admission_rejections_total",
            "Requests that found no room for prefill.",
            ("reason",),
        )

    def watch(
        self,
        exposition: Exposition,
        prefills: Callable[[], Sequence[LegState]],
        decodes: Callable[[], Sequence[LegState]],
        queued: Callable[[], int],
    ) -> None:
        """Refresh the gauges at each scrape."""

        def refresh() -> None:
            self._queued.of().set(queued())
            for worker in prefills():
                self._inflight.of(worker.url).set(worker.load)
            for worker in decodes():
                self._window.of(worker.url).set(worker.window)

        exposition.on_scrape(refresh)

    def prefilled(self, model: str, runtime: str, took_s: float) -> None:
        """A prefill leg has ended well."""
        self._prefill.of(BACKEND, model, runtime).observe(took_s)

    def first_byte(self, model: str, runtime: str, since_prefill_s: float, in_turn: bool,
                   since_decode_s: float) -> None:  # fmt: skip
        """The decode worker's answer begins."""
        labels = (BACKEND, model, runtime)
        self._ttft.of(*labels).observe(since_prefill_s)
        if in_turn:
            self._decode_ttft.of(*labels).observe(since_decode_s)

    def handed_over(self, model: str, runtime: str, took_s: float) -> None:
        """A decode leg follows its prefill leg."""
        self._transfer.of(BACKEND, model, runtime).observe(took_s)

    def connector_used(self, mode: str) -> None:
        """A cache is handed over in this way."""
        self._connectors.of(mode).value += 1

    def transfer_failed(self) -> None:
        """A prefill answer says nothing of where its cache is."""
        self._transfer_failures.of().value += 1

    def leg_failed(self, leg: str, phase: str) -> None:
        """A leg broke off: in `bootstrap` before its head, in `transfer` after it."""
        self._rendezvous_failures.of(leg, phase).value += 1

    def waited(self, leg: str, took_s: float) -> None:
        """A request found room after a while."""
        if leg == "prefill":
            self._wait.of().observe(took_s)
        else:
            self._waits.of().value += 1

    def turned_away(self, leg: str, reason: str) -> None:
        """A request found no room: `queue_full`, `queue_timeout` or `shed`."""
        if leg == "prefill":
            self._rejections.of(reason).value += 1
        else:
            self._sheds.of().value += 1
