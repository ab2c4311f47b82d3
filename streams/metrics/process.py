"""The metrics of one running process."""

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from streams.metrics import alerts, canary, enforcement, gateway, logs, mailer, panel, postfix, shared, worker
from streams.metrics.declare import Metric

FILES = (worker, gateway, postfix, mailer, enforcement, alerts, canary, logs, panel, shared)


def declared() -> tuple[Metric, ...]:
    """Every metric of these files, in their order."""
    return tuple(value for file in FILES for value in vars(file).values() if isinstance(value, Metric))


class Metrics:
    """The metrics of one running process, under a registry of their own."""

    def __init__(self, process: str) -> None:
        self.process = process
        self.registry = CollectorRegistry()
        self._made: dict[str, Any] = {}
        for metric in declared():
            if process in metric.processes:
                self._made[metric.name] = _make(metric, self.registry)

    def of(self, metric: Metric, **labels: str) -> Any:
        """The live counter, gauge or histogram. Raises KeyError for one that this process does not have."""
        made = self._made[metric.name]
        return made.labels(**labels) if labels else made

    def on_scrape(self, metric: Metric, value: Callable[[], float]) -> None:
        """Let a gauge without labels be asked for its value when Prometheus asks."""
        self._made[metric.name].set_function(value)

    def page(self) -> bytes:
        """What `/metrics` answers."""
        return generate_latest(self.registry)


def _make(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    labels: Iterable[str] = metric.labels
    if metric.kind == "counter":
        return Counter(metric.name, metric.help, labels, registry=registry)
    if metric.kind == "gauge":
        return Gauge(metric.name, metric.help, labels, registry=registry)
    return Histogram(metric.name, metric.help, labels, registry=registry, buckets=metric.buckets)
