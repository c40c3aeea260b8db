"""A real Prometheus (Debian's package) on loopback that scrapes one address every second."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from orchestrator.cli.product import free_address
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.dashboards import RULES
from tests.support.needs import require_program
from tests.support.waiting import until
from workers.clients.http import Http


class Prometheus:
    """Asks a running Prometheus."""

    def __init__(self, url: str) -> None:
        self._http = Http(url, Reason.INTERNAL)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate now; return the vector's elements (a scalar: one without labels)."""
        data = self._get("/api/v1/query", query=expression)
        assert data["resultType"] == "vector", expression
        return list(data["result"])

    def value(self, expression: str) -> float:
        """Evaluate an expression that has one value."""
        found = self.query(expression)
        assert len(found) == 1, (expression, found)
        return float(found[0]["value"][1])

    def label_values(self, selector: str, label: str) -> list[str]:
        found: list[str] = self._get(f"/api/v1/label/{label}/values", **{"match[]": selector})
        return found

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._get("/api/v1/rules")["groups"] for rule in group["rules"]]

    def ready(self) -> bool:
        try:
            return self._http.request("GET", "/-/ready").status_code == 200
        except Unavailable:
            return False

    def close(self) -> None:
        self._http.close()

    def _get(self, path: str, **params: str) -> Any:
        answer = self._http.request("GET", path, params=params)
        body = json.loads(answer.content)
        assert body["status"] == "success", body
        return body["data"]


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """Run Prometheus with our rules while the block runs. `target`: the address of what it scrapes."""
    require_program("prometheus")
    folder.mkdir(parents=True, exist_ok=True)
    scrape = {"job_name": "pilotage", "static_configs": [{"targets": [urlsplit(target).netloc]}]}
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [scrape],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    address = free_address()
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    asked = Prometheus(f"http://{address}")
    try:
        until(asked.ready, "Prometheus")
        until(lambda: asked.query("pilotage_build_info"), "a first scrape")
        yield asked
    finally:
        asked.close()
        process.terminate()
        process.wait(timeout=30)
