"""How a metric is declared."""

from dataclasses import dataclass

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


@dataclass(frozen=True)
class Metric:
    """One metric: Prometheus name (with its unit), kind, help, and which processes have it."""

    name: str
    kind: str
    help: str
    processes: tuple[str, ...]
    unit: str = ""
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = SECONDS


def counter(name: str, help_text: str, *processes: str, unit: str = "", labels: tuple[str, ...] = ()) -> Metric:
    """Declare a counter; Prometheus adds `_total`."""
    return Metric(name, "counter", help_text, processes, unit, labels)


def gauge(name: str, help_text: str, *processes: str, unit: str = "", labels: tuple[str, ...] = ()) -> Metric:
    """Declare a gauge."""
    return Metric(name, "gauge", help_text, processes, unit, labels)


def histogram(
    name: str,
    help_text: str,
    *processes: str,
    labels: tuple[str, ...] = (),
    unit: str = "seconds",
    buckets: tuple[float, ...] = SECONDS,
) -> Metric:
    """Declare a histogram."""
    return Metric(name, "histogram", help_text, processes, unit, labels, buckets)
