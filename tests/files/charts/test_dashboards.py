"""The Grafana dashboards are whole: they import without a question and ask only for what Pilotage tells.

That each query returns data from a real Prometheus is shown in tests/e2e/test_metrics.py.
"""

import json
import re
from itertools import combinations
from typing import Any

import promql_parser
import pytest

from orchestrator.domain.metrics import METRICS
from tests.support.dashboards import DASHBOARDS, Panel, load, panels, queries, series_in

UNITS = {"short", "s", "percentunit", "reqps", "ops", "bool_yes_no"}
UIDS = {"overview": "pilotage-overview", "app": "pilotage-app", "pipeline": "pilotage-pipeline"}
ENDINGS = ("_bucket", "_sum", "_count")


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_can_be_provisioned_as_it_is(file: Any) -> None:
    text = file.read_text(encoding="utf-8")
    board = json.loads(text)
    assert (board["uid"], board["id"]) == (UIDS[file.stem], None)
    assert "__inputs" not in board
    assert "${DS_" not in text
    assert next(one["type"] for one in board["templating"]["list"]) == "datasource"
    assert set(re.findall(r'"uid": "(.*?)"', text)) == {board["uid"], "${datasource}"}


def test_the_dashboards_are_these() -> None:
    assert {file.stem for file in DASHBOARDS} == set(UIDS)


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_panels_have_numbers_of_their_own_and_do_not_overlap(file: Any) -> None:
    everything = load(file)["panels"]
    assert len({one["id"] for one in everything}) == len(everything)
    for one in everything:
        place = one["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
    for one, other in combinations(everything, 2):
        assert not _overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


@pytest.mark.parametrize("panel", panels(), ids=str)
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: Panel) -> None:
    assert panel.data["title"]
    assert panel.data["description"].endswith(".")
    assert panel.data["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel.data["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel.data["targets"]
    for target in panel.data["targets"]:
        assert target["datasource"] == panel.data["datasource"]


@pytest.mark.parametrize(("name", "query"), queries(), ids=lambda value: value if " " not in value else "")
def test_a_query_parses_and_asks_for_metrics_and_labels_that_exist(name: str, query: str) -> None:
    promql_parser.parse(query)
    known = {metric.name: set(metric.labels) for metric in METRICS}
    histograms = {metric.name for metric in METRICS if metric.buckets}
    found = list(series_in(query))
    assert found, name
    for series, labels in found:
        base = next((series.removesuffix(end) for end in ENDINGS if series.removesuffix(end) in histograms), series)
        assert base in known, name
        assert labels <= known[base], name


@pytest.mark.parametrize(("name", "query"), queries(), ids=lambda value: value if " " not in value else "")
def test_a_query_counts_once_however_many_replicas_tell(name: str, query: str) -> None:
    inner = re.sub(r"\bmax(?: by \([^)]*\))? \((?:(?:increase|rate)\()?pilotage_\w+(?:\{[^}]*\})?", "", query)
    inner = re.sub(r"\bmax\((?:(?:increase|rate)\()?pilotage_\w+(?:\{[^}]*\})?", "", inner)
    assert "pilotage_" not in inner, name


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )
