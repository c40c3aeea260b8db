"""Values for public charts: keys that the pinned version has, one domain, no secret, parts that fit together."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.sandbox.harbor_auth import DEFAULT_RIGHTS
from orchestrator.web.openapi import document
from tests.support.platform import CHARTS, ROOT, TOOLS, leaves, named, read, sources
from workers.clients.engine_requests import REVISION_LABEL

TABLE = json.loads((Path(__file__).parent / "charts.json").read_text(encoding="utf-8"))
"""For each tool the pinned chart and the keys of its values file that ours use; a key stands for all below it."""
VALUES = {folder.name: read(folder / "values.yaml") for folder in sorted(TOOLS.iterdir())}
APPLICATIONS = named("Application")
FILES = sorted(
    file
    for file in CHARTS.rglob("*.yaml")
    if "templates" not in file.parts and file.relative_to(CHARTS).parts[0] != "pilotage"
)
"""All but the chart of Pilotage, which has tests of its own."""
RULES = CHARTS / "pilotage/rules/pilotage.yaml"
DOMAIN = "example.com"
PUBLIC = {
    "argoproj.github.io", "charts.jenkins.io", "fluent.github.io", "github.com", "grafana-community.github.io",
    "helm.elastic.co", "helm.goharbor.io", "prometheus-community.github.io", "kubernetes.default.svc",
    "prometheus-server.monitoring.svc", "prometheus-alertmanager.monitoring.svc",
}  # fmt: skip
SECRET = re.compile(r"(password|secret|token|apikey|credential)s?$", re.IGNORECASE)
REFERENCES = re.compile(r"(existing|Secret$|secretName$|configScripts)")
"""Keys that name a Secret; the scripts of Jenkins have a test of their own."""
NAMES_A_SECRET = re.compile(
    r"(existing\w*Secret\w*|[sS]ecretName|secretKeyRef\.name|additionalExistingSecrets\.name|[pP]ullSecrets(\.name)?)$"
)
MADE_BY_OTHERS = {"elasticsearch-es-http-certs-public", "elasticsearch-roles"}
"""By the operator, or by a chart. Those with tls in their name are cert-manager's."""


@pytest.mark.parametrize("tool", TABLE)
def test_a_value_has_a_key_of_the_pinned_chart(tool: str) -> None:
    known = TABLE[tool]["keys"]
    used = {path for path, _ in _keys(VALUES[tool])}
    unknown = {path for path in used if not any(path == key or path.startswith(f"{key}.") for key in known)}
    assert unknown == set()
    unused = {key for key in known if not any(path == key or path.startswith(f"{key}.") for path in used)}
    assert unused == set(), "the table names what nobody uses"


def _keys(value: Any, path: str = "") -> Any:
    """Walk over mappings only: an empty one and a list are values."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _keys(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


@pytest.mark.parametrize("tool", TABLE)
def test_the_application_pins_the_chart_of_the_table(tool: str) -> None:
    chart = sources(APPLICATIONS[tool])[0]
    expected = {name: TABLE[tool][name] for name in ("repository", "chart", "version")}
    assert {"repository": chart["repoURL"], "chart": chart["chart"], "version": chart["targetRevision"]} == expected


def test_there_is_one_domain() -> None:
    text = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in FILES}
    foreign = {
        (name, host)
        for name, content in text.items()
        for host in re.findall(r"https?://([\w.-]+)", content)
        if host not in PUBLIC and not host.endswith(f".{DOMAIN}") and not host.startswith("127.")
    }
    assert foreign == set()


def test_every_ingress_has_a_host_of_its_own() -> None:
    values = VALUES
    hosts = [
        values["harbor"]["expose"]["ingress"]["hosts"]["core"],
        *values["prometheus"]["server"]["ingress"]["hosts"],
        *values["grafana"]["ingress"]["hosts"],
        values["kibana"]["ingress"]["hosts"][0]["host"],
        values["jenkins"]["controller"]["ingress"]["hostName"],
        values["argocd"]["global"]["domain"],
        *(
            read(CHARTS / f"applications/{app}/values-{environment}.yaml")["ingress"]["host"]
            for app in ("plate-web", "plate-api")
            for environment in ("stg", "prod")
        ),
    ]
    assert len(hosts) == len(set(hosts)) == 10
    assert all(host.endswith(f".{DOMAIN}") for host in hosts)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(CHARTS).as_posix())
def test_no_secret_is_written_down(file: Path) -> None:
    for loaded in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        found = [
            (path, value)
            for path, value in leaves(loaded)
            if SECRET.search(path) and isinstance(value, str) and value and not REFERENCES.search(path)
        ]
        assert [(path, value) for path, value in found if not _is_reference(value)] == []


def _is_reference(value: str) -> bool:
    return re.fullmatch(r"\$\{[\w:/-]+\}|\$[\w-]+|harbor-\w+", value) is not None


def test_harbor_makes_no_secret_by_itself() -> None:
    harbor = VALUES["harbor"]
    assert harbor["expose"]["type"] == "ingress"
    assert harbor["externalURL"] == f"https://{harbor['expose']['ingress']['hosts']['core']}"
    assert harbor["expose"]["tls"]["certSource"] == "secret"
    named_secrets = [
        harbor["existingSecretAdminPassword"],
        harbor["existingSecretSecretKey"],
        harbor["core"]["existingSecret"],
        harbor["core"]["existingXsrfSecret"],
        harbor["core"]["secretName"],
        harbor["jobservice"]["existingSecret"],
        harbor["registry"]["existingSecret"],
        harbor["registry"]["credentials"]["existingSecret"],
        harbor["database"]["external"]["existingSecret"],
    ]
    assert set(named_secrets) == {"harbor-secrets", "harbor-token", "harbor-database"}


def secrets_by_hand() -> dict[str, set[str]]:
    """Find the Secrets that the values name, each with the keys that they name of it."""
    found: dict[str, set[str]] = {}
    deployed = [CHARTS / f"applications/{app}/values.yaml" for app in ("plate-web", "plate-api")]
    for values in (*VALUES.values(), *map(read, [CHARTS / "environments/pilotage/values.yaml", *deployed])):
        for path, value in leaves(values):
            if NAMES_A_SECRET.search(path) and isinstance(value, str) and re.fullmatch(r"[a-z][a-z-]+", value):
                found.setdefault(value, set())
    for one in VALUES["jenkins"]["controller"]["additionalExistingSecrets"]:
        found[one["name"]].add(one["keyName"])
    # The chart names this Secret, and the senders its keys.
    senders = " ".join(VALUES["argocd"]["notifications"]["notifiers"].values())
    found["argocd-notifications-secret"] = set(re.findall(r"\$([\w-]+)", senders))
    return {name: keys for name, keys in found.items() if name not in MADE_BY_OTHERS and "tls" not in name}


@pytest.mark.parametrize(("secret", "keys"), secrets_by_hand().items())
def test_a_secret_that_is_named_is_in_the_table_and_has_its_command(secret: str, keys: set[str]) -> None:
    table = (CHARTS / "README.md").read_text(encoding="utf-8")
    row = re.search(rf"^ *\| [\w, -]+ \| `{secret}`[^|]*\| (.*) \|$", table, re.MULTILINE)
    assert row, "it is not in the table"
    page = (ROOT / "docs/how-to/install-the-platform.md").read_text(encoding="utf-8")
    assert re.search(rf"\bcreate secret [\w-]+ {secret}\s", page), "no command makes it"
    assert {key for key in keys if f"`{key}`" not in row[1]} == set()
    assert {key for key in keys if not re.search(rf"(^|'){key}=", page, re.MULTILINE)} == set()


def test_the_table_has_no_secret_that_nothing_names() -> None:
    table = (CHARTS / "README.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^ *\| [\w, -]+ \| `([\w-]+)`", table, re.MULTILINE))
    assert told == set(secrets_by_hand())


def test_grafana_finds_prometheus_by_the_uid_of_the_dashboards() -> None:
    found = VALUES["grafana"]["datasources"]["datasources.yaml"]["datasources"]
    assert {one["type"]: one["uid"] for one in found} == {"prometheus": "prometheus", "alertmanager": "alertmanager"}
    dashboards = VALUES["grafana"]["sidecar"]["dashboards"]
    assert (dashboards["label"], dashboards["labelValue"]) == ("grafana_dashboard", "1")
    assert dashboards["searchNamespace"] == "ALL"


def test_prometheus_reads_its_scrape_configuration(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("no promtool")
    # Debian's promtool is built without the discovery of Kubernetes; relabelling is what can be wrong.
    jobs = [
        {"job_name": name, "relabel_configs": job["relabel_configs"]}
        for name, job in VALUES["prometheus"]["scrapeConfigs"].items()
        if job.get("enabled", True)
    ]
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump({"global": VALUES["prometheus"]["server"]["global"], "scrape_configs": jobs}))
    answer = subprocess.run(
        ["promtool", "check", "config", file], capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert [job["job_name"] for job in jobs] == ["pilotage", "argocd"]


@pytest.mark.skipif(not RULES.exists(), reason="the alert rules are not there")
def test_prometheus_has_the_alert_rules_of_pilotage() -> None:
    ours = read(TOOLS / "prometheus/rules.yaml")["serverFiles"]["alerting_rules.yml"]
    assert ours == read(RULES)


def test_argo_cd_lets_pilotage_read_and_nothing_more() -> None:
    configs = VALUES["argocd"]["configs"]
    assert configs["cm"]["accounts.pilotage"] == "apiKey"
    rules = [line for line in configs["rbac"]["policy.csv"].splitlines() if line and not line.startswith("#")]
    assert rules == [
        "p, role:pilotage, applications, get, plate/*, allow",
        "p, role:pilotage, logs, get, plate/*, allow",
        "g, pilotage, role:pilotage",
    ]
    assert configs["rbac"]["policy.default"] == ""


def test_what_argo_cd_tells_goes_where_applications_subscribe() -> None:
    notifications = VALUES["argocd"]["notifications"]
    triggers = {name.removeprefix("trigger.") for name in notifications["triggers"]}
    services = {name.removeprefix("service.") for name in notifications["notifiers"]}
    templates = {name.removeprefix("template.") for name in notifications["templates"]}
    sent = {
        template
        for text in notifications["triggers"].values()
        for rule in yaml.safe_load(text)
        for template in rule["send"]
    }
    assert sent == templates
    for name, application in APPLICATIONS.items():
        annotations = application["metadata"].get("annotations", {})
        found = {key.split("subscribe.", 1)[1] for key in annotations if "subscribe." in key}
        expected = set() if application["spec"]["project"] == "plate" else triggers
        assert found == {f"{trigger}.{service}" for trigger in expected for service in services}, name


class TestJenkins:
    """Jenkins as code: read by Helm, then by the configuration plugin, then by Groovy."""

    casc = VALUES["jenkins"]["controller"]["JCasC"]["configScripts"]
    credentials = yaml.safe_load(casc["credentials"])
    script = yaml.safe_load(casc["jobs"])["jobs"][0]["script"]

    def test_neither_reader_before_groovy_takes_anything_out(self) -> None:
        assert "{{" not in self.casc["jobs"] + self.casc["credentials"]
        assert "${" not in self.script

    def test_credentials_come_from_a_secret_and_are_those_that_are_used(self) -> None:
        keys = {
            f"{one['name']}-{one['keyName']}" for one in VALUES["jenkins"]["controller"]["additionalExistingSecrets"]
        }
        assert set(re.findall(r"\$\{([\w-]+)\}", self.casc["credentials"])) == keys
        listed = self.credentials["credentials"]["system"]["domainCredentials"][0]["credentials"]
        entries = [entry for one in listed for entry in one.values()]
        given = [entry[key] for entry in entries for key in ("username", "password", "secret") if key in entry]
        assert all(re.fullmatch(r"\$\{[\w-]+\}", value) for value in given)
        ids = {entry["id"] for entry in entries}
        assert set(re.findall(r"credentialsId: '(\w+)'", self.script)) == ids

    def test_the_script_is_whole(self) -> None:
        """Brackets outside of strings and comments fit together."""
        text = re.sub(r"^\s*(//|#).*$", "", self.script.replace("\\'\\'\\'", ""), flags=re.MULTILINE)
        text = re.sub(r"'(?!'')[^'\n]*'", "''", text.replace("'''", "").replace('"""', ""))
        stack = []
        for sign in text:
            if sign in "({[":
                stack.append(sign)
            elif sign in ")}]":
                assert stack, "closes nothing"
                assert stack.pop() + sign in ("()", "{}", "[]")
        assert stack == []

    def test_the_pipeline_pushes_and_then_asks_pilotage_in_its_own_words(self) -> None:
        stages = re.findall(r"stage\('(\w+)'\)", self.script)
        assert stages == ["checkout", "build", "push", "deploy"]
        assert self.script.index("docker push") < self.script.index("/api/v1/runs")
        calls = document()
        assert "post" in calls["paths"]["/api/v1/runs"]
        assert "get" in calls["paths"]["/api/v1/runs/{run_id}"]
        body = re.search(r"json: \[(.*?)\]", self.script)
        assert body
        wanted = set(re.findall(r"(\w+):", body[1]))
        assert (
            wanted == {"app", "environment", "image"} <= set(calls["components"]["schemas"]["StartRun"]["properties"])
        )
        answered = set(re.findall(r"\brun\.(\w+)", self.script)) | set(re.findall(r"\bstarted\.(\w+)", self.script))
        assert answered <= set(calls["components"]["schemas"]["RunDetail"]["properties"])
        assert "Idempotency-Key: jenkins-$APP-$BUILD_NUMBER" in self.script

    def test_the_image_says_of_which_commit_it_is(self) -> None:
        """Else Pilotage refuses to use it once it builds itself."""
        built = re.search(r"docker build[^\n]* --label \"([\w.]+)=\$REVISION\"", self.script)
        assert built
        assert built[1] == REVISION_LABEL
        assert "env.REVISION = sh(script: 'git rev-parse HEAD', returnStdout: true).trim()" in self.script
        page = (ROOT / "docs/how-to/move-from-jenkins.md").read_text(encoding="utf-8")
        assert f'--label "{REVISION_LABEL}=$(git rev-parse HEAD)"' in page

    def test_no_secret_is_an_argument(self) -> None:
        assert "--password-stdin" in self.script
        assert not re.search(r"curl[^\n]*\$PILOTAGE_TOKEN", self.script)
        assert not re.search(r"--password[ =]", self.script)

    def test_its_jobs_are_apps_of_pilotage(self) -> None:
        jobs = re.search(r"\[(.*?)\]\.each", self.script)
        assert jobs
        config = read(CHARTS / "environments/pilotage/values.yaml")["config"]
        assert set(re.findall(r"'([\w-]+)'", jobs[1])) == {app["name"] for app in config["apps"]}


def test_the_robot_that_is_made_may_do_what_that_of_the_stand_in_may() -> None:
    page = (ROOT / "docs/how-to/install-the-platform.md").read_text(encoding="utf-8")
    body = next(one for one in re.findall(r"/robots\" --data '(.*?)'\n", page, re.DOTALL) if '"pilotage"' in one)
    access = [one for part in json.loads(body)["permissions"] for one in part["access"]]
    rights = {f"{one['resource']}:{one['action']}" for one in access}
    assert {right.replace("repository:pu", "pu") for right in rights} - {"project:read"} == DEFAULT_RIGHTS
