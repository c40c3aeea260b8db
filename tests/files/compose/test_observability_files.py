"""The files of the profile observability: each is read as its program reads it, where that program is to be had."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "charts" / "compose"
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
FLUENT = (FOLDER / "fluentd" / "fluent.conf").read_text(encoding="utf-8")
TOOLS = ROOT / "charts" / "development-tools"
PILOTAGE = ("migrate", "web", "webhooks", "relay", "worker-build", "worker-deploy")


def load(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_prometheus_takes_its_configuration() -> None:
    command = ["promtool", "check", "config", "--syntax-only", str(FOLDER / "prometheus.yml")]

    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)

    assert done.returncode == 0, done.stderr


def test_prometheus_asks_services_that_there_are_at_their_ports() -> None:
    config = load(FOLDER / "prometheus.yml")

    targets = [
        target for job in config["scrape_configs"] for one in job["static_configs"] for target in one["targets"]
    ]
    targets += config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    published = {(name, port.split(":")[2]) for name, one in SERVICES.items() for port in one.get("ports", [])}
    assert [target for target in targets if tuple(target.split(":")) not in published] == ["127.0.0.1:9090"]


def test_alertmanager_sends_to_a_receiver_that_there_is() -> None:
    config = load(FOLDER / "alertmanager.yml")

    assert config["route"]["receiver"] in [receiver["name"] for receiver in config["receivers"]]


def test_grafana_has_the_data_source_of_the_dashboards() -> None:
    (source,) = load(FOLDER / "grafana" / "datasources.yml")["datasources"]

    assert (source["uid"], source["type"], source["url"]) == ("prometheus", "prometheus", "http://prometheus:9090")


def test_grafana_reads_the_dashboards_where_they_are_mounted() -> None:
    (provider,) = load(FOLDER / "grafana" / "dashboards.yml")["providers"]

    assert f"./charts/pilotage/dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]


def test_every_section_of_fluentds_file_is_closed() -> None:
    lines = [line.strip() for line in FLUENT.splitlines() if re.match(r"\s*</?\w", line)]
    open_: list[str] = []
    for line in lines:
        word = re.match(r"</?(\w+)", line)
        assert word is not None
        if line.startswith("</"):
            assert open_.pop() == word[1]
        else:
            open_.append(word[1])

    assert open_ == []


def test_fluentd_sends_to_labels_that_there_are() -> None:
    named = set(re.findall(r"^\s*(?:@label|timeout_label) (@\w+)$", FLUENT, re.MULTILINE))

    assert named == set(re.findall(r"^<label (@\w+)>$", FLUENT, re.MULTILINE))


def test_fluentd_knows_the_services_whose_lines_are_json() -> None:
    patterns = re.findall(r"pattern /\^\((.*)\)\$/", FLUENT)

    assert [tuple(pattern.split("|")) for pattern in patterns] == [PILOTAGE, PILOTAGE]


def test_fluentd_learns_the_service_from_the_label_that_the_engine_writes() -> None:
    label = re.search(r'\["(com\.docker\.[\w.]+)"\]', FLUENT)

    assert label is not None
    assert {service["logging"]["options"]["labels"] for service in SERVICES.values()} == {label[1]}


def test_elasticsearch_learns_the_types_of_the_fields_and_when_to_forget_the_lines() -> None:
    template = json.loads((FOLDER / "fluentd" / "index-template.json").read_text(encoding="utf-8"))
    types = {name: field["type"] for name, field in template["template"]["mappings"]["properties"].items()}
    fields = json.loads((ROOT / "docs/reference/log-fields.json").read_text(encoding="utf-8"))

    assert types.items() >= {name: field["type"] for name, field in fields["fields"].items()}.items()
    assert template["index_patterns"] == re.findall(r"^\s*index_name (.*)$", FLUENT, re.MULTILINE)
    assert template["template"]["lifecycle"] == {"data_retention": "14d"}
    mount = next(one for one in SERVICES["fluentd"]["volumes"] if one.startswith("./charts/compose/fluentd:"))
    assert f"template_file {mount.split(':')[1]}/index-template.json" in FLUENT


def test_the_versions_are_those_of_the_cluster() -> None:
    tags = {name: SERVICES[name]["image"].rpartition(":")[2] for name in ("elasticsearch", "kibana", "fluentd")}

    assert tags == {
        "elasticsearch": load(TOOLS / "elasticsearch" / "values.yaml")["version"],
        "kibana": load(TOOLS / "kibana" / "values.yaml")["version"],
        "fluentd": load(TOOLS / "fluentd" / "values.yaml")["image"]["tag"],
    }
