"""``/metrics``: the values of the tables in Prometheus's text format, and the counting of our own answers."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from math import inf

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from orchestrator.domain.metrics import METRICS, SUM, Labels, Metric, MetricKind
from orchestrator.store.tallies import Sums
from orchestrator.web.calls import Asked

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


def get_metrics(asked: Asked) -> Response:
    """Answer with every metric of every process: all of them count into the same tables."""
    registry = CollectorRegistry()
    registry.register(_Values(asked.site.queries.measures()))
    return Response(generate_latest(registry), content_type=METRICS_TYPE)


def install(app: Flask, observe: Callable[[str, int, float], None]) -> None:
    """Count every answer of `app`: the name of the call or page, the status, the seconds until it began."""

    def begin() -> None:
        g.begun = time.monotonic()

    def end(answer: Response) -> Response:
        observe(request.endpoint or "none", answer.status_code, time.monotonic() - g.begun)
        return answer

    app.before_request(begin)
    app.after_request(end)


class _Values(Collector):
    def __init__(self, sums: Sums) -> None:
        self._by_metric: dict[str, dict[Labels, float]] = {}
        for (name, labels), value in sums.items():
            self._by_metric.setdefault(name, {})[labels] = value

    def collect(self) -> Iterator[Family]:
        """Yield the metrics in the order of their table."""
        for metric in METRICS:
            yield _FAMILIES[metric.kind](metric, self._by_metric.get(metric.name, {}))


def _plain(
    kind: type[CounterMetricFamily | GaugeMetricFamily], metric: Metric, values: dict[Labels, float]
) -> Family:
    family = kind(metric.name, metric.text, labels=list(metric.labels))
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family


def _histogram(metric: Metric, values: dict[Labels, float]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.text, labels=list(metric.labels))
    for labels in sorted({key[:-1] for key in values}):
        count, buckets = 0.0, []
        for bound in (*metric.buckets, inf):
            count += values.get((*labels, metric.bucket(bound)), 0.0)
            buckets.append(("+Inf" if bound == inf else str(bound), count))
        family.add_metric(labels, buckets, sum_value=values.get((*labels, SUM), 0.0))
    return family


_FAMILIES: dict[MetricKind, Callable[[Metric, dict[Labels, float]], Family]] = {
    MetricKind.COUNTER: partial(_plain, CounterMetricFamily),
    MetricKind.GAUGE: partial(_plain, GaugeMetricFamily),
    MetricKind.HISTOGRAM: _histogram,
}
