"""The blocks of code of the pages work: configurations pass the check, commands, calls and series exist."""

import json
import re
import time
from typing import Any

import jsonschema
import promql_parser
import pytest
import yaml

from orchestrator.config.models import Config
from orchestrator.config.shape import keys
from orchestrator.domain.metrics import METRICS
from orchestrator.domain.runs import StageName
from orchestrator.web.openapi import document
from tests.support import page_commands
from tests.support.charts import resources
from tests.support.configs import ENVIRON, look, whole
from tests.support.dashboards import series_in
from tests.support.documents import ROOT, WRITTEN, Block, blocks, commands
from tests.support.messages import SUCCEEDED
from tests.support.page_words import source
from tests.support.pilotage_chart import case, kinds
from workers.notifiers.webhook import body, sign

SECRETS = {
    **ENVIRON,
    "SOURCE_TOKEN": "t",
    "FORGE_TOKEN": "t",
    "SLACK_TOKEN": "xoxb-1",
    "SLACK_SIGNING_SECRET": "8f742231b10e8888",
    "HOOK_SECRET": "0123456789abcdef",
    "FORGEJO_SECRET": "0123456789abcdef",
    "GITEA_SECRET": "0123456789abcdef",
    "GOGS_SECRET": "0123456789abcdef",
    "GITLAB_SIGNING_TOKEN": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
    "NPM_TOKEN": "npm_0123456789",
    "PIP_CONF": "[global]\nindex-url = https://packages.example.com/simple\n",
}
"""What the variables of the pages hold here."""
SECTIONS = {name for name, _, _ in keys(Config)}
OTHER_YAML = {
    "apiVersion": "a resource of Kubernetes",
    "data": "a ConfigMap of Argo CD",
    "display_information": "the manifest of a Slack app",
    "externalURL": "values of the chart: tests/files/charts/test_pilotage_files.py",
    "image": "the values file of an app",
    "rules": "prometheus-adapter",
    "scrape_configs": "Prometheus",
}
"""YAML for other programs, by its first key."""
OTHERS = {"dockerfile", "groovy", "ini", "mermaid", "nginx", "text"}
"""Languages of which the pages have examples that are not ours to run."""
VARIABLE = re.compile(r"\b(?:PILOTAGE|OTEL)_[A-Z_]+\b")


def first_key(block: Block) -> str:
    return re.split(r"[:\s]", block.text.lstrip("- "), maxsplit=1)[0]


def is_config(block: Block) -> bool:
    return first_key(block) in SECTIONS | {"build"} or block.text.startswith("- name:")


def callbacks(language: str) -> list[Block]:
    """Blocks about callbacks; those of CONTRIBUTING.md are run by tests/integration/test_recipes.py."""
    return [block for block in blocks(language) if not block.place.startswith("CONTRIBUTING.md")]


def shell(block: Block) -> str:
    """What a shell would be given of a block."""
    if block.language == "sh":
        return block.text
    return "\n".join(line[2:] for line in block.text.splitlines() if line.startswith("$ "))


def test_each_language_of_a_block_has_a_test() -> None:
    assert {block.language for block in blocks()} - OTHERS == {"console", "json", "python", "sh", "yaml"}


@pytest.mark.parametrize("block", [block for block in blocks("yaml") if is_config(block)], ids=str)
def test_a_configuration_passes_the_check_without_a_warning(block: Block) -> None:
    result = look(whole(block.text), SECRETS)

    assert [str(problem) for problem in (*result.problems, *result.warnings)] == []
    assert result.settings is not None


@pytest.mark.parametrize("block", [block for block in blocks("yaml") if not is_config(block)], ids=str)
def test_other_yaml_is_that_of_a_program_that_is_known(block: Block) -> None:
    assert first_key(block) in OTHER_YAML
    assert isinstance(yaml.safe_load(block.text), dict)


@pytest.mark.parametrize("block", blocks("sh", "console"), ids=str)
def test_commands_name_what_is_there(block: Block) -> None:
    wrong = [(words, faults) for words in commands(shell(block)) if (faults := page_commands.faults(words))]

    assert wrong == []


def test_pods_that_commands_name_are_those_of_the_chart() -> None:
    found = resources("helm4", case("full"))
    there = {f"deploy/pilotage-{name}" for name in kinds(found, "Deployment")}
    there |= {f"job/pilotage-{name}" for name in kinds(found, "Job")}

    assert set(page_commands.PODS) - there == set()


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_addresses_and_variables_of_ours_are_there(block: Block) -> None:
    addresses = [address for address in page_commands.addresses(block.text) if not address.startswith("/runs/")]

    assert [said for address in addresses if (said := page_commands.route_fault("", address))] == []
    assert [name for name in VARIABLE.findall(block.text) if name not in source()] == []


@pytest.mark.parametrize("block", [block for block in blocks() if "pilotage_" in block.text], ids=str)
def test_series_of_ours_are_exported(block: Block) -> None:
    known = {metric.name: set(metric.labels) for metric in METRICS}
    for series, labels in series_in(block.text):
        assert labels <= known[series]


def test_the_queries_of_the_page_on_metrics_parse() -> None:
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    queries = re.findall(r"```promql\n(.*?)```", page, re.DOTALL)
    known = {metric.name: set(metric.labels) for metric in METRICS}

    assert queries
    for query in queries:
        promql_parser.parse(query.strip())
        assert all(labels <= known[series] for series, labels in series_in(query))


def test_bodies_that_sentences_send_fit_the_api() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in WRITTEN)
    sent = re.findall(r"`(POST) (/api/\S+)` with `(\{.*?\})`", text)

    assert sent
    for method, path, content in sent:
        operation = document()["paths"][path][method.lower()]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.validate(json.loads(content), {**schema, "components": document()["components"]})


@pytest.mark.parametrize("block", callbacks("json"), ids=str)
def test_a_callback_of_a_page_has_the_fields_of_ours(block: Block) -> None:
    shown, ours = json.loads(block.text), json.loads(body(SUCCEEDED))

    assert shown.keys() == ours.keys()
    assert shown["data"].keys() - ours["data"].keys() == set()


@pytest.mark.parametrize("block", callbacks("python"), ids=str)
def test_the_check_of_a_callback_takes_ours_and_no_other(block: Block) -> None:
    names: dict[str, Any] = {}
    exec(block.text, names)
    stamp, secret = str(int(time.time())), "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
    headers = {
        "webhook-id": "run-1",
        "webhook-timestamp": stamp,
        "webhook-signature": sign(secret, "run-1", stamp, b"{}"),
    }

    assert names["is_genuine"](secret, headers, b"{}")
    assert names["is_genuine"]("plain", {**headers, "webhook-signature": sign("plain", "run-1", stamp, b"{}")}, b"{}")
    assert not names["is_genuine"](secret, headers, b"{ }")
    assert not names["is_genuine"](secret, {**headers, "webhook-timestamp": "1"}, b"{}")


def test_the_excerpt_of_the_demo_goes_through_every_stage() -> None:
    text = (
        (ROOT / "README.md").read_text(encoding="utf-8").partition("<!-- demo-excerpt -->")[2].partition("```\n")[0]
    )
    pushes = text.split("── git push")[1:]

    assert len(pushes) == 2
    for push in pushes:
        told = re.findall(r"^   (.) (\w+) +\w+", push, re.MULTILINE)
        assert [name for _, name in told if name in tuple(StageName)] == list(StageName)
        assert {sign for sign, name in told if name in tuple(StageName)} <= {"✓", "✗"}
