"""The committed dashboards and alert rules, read as data."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "charts/pilotage"
DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
RULES = CHART / "rules/pilotage.yaml"
_FILLED = {
    "$__rate_interval": "1m",
    "$__range": "1h",
    "$app": "plate-web",
    "$env": "stg",
}
_SERIES = re.compile(r"\b(pilotage_\w+)(?:\{([^}]*)\})?")


@dataclass(frozen=True)
class Panel:
    """One panel with queries."""

    board: str
    data: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.board}: {self.data['title']}"


def load(file: Path) -> dict[str, Any]:
    """Read a dashboard."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def panels() -> list[Panel]:
    """Return all panels of all dashboards, rows left out."""
    return [
        Panel(file.stem, panel) for file in DASHBOARDS for panel in load(file)["panels"] if panel["type"] != "row"
    ]


def queries(**values: str) -> list[tuple[str, str]]:
    """Return (panel, query) for each query of each panel, with Grafana's variables filled in (`values`: others)."""
    filled = _FILLED | {f"${name}": value for name, value in values.items()}
    return [(str(panel), _fill(target["expr"], filled)) for panel in panels() for target in panel.data["targets"]]


def variables(**values: str) -> list[tuple[str, str, str]]:
    """Return (variable, series selector, label) of each variable that is filled by a query."""
    filled = _FILLED | {f"${name}": value for name, value in values.items()}
    found = []
    for file in DASHBOARDS:
        for one in load(file)["templating"]["list"]:
            if one["type"] == "query":
                selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", one["query"]["query"]).groups()  # type: ignore[union-attr]
                found.append((one["name"], _fill(selector, filled), label))
    return found


def rules() -> list[dict[str, Any]]:
    """Return the alerts."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def series_in(query: str) -> list[tuple[str, set[str]]]:
    """Return the series that a query selects, each with the labels that it selects by."""
    return [
        (name, set(re.findall(r"(\w+)\s*[=!]~?\s*\"", selector or ""))) for name, selector in _SERIES.findall(query)
    ]


def _fill(query: str, values: dict[str, str]) -> str:
    for name, value in sorted(values.items(), key=lambda pair: -len(pair[0])):
        query = query.replace(name, value)
    return query
