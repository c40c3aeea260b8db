"""The app-of-apps: what Argo CD is told to manage is there, allowed, in order, and what Pilotage works on."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from orchestrator.domain.refs import repo_key
from tests.support.configs import ENVIRON, look
from tests.support.platform import (
    ARGOCD,
    CHARTS,
    GITOPS,
    ROOT,
    TOOLS,
    Json,
    named,
    read,
    resources,
    sources,
    value_files,
)
from workers.gitops import tracking
from workers.gitops.values import Edit, edit

ROOT_APPLICATION = read(ARGOCD / "app-of-apps.yaml")
APPLICATIONS = named("Application")
PROJECTS = named("AppProject")
PLATE = [f"{app}-{environment}" for app in ("plate-web", "plate-api") for environment in ("stg", "prod")]
TOOL_NAMES = sorted(folder.name for folder in TOOLS.iterdir())
WAVES = {"AppProject": -10, "Namespace": -10, "argocd": -5, "eck-operator": 0, "pilotage": 2}
VALUES = read(CHARTS / "environments/pilotage/values.yaml")
PILOTAGE = VALUES["config"]
SECRETS = {**ENVIRON, "SOURCE_TOKEN": "source-token"}
SETTINGS = look(yaml.safe_dump(PILOTAGE), SECRETS).settings
assert SETTINGS is not None
DEPLOYED = [
    pytest.param(app, environment, id=f"{app.name}-{environment.name}")
    for app in SETTINGS.apps
    for environment in app.environments
]


def wave(resource: Json) -> int:
    return int(resource["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])


def test_the_root_manages_the_folder_of_applications() -> None:
    source = ROOT_APPLICATION["spec"]["source"]
    assert source == {"repoURL": GITOPS, "targetRevision": "main", "path": "charts/environments/argocd/apps"}
    assert (ROOT / source["path"]).is_dir()
    assert ROOT_APPLICATION["spec"]["syncPolicy"]["automated"] == {
        "prune": True,
        "selfHeal": True,
        "allowEmpty": False,
    }


def test_there_is_an_application_for_everything_and_nothing_else() -> None:
    assert sorted(APPLICATIONS) == sorted([*PLATE, *TOOL_NAMES, "eck-operator", "pilotage"])
    files = {file.stem for file in (ARGOCD / "apps").glob("*.yaml")} - {"projects", "namespaces"}
    assert files == set(APPLICATIONS)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_an_application_may_do_what_it_says(name: str) -> None:
    application = APPLICATIONS[name]
    project = PROJECTS[application["spec"]["project"]]["spec"]
    assert application["metadata"]["namespace"] == "argocd"
    assert application["spec"]["destination"] in project["destinations"]
    assert {source["repoURL"] for source in sources(application)} <= set(project["sourceRepos"])


@pytest.mark.parametrize("name", APPLICATIONS)
def test_an_application_syncs_by_itself_and_gives_up_in_the_end(name: str) -> None:
    policy = APPLICATIONS[name]["spec"]["syncPolicy"]
    assert policy["automated"] == {"prune": True, "selfHeal": True}
    assert "CreateNamespace=true" in policy["syncOptions"]
    assert policy["retry"] == {"limit": 5, "backoff": {"duration": "10s", "factor": 2, "maxDuration": "3m"}}


@pytest.mark.parametrize("name", APPLICATIONS)
def test_every_path_is_there(name: str) -> None:
    for source in sources(APPLICATIONS[name]):
        if "chart" in source:
            assert re.fullmatch(r"\d+\.\d+\.\d+", source["targetRevision"]), "a chart is pinned to one version"
        else:
            assert (source["repoURL"], source["targetRevision"]) == (GITOPS, "main")
            if source.get("path"):
                assert (ROOT / source["path"] / "Chart.yaml").is_file(), source["path"]
    assert [file for file in value_files(APPLICATIONS[name]) if not file.is_file()] == []


@pytest.mark.parametrize("name", TOOL_NAMES)
def test_a_tool_is_a_public_chart_with_our_values(name: str) -> None:
    chart, values = sources(APPLICATIONS[name])
    assert chart["helm"]["releaseName"] == name
    assert TOOLS / name / "values.yaml" in list(value_files(APPLICATIONS[name]))
    assert values == {"repoURL": GITOPS, "targetRevision": "main", "ref": "values"}


def test_what_others_need_comes_before_them() -> None:
    for resource in resources():
        name = resource["metadata"]["name"]
        expected = WAVES.get(resource["kind"], WAVES.get(name, 3 if name in PLATE else None))
        assert expected is None or wave(resource) == expected, name
    assert wave(APPLICATIONS["eck-operator"]) < wave(APPLICATIONS["elasticsearch"])
    assert wave(APPLICATIONS["elasticsearch"]) < wave(APPLICATIONS["fluentd"])
    assert wave(APPLICATIONS["harbor"]) < wave(APPLICATIONS["pilotage"]) < wave(APPLICATIONS["plate-web-stg"])


def step(number: int) -> str:
    """Return a step of the page about the installation."""
    page = (ROOT / "docs/how-to/install-the-platform.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {number}\. .*?(?=^## )", page, re.MULTILINE | re.DOTALL)
    assert found
    return found[0]


def test_the_page_waits_for_nothing_that_a_later_step_brings() -> None:
    waited = re.search(r"^argocd app wait ([a-z -]+?) --timeout", step(4), re.MULTILINE)
    assert waited
    waves = {name: wave(APPLICATIONS[name]) for name in waited[1].split()}
    assert max(waves.values()) < wave(APPLICATIONS["pilotage"]), "Pilotage's Secret and image are made in step 6"
    assert set(waves) == {name for name, one in APPLICATIONS.items() if wave(one) == 1}


def test_pilotage_is_synced_when_its_secret_is_there() -> None:
    commands = re.findall(
        r"^(?:kubectl -n pilotage create secret|argocd app (?:sync|wait)) .*", step(6), re.MULTILINE
    )
    assert [command.split(" -")[0] for command in commands] == [
        "kubectl",
        "argocd app wait pilotage",
        "argocd app sync pilotage",
        "argocd app wait pilotage",
    ]


def test_waves_wait_for_each_other_only_with_a_health_of_applications() -> None:
    cm = read(TOOLS / "argocd/values.yaml")["configs"]["cm"]
    assert "resource.customizations.health.argoproj.io_Application" in cm


def test_removing_the_file_of_what_keeps_data_leaves_it_running() -> None:
    cascading = {name for name, one in APPLICATIONS.items() if one["metadata"].get("finalizers")}
    assert cascading == {"plate-web-stg", "plate-api-stg", "fluentd", "grafana", "kibana", "jenkins"}
    assert "finalizers" not in ROOT_APPLICATION["metadata"]


def test_the_applications_project_allows_what_their_charts_render_and_nothing_of_the_cluster() -> None:
    project = PROJECTS["plate"]["spec"]
    rendered = set()
    for template in (CHARTS / "applications").glob("*/templates/*.yaml"):
        text = template.read_text(encoding="utf-8")
        group = re.search(r"^apiVersion: (?:(.+)/)?\w+$", text, re.MULTILINE)
        kind = re.search(r"^kind: (\w+)$", text, re.MULTILINE)
        assert group, template
        assert kind, template
        rendered.add((group[1] or "", kind[1]))
    allowed = {(one["group"], one["kind"]) for one in project["namespaceResourceWhitelist"]}
    assert allowed == rendered | {("", "ConfigMap")}
    assert project["clusterResourceWhitelist"] == [{"group": "", "kind": "Namespace"}]


def test_the_namespaces_of_the_applications_refuse_unrestricted_pods() -> None:
    namespaces = named("Namespace")
    assert set(namespaces) == {one["namespace"] for one in PROJECTS["plate"]["spec"]["destinations"]}
    for one in namespaces.values():
        assert one["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        assert "Prune=false" in one["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]


def test_the_charts_of_the_applications_differ_in_their_values_only() -> None:
    web, api = (CHARTS / "applications" / name for name in ("plate-web", "plate-api"))
    same = [*(path.relative_to(web) for path in web.glob("templates/*")), "values.schema.json", ".helmignore"]
    assert len(same) > 8
    assert [str(name) for name in same if (web / name).read_bytes() != (api / name).read_bytes()] == []
    assert len(list(web.glob("templates/*"))) == len(list(api.glob("templates/*")))


def test_the_configuration_of_pilotage_passes_its_check() -> None:
    result = look(yaml.safe_dump(PILOTAGE), SECRETS)
    assert [str(problem) for problem in (*result.problems, *result.warnings)] == []


def test_the_chart_of_pilotage_takes_its_values() -> None:
    schema = json.loads((CHARTS / "pilotage/values.schema.json").read_text(encoding="utf-8"))
    assert [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(VALUES)] == []


def test_every_credential_is_in_the_secret_that_the_page_makes() -> None:
    page = (ROOT / "docs/how-to/install-the-platform.md").read_text(encoding="utf-8")
    block = re.search(r"create secret generic pilotage .*?\n(.*?)\nEOF", page, re.DOTALL)
    assert block
    made = set(re.findall(r"^(\w+)=", block[1], re.MULTILINE))
    named = set(re.findall(r"\$\{(\w+)\}", yaml.safe_dump(PILOTAGE)))
    assert made == named | {"DATABASE_URL", "BROKER_URL", "SESSION_KEY"}
    assert VALUES["credentials"]["existingSecret"] == "pilotage"
    assert VALUES["externalURL"].startswith("https://pilotage.")


def test_pilotage_knows_every_application_of_the_project() -> None:
    known = {environment.argocd for app in SETTINGS.apps for environment in app.environments}
    assert known == {name for name, one in APPLICATIONS.items() if one["spec"]["project"] == "plate"}
    assert {(e.name, bool(e.promote_from)) for app in SETTINGS.apps for e in app.environments} == {
        ("stg", False),
        ("prod", True),
    }


@pytest.mark.parametrize(("app", "environment"), DEPLOYED)
def test_what_pilotage_changes_is_what_argo_cd_reads(app, environment) -> None:
    application = APPLICATIONS[environment.argocd]
    image = f"{SETTINGS.registry.host}/{app.image}"
    assert tracking.tracks(application, SETTINGS.gitops, environment, image) is None
    assert application["spec"]["project"] == environment.project
    chart = ROOT / sources(application)[0]["path"]
    repository = read(chart / "values.yaml")["image"]["repository"]
    assert repository == f"{SETTINGS.registry.url.removeprefix('https://')}/{app.image}"


@pytest.mark.parametrize(("app", "environment"), DEPLOYED)
def test_pilotage_can_write_its_values(app, environment) -> None:
    content = (ROOT / environment.values).read_bytes()
    tag, digest = "sha-0123456789ab", f"sha256:{'0' * 64}"
    wanted = [Edit(path=environment.key, value=tag)]
    if environment.digest_key:
        wanted.append(Edit(path=environment.digest_key, value=digest))
    changed = edit(content, wanted)
    expected = {"tag": tag} | ({"digest": digest} if environment.digest_key else {})
    assert yaml.safe_load(changed.raw) == {**yaml.safe_load(content), "image": expected}


def test_a_rollout_is_given_up_before_pilotage_loses_patience() -> None:
    for app in SETTINGS.apps:
        deadline = read(CHARTS / f"applications/{app.name}/values.yaml")["progressDeadlineSeconds"]
        assert all(deadline < environment.health_timeout for environment in app.environments)


def test_the_placeholders_are_replaced_by_the_documented_commands(tmp_path: Path) -> None:
    page = (CHARTS / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- checked: placeholders -->\n *```sh\n(.*?)```", page, re.DOTALL)
    assert block
    shutil.copytree(CHARTS, tmp_path / "charts")
    subprocess.run(["sh", "-euc", block[1]], cwd=tmp_path, check=True, timeout=30)
    left = [
        file.relative_to(tmp_path).as_posix()
        for file in (tmp_path / "charts").rglob("*")
        if file.is_file() and file.suffix != ".md" and "example.com" in file.read_text(encoding="utf-8")
    ]
    assert left == []
    moved = yaml.safe_load((tmp_path / "charts/environments/argocd/app-of-apps.yaml").read_text(encoding="utf-8"))
    assert repo_key(moved["spec"]["source"]["repoURL"]) == "git.plate.test/platform/deployment"
