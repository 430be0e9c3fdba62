"""Counts the events of the use cases and writes them as metrics (CloudWatch's embedded format).

Metrics are log lines of a form from which CloudWatch reads numbers, so no service is called and
nothing can be slow. They are collected during an invocation and written when it ends, on as few
lines as possible. If a worker is killed, its metrics are lost; no refund is harmed by that.
"""

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from aws_lambda_powertools.metrics import EphemeralMetrics

from refund_bridge.adapters.telemetry.meters import METERS, Meter
from refund_bridge.ports.runtime import Telemetry

_P = ParamSpec("_P")
_R = TypeVar("_R")
Fact = str | int | bool | Decimal | None

# Powertools' own dimension would make a separate series for each function.
_NO_SERVICE: Final = ""
_log: Final = logging.getLogger(__name__)


class Meters:
    """The metrics of the current invocation; safe to use from any number of threads.

    Powertools writes a metric as soon as it has a hundred values, so there is no upper limit.
    """

    def __init__(self, namespace: str | None = None) -> None:
        """``namespace``: the metrics' namespace; ``None``: from the environment, as Powertools."""
        self._namespace = namespace
        self._lock = threading.Lock()
        self._by_series: dict[tuple[tuple[str, str], ...], EphemeralMetrics] = {}

    def feed(self, meter: Meter, facts: Mapping[str, Fact]) -> None:
        """Count an event, if the meter counts events with these facts."""
        if any(facts.get(name) != wanted for name, wanted in meter.where.items()):
            return
        words = tuple(str(facts.get(name)) for name in meter.dimensions)
        value = 1 if meter.value is None else facts.get(meter.value)
        if words not in meter.series or not isinstance(value, int):
            return
        dimensions = tuple(zip(meter.dimensions, words, strict=True))
        with self._lock:
            self._metrics_of(dimensions).add_metric(meter.name, meter.unit, value)

    def write(self) -> None:
        """Write what was counted, and forget it."""
        with self._lock:
            by_series, self._by_series = self._by_series, {}
        series = [one.serialize_metric_set() for one in by_series.values() if one.metric_set]
        for line in _together(series):
            sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")

    def _metrics_of(self, dimensions: tuple[tuple[str, str], ...]) -> EphemeralMetrics:
        if dimensions not in self._by_series:
            metrics = EphemeralMetrics(namespace=self._namespace, service=_NO_SERVICE)
            for name, value in dimensions:
                metrics.add_dimension(name, value)
            self._by_series[dimensions] = metrics
        return self._by_series[dimensions]


def _together(series: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The series on as few lines as possible, in their order.

    A line may have any number of directives (``CloudWatchMetrics``), each with its own metrics and
    dimensions. But all values share one set of names: so a line can have only one value of each
    dimension and only one series of each metric. Source:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    lines: list[dict[str, Any]] = []
    for one in series:
        line = next((line for line in lines if _fits(one, line)), None)
        if line is None:
            lines.append(dict(one))
            continue
        directives = [*line["_aws"]["CloudWatchMetrics"], *one["_aws"]["CloudWatchMetrics"]]
        line |= {**one, "_aws": {**line["_aws"], "CloudWatchMetrics": directives}}
    return lines


def _fits(one: Mapping[str, Any], line: Mapping[str, Any]) -> bool:
    (directive,) = one["_aws"]["CloudWatchMetrics"]
    metrics = {metric["Name"] for metric in directive["Metrics"]}
    dimensions = one.keys() - metrics - {"_aws"}
    same = all(line.get(name, one[name]) == one[name] for name in dimensions)
    return same and not metrics & line.keys()


class MetricTelemetry:
    """``ports.runtime.Telemetry``: passes every event on, and counts those in the table."""

    def __init__(self, telemetry: Telemetry, meters: Meters) -> None:
        self._telemetry = telemetry
        self._meters = meters

    def note(self, event: str, **facts: Fact) -> None:
        """Record ``event``, and count it if it is in the table."""
        self._telemetry.note(event, **facts)
        for meter in METERS.get(event, ()):
            try:
                self._meters.feed(meter, facts)
            except Exception as error:  # noqa: BLE001 - what is counted must not stop what counts
                self._telemetry.note("not_counted", metric=meter.name, error=type(error).__name__)


def metered(meters: Meters) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Decorates a function's handler: the metrics of an invocation are written when it ends.

    They are written also after an error, and an error in writing does not fail the invocation.
    """

    def decorate(handler: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(handler)
        def measured(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            try:
                return handler(*args, **kwargs)
            finally:
                try:
                    meters.write()
                except Exception as error:  # noqa: BLE001 - see above
                    _log.error("metrics_not_written: %s", type(error).__name__)

        return measured

    return decorate
