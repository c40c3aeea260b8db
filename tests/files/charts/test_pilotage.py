"""The chart of Pilotage: what is peculiar to it. What holds for every chart is in `test_charts.py`."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.cli import COMMANDS
from orchestrator.config import check_text
from orchestrator.domain.runs import QUEUES
from orchestrator.heartbeat import SERVICES
from tests.support.charts import Case, cases, rendered, resources
from tests.support.pilotage_chart import (
    CHART,
    LEAST,
    case,
    config,
    config_text,
    container,
    kinds,
    named,
    notes,
    refusal,
    render,
    sources,
)
from tests.support.pod_rules import containers, pods

OURS = [pytest.param(one, id=str(one)) for one in cases() if one.chart == CHART]
COMPONENTS = ["relay", "web", "webhooks", "worker-build", "worker-deploy"]


@pytest.mark.parametrize("one", OURS)
def test_the_configuration_is_one_that_pilotage_takes(one: Case) -> None:
    found = resources("helm4", one)
    values = {
        "DATABASE_URL": "postgresql://pilotage@db/pilotage",
        "BROKER_URL": "redis://redis:6379/0",
        "DB_PASSWORD": "0123456789abcdef",
    }
    for component in COMPONENTS:
        given = {
            entry["name"]: "https://example.com/0123456789abcdef" for entry in container(found, component)["env"]
        }
        checked = check_text(config_text(found), {**given, **values}, Path("/etc/pilotage"))
        assert [str(problem) for problem in checked.problems] == []


def test_what_is_missing_is_named_all_at_once(tmp_path: Path) -> None:
    said = refusal(tmp_path, {}, Case(CHART))
    for key in ("externalURL", "image.repository", "config.registry", "config.apps", "builder.remote.host"):
        assert f"\n{key}: " in said


@pytest.mark.parametrize(("values", "said"), [
    ({"worker": {"replicaz": 2}}, "replicaz"),
    ({"config": {"registry": {"urll": "x"}}}, "urll"),
    ({"web": {"resources": {"limitz": {}}}}, "limitz"),
    ({"web": {"pod": {"nodeSelektor": {}}}}, "nodeSelektor"),
    ({"builder": {"mode": "socket"}}, "/builder/mode"),
    ({"externalURL": "pilotage.example.com"}, "/externalURL"),
    ({"externalURL": "https://tools.example.com/a//b"}, "/externalURL"),
    ({"config": {"server": {"bind": "0.0.0.0:80"}}}, "config.server.bind: leave it out"),
    ({"config": {"server": {"external_url": "https://x.example.com"}}}, "set externalURL"),
    ({"config": {"docker": {"host": "tcp://docker:2375"}}}, "config.docker: leave it out; set builder"),
    ({"builder": {"remote": {"host": ""}}}, "builder.remote.host: "),
    ({"worker": {"build": {"autoscaling": {"mode": "keda"}}}}, "keda.serverAddress: "),
    ({"worker": {"build": {"autoscaling": {"mode": "hpa", "minReplicas": 0}}}}, "only keda goes down to 0"),
    ({"credentials": {"existingSecret": ""}}, "credentials.from.HARBOR_PASSWORD"),
    ({"config": {"apps": [{"name": "x", "build": {"timeout": "1 week"}}]}}, '"1 week" is not a length of time'),
    ({"config": {"apps": [{"name": "x", "build": {"timeout": "${T:-1h}"}}]}}, "GracePeriodSeconds: set it; "),
])  # fmt: skip
def test_values_that_cannot_work_are_refused_by_name(tmp_path: Path, values: dict[str, Any], said: str) -> None:
    assert said in refusal(tmp_path, values)


def test_a_credential_comes_from_the_first_place_that_has_it(tmp_path: Path) -> None:
    credentials = {
        "existingSecret": "all",
        "from": {
            "HARBOR_PASSWORD": {"existingSecret": "robot", "key": "secret"},
            "GITOPS_TOKEN": {"existingSecret": "gitops"},
            "ARGOCD_TOKEN": {"existingSecret": "unused"},
        },
        "values": {"ARGOCD_TOKEN": "plain"},
    }
    found = render(tmp_path, {"credentials": credentials})
    for component in COMPONENTS:
        places = sources(container(found, component))
        assert places["HARBOR_PASSWORD"] == ("robot", "secret")
        assert places["GITOPS_TOKEN"] == ("gitops", "GITOPS_TOKEN")
        assert places["ARGOCD_TOKEN"] == ("release-name-pilotage", "ARGOCD_TOKEN")
        assert places["SESSION_KEY"] == ("all", "SESSION_KEY")
    assert named(found, "Secret", "pilotage")["stringData"] == {"ARGOCD_TOKEN": "plain"}


def test_only_real_references_need_a_credential(tmp_path: Path) -> None:
    server = {"database": "$${NOT}", "broker": "${A:-redis://redis}", "session_key": "${file:/run/key}"}
    known = dict.fromkeys(("HARBOR_PASSWORD", "GITOPS_TOKEN", "ARGOCD_TOKEN", "GITHUB_SECRET"), "x")
    values = {
        "config": {"server": server, "apps": [{"name": "x", "token": "${GIVEN}"}]},
        "credentials": {"existingSecret": "", "values": known},
        "extraEnv": [{"name": "GIVEN", "value": "x"}],
    }
    found = render(tmp_path, values)
    assert sources(container(found, "web")).keys() == known.keys()


@pytest.mark.parametrize("one", OURS)
def test_every_process_runs_a_command_that_exists(one: Case) -> None:
    for _, pod in pods(resources("helm4", one)):
        for part in containers(pod):
            args = part.get("args", [])
            if args and part["name"] != "engine":
                assert args[0] in COMMANDS
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                command = part.get(probe, {}).get("exec", {}).get("command", [])
                if command[:1] == ["pilotage"]:
                    assert command[1] in COMMANDS
                    assert command[2] in SERVICES
            if args[:2] == ["worker", "--queue"]:
                assert args[2] in QUEUES


@pytest.mark.parametrize("one", OURS)
@pytest.mark.parametrize("component", ["web", "webhooks"])
def test_only_who_reaches_the_database_gets_requests(one: Case, component: str) -> None:
    part = container(resources("helm4", one), component)
    probed = {name: part[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert probed == {"startup": "/healthz", "readiness": "/readyz?only=database", "liveness": "/healthz"}


@pytest.mark.parametrize(("timeouts", "own", "grace"), [
    ([None], None, 1860),
    ([90], None, 150),
    (["45m", "1.5h"], None, 5460),
    ([None, "20m"], None, 1860),
    (["1d"], 300, 300),
    ([None], 0, 0),
])  # fmt: skip
def test_a_build_worker_may_finish_the_longest_build(
    tmp_path: Path, timeouts: list[Any], own: int | None, grace: int
) -> None:
    apps = [{"name": f"app-{n}", "build": {} if t is None else {"timeout": t}} for n, t in enumerate(timeouts)]
    found = render(
        tmp_path,
        {"config": {"apps": apps}, "worker": {"build": {"terminationGracePeriodSeconds": own}}},
    )
    spec = named(found, "Deployment", "-worker-build")["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] == grace


def test_nodes_can_be_drained_where_there_is_one_pod_and_are_drained_one_by_one_elsewhere(tmp_path: Path) -> None:
    single = {"webhooks": {"replicas": 1}, "worker": {"deploy": {"replicas": 1}}}
    assert kinds(render(tmp_path, single), "PodDisruptionBudget") == []
    assert kinds(render(tmp_path), "PodDisruptionBudget") == ["webhooks", "worker-deploy"]
    assert kinds(resources("helm4", case("full")), "PodDisruptionBudget") == [
        "relay",
        "web",
        "webhooks",
        "worker-deploy",
    ]


def test_who_is_scaled_by_something_else_has_no_number_of_pods_here() -> None:
    found = resources("helm4", case("full"))
    counted = [one for one in COMPONENTS if "replicas" in named(found, "Deployment", f"-{one}")["spec"]]
    assert counted == ["relay", "worker-deploy"]


@pytest.mark.parametrize(("mode", "host"), [
    ("minimal", "tcp://docker.build.example.com:2376"),
    ("dind", "unix:///engine/docker.sock"),
    ("dind-rootless", "unix:///engine/docker.sock"),
])  # fmt: skip
def test_only_the_build_worker_has_an_engine(mode: str, host: str) -> None:
    found = resources("helm4", LEAST if mode == "minimal" else case(mode))
    hosts = {}
    for component in COMPONENTS:
        env = {entry["name"]: entry.get("value") for entry in container(found, component)["env"]}
        hosts[component] = env.get("DOCKER_HOST")
        sidecars = named(found, "Deployment", f"-{component}")["spec"]["template"]["spec"].get("initContainers", [])
        assert bool(sidecars) == (component == "worker-build" and mode != "minimal")
    assert hosts == {**dict.fromkeys(COMPONENTS), "worker-build": host}


@pytest.mark.parametrize("mode", ["dind", "dind-rootless"])
def test_the_engine_ends_after_its_worker_and_has_no_port(mode: str) -> None:
    found = resources("helm4", case(mode))
    (engine,) = named(found, "Deployment", "-worker-build")["spec"]["template"]["spec"]["initContainers"]
    assert engine["restartPolicy"] == "Always"
    assert engine["args"][:2] == ["dockerd", "--host=unix:///engine/docker.sock"]
    assert not [arg for arg in engine["args"] if "tcp:" in arg]
    assert (engine["securityContext"]["runAsUser"] == 0) == (mode == "dind")


@pytest.mark.parametrize(("mode", "group", "data"), [
    ("dind", "--group=10001", "/var/lib/docker"),
    # in the engine's user namespace, 0 is the pod's group 1000; it may change no volume's root, which is not its own
    ("dind-rootless", "--group=0", "/images"),
])  # fmt: skip
def test_the_engine_may_use_its_volume_and_the_worker_its_socket(mode: str, group: str, data: str) -> None:
    found = resources("helm4", case(mode))
    (engine,) = named(found, "Deployment", "-worker-build")["spec"]["template"]["spec"]["initContainers"]
    (images,) = [mount["mountPath"] for mount in engine["volumeMounts"] if mount["name"] == "images"]
    roots = [arg.partition("=")[2] for arg in engine["args"] if arg.startswith("--data-root=")]
    assert images == data
    assert group in engine["args"]
    assert roots == ([f"{data}/docker"] if mode == "dind-rootless" else [])


def test_a_worker_may_use_the_socket_of_an_engine_that_is_not_root(tmp_path: Path) -> None:
    own = {"podSecurityContext": {"supplementalGroups": [7]}}
    found = render(tmp_path, own, case("dind-rootless"))
    groups = {
        one: named(found, "Deployment", f"-{one}")["spec"]["template"]["spec"]["securityContext"][
            "supplementalGroups"
        ]
        for one in COMPONENTS
    }
    assert groups == {one: [7, 1000] if one == "worker-build" else [7] for one in COMPONENTS}


def test_a_change_of_the_configuration_restarts_the_pods_and_nothing_else_does(tmp_path: Path) -> None:
    def sums(values: dict[str, Any]) -> set[str]:
        found = render(tmp_path, values)
        return {
            pod["metadata"]["annotations"]["checksum/config"] for owner, pod in pods(found) if owner["kind"] != "Pod"
        }

    before = sums({})
    assert len(before) == 1
    assert sums({"web": {"replicas": 3}, "ingress": {"enabled": True}}) == before
    assert sums({"config": {"server": {"poll_interval": "1m"}}}).isdisjoint(before)
    assert sums({"credentials": {"values": {"ARGOCD_TOKEN": "new"}}}).isdisjoint(before)


def test_the_migration_runs_first_with_all_that_it_reads(tmp_path: Path) -> None:
    found = render(tmp_path, {"credentials": {"values": {"ARGOCD_TOKEN": "plain"}}})
    hooks = {
        one["kind"]: int(one["metadata"]["annotations"]["helm.sh/hook-weight"])
        for one in found
        if one["metadata"].get("annotations", {}).get("helm.sh/hook") == "pre-install,pre-upgrade"
    }
    assert hooks["ConfigMap"] < hooks["Job"]
    assert hooks["Secret"] < hooks["Job"]
    spec = named(found, "Job", "-migrate")["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "default"
    read = {volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume}
    assert read == {"release-name-pilotage-migrate"}
    assert sources(spec["containers"][0])["ARGOCD_TOKEN"][0] == "release-name-pilotage-migrate"
    copy = named(found, "ConfigMap", "-migrate")["data"]
    assert copy == named(found, "ConfigMap", "release-name-pilotage")["data"]


@pytest.mark.parametrize(("values", "hosts"), [
    ({}, {"": ("pilotage.example.com", ["/webhooks/", "/"], "release-name-pilotage-tls")}),
    ({"externalURL": "http://pilotage.test:8080/"}, {"": ("pilotage.test", ["/webhooks/", "/"], None)}),
    ({"webhookURL": "https://hooks.example.com", "ingress": {"webhooks": {"tlsSecret": "hooks"}}}, {
        "": ("pilotage.example.com", ["/"], "release-name-pilotage-tls"),
        "webhooks": ("hooks.example.com", ["/webhooks/"], "hooks"),
    }),
    ({"externalURL": "http://pilotage.test/a/b/"}, {"": ("pilotage.test", ["/a/b/webhooks/", "/a/b"], None)}),
    ({"externalURL": "http://pilotage.test/a", "webhookURL": "http://pilotage.test/ci"}, {
        "": ("pilotage.test", ["/a"], None), "webhooks": ("pilotage.test", ["/ci/webhooks/"], None),
    }),
])  # fmt: skip
def test_the_addresses_decide_about_the_ingress(
    tmp_path: Path, values: dict[str, Any], hosts: dict[str, tuple[str, list[str], str | None]]
) -> None:
    found = render(tmp_path, {**values, "ingress": {"enabled": True, **values.get("ingress", {})}})
    assert kinds(found, "Ingress") == sorted(hosts)
    for name, (host, paths, secret) in hosts.items():
        spec = named(found, "Ingress", name or "release-name-pilotage")["spec"]
        assert spec["rules"][0]["host"] == host
        assert [path["path"] for path in spec["rules"][0]["http"]["paths"]] == paths
        assert [tls["secretName"] for tls in spec.get("tls", [])] == ([secret] if secret else [])


def test_followed_logs_are_not_held_back_by_the_ingress(tmp_path: Path) -> None:
    annotations = named(render(tmp_path, {"ingress": {"enabled": True}}), "Ingress")["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    assert int(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"]) >= 600


def test_the_chart_adds_what_the_configuration_leaves_out(tmp_path: Path) -> None:
    assert config(render(tmp_path))["server"] == {
        "bind": "0.0.0.0:8480",
        "external_url": "https://pilotage.example.com",
        "database": "${DATABASE_URL}",
        "broker": "${BROKER_URL}",
        "session_key": "${SESSION_KEY}",
    }
    own = {"config": {"server": {"broker": "redis://own:6379/0", "poll_interval": "1m"}}}
    server = config(render(tmp_path, own))["server"]
    assert (server["broker"], server["poll_interval"]) == ("redis://own:6379/0", "1m")


def test_the_notes_say_what_to_do_next_and_no_secret(tmp_path: Path) -> None:
    said = notes(tmp_path, base=case("trial"))
    assert "http://pilotage.localtest.me/webhooks/github" in said
    assert "github (secret): key GITHUB_SECRET of the Secret release-name-pilotage\n" in said
    assert "pilotage doctor" in said
    assert said.count("WARNING") == 2
    plain = yaml.safe_load((CHART / "ci/trial.yaml").read_text())["credentials"]["values"]
    assert not [name for name, value in plain.items() if value in said]


def test_the_notes_know_the_host_of_the_webhooks(tmp_path: Path) -> None:
    said = notes(tmp_path, base=case("full"))
    assert "https://hooks.example.com/webhooks/gitlab\n" in said
    assert "gitlab (token): key gitlab of the Secret hooks\n" in said
    assert "WARNING" not in said


def test_the_plain_values_are_in_their_secret_alone() -> None:
    text = rendered("helm4", case("trial"))
    assert text.count("trial-harbor") == 1


def test_every_policy_lets_through_what_its_process_needs_and_the_internet_reaches_two() -> None:
    found = resources("helm4", case("full"))
    assert kinds(found, "NetworkPolicy") == sorted([*COMPONENTS, "migrate", "test"])
    open_to = [name for name in COMPONENTS if "ingress" in named(found, "NetworkPolicy", f"-{name}")["spec"]]
    assert open_to == ["web", "webhooks"]
    far = [name for name in COMPONENTS if "169.254.169.254/32" in str(named(found, "NetworkPolicy", f"-{name}"))]
    assert far == ["relay", "worker-build", "worker-deploy"]
    assert 2376 in [
        port["port"] for port in named(found, "NetworkPolicy", "-worker-build")["spec"]["egress"][2]["ports"]
    ]


def test_more_may_be_let_through_for_every_process() -> None:
    found = resources("helm4", case("full"))  # a rule for 10.0.0.0/8
    all_of_them = (*COMPONENTS, "migrate", "test")
    more = [name for name in all_of_them if "10.0.0.0/8" in str(named(found, "NetworkPolicy", f"-{name}"))]
    assert more == [*COMPONENTS, "migrate"]


def test_an_external_metric_is_of_builds_that_run_and_that_are_due() -> None:
    (scaler,) = [one for one in resources("helm4", case("dind")) if one["kind"] == "HorizontalPodAutoscaler"]
    (metric,) = scaler["spec"]["metrics"]
    assert metric["external"]["metric"]["selector"] == {
        "matchLabels": {"queue": "build"},
        "matchExpressions": [{"key": "state", "operator": "In", "values": ["ready", "running"]}],
    }
