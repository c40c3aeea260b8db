"""The table of metrics: names and labels that Prometheus and people can live with."""

import re

import pytest

from orchestrator.domain.metrics import LABELS, LONG, METRICS, Metric, MetricKind

LABEL_NAMES = {
    "app",
    "channel",
    "env",
    "forge",
    "outcome",
    "queue",
    "reason",
    "result",
    "route",
    "server",
    "service",
    "stage",
    "state",
    "status",
    "version",
    "who_acts",
}
UNBOUNDED = ("run", "commit", "user", "actor", "url", "branch", "ref", "image", "delivery", "id", "pod", "process")


def test_the_labels_are_these_and_none_of_them_can_grow_without_end() -> None:
    assert {label for metric in METRICS for label in metric.labels} == LABEL_NAMES == set(LABELS)
    assert LABEL_NAMES.isdisjoint(UNBOUNDED)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_says_what_it_is(metric: Metric) -> None:
    assert re.fullmatch(r"pilotage_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is MetricKind.COUNTER)
    assert bool(metric.buckets) == (metric.kind is MetricKind.HISTOGRAM)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.text.endswith(".")


def test_names_are_unique() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


@pytest.mark.parametrize(
    ("value", "bucket"), [(0.0, "1"), (1.0, "1"), (1.5, "5"), (7200.0, "7200"), (7200.1, "+Inf"), (1e9, "+Inf")]
)
def test_a_value_falls_into_the_first_bucket_that_is_large_enough(value: float, bucket: str) -> None:
    assert Metric(name="x", kind=MetricKind.HISTOGRAM, text="", buckets=LONG).bucket(value) == bucket


def test_known_values_are_told_from_the_start() -> None:
    metric = Metric(
        name="x", kind=MetricKind.COUNTER, text="", labels={"app": (), "env": (), "result": ("good", "bad")}
    )

    found = list(metric.initial({"app": [("web", "stg"), ("web", "prod")]}))

    assert found == [("web", "stg", "good"), ("web", "stg", "bad"), ("web", "prod", "good"), ("web", "prod", "bad")]
    assert list(metric.initial({})) == []
    assert list(Metric(name="x", kind=MetricKind.GAUGE, text="").initial({})) == [()]
