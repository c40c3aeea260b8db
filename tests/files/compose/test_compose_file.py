"""docker-compose.yml, .env.example and the Dockerfile: what must hold for every service, read from the files."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.cli.init import fill, starter
from orchestrator.domain import durations
from orchestrator.sandbox.wiring import COMPOSE
from workers.stages import commit

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
FILE = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = ("migrate", "web", "webhooks", "relay", "worker-build", "worker-deploy")
DEMO = ("sandbox", "door-build", "door-deploy")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
ODD = 'robot$a+b $HOME $$ #"`\\n'
"""A value with everything that a program between .env and the container could take for something else."""
VOLUMES = [volume for service in SERVICES.values() for volume in service.get("volumes", [])]
MOUNTS = [volume for volume in VOLUMES if isinstance(volume, str)]
every_service = pytest.mark.parametrize("name", SERVICES)


def test_the_services_are_those_of_the_product_and_two_profiles() -> None:
    profiles = {name: service.get("profiles", []) for name, service in SERVICES.items()}

    assert {name for name, found in profiles.items() if not found} == {*OURS, "redis", "postgres"}
    assert {name for name, found in profiles.items() if found == ["demo"]} == set(DEMO)
    assert {name for name, found in profiles.items() if found == ["observability"]} == {
        "prometheus",
        "alertmanager",
        "grafana",
        "fluentd",
        "elasticsearch",
        "kibana",
    }


@every_service
def test_ports_are_bound_to_this_machine(name: str) -> None:
    ports = SERVICES[name].get("ports", [])

    assert [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)] == []


def test_no_port_is_bound_twice() -> None:
    bound = [port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", [])]

    assert sorted(set(bound)) == sorted(bound)


@pytest.mark.parametrize("name", ["worker-build", "worker-deploy"])
def test_a_worker_that_is_told_to_end_may_land_what_it_is_pushing(name: str) -> None:
    assert seconds(SERVICES[name]["stop_grace_period"]) > commit.DEADLINE


def test_a_pod_that_is_told_to_end_may_land_what_it_is_pushing() -> None:
    chart = yaml.safe_load((ROOT / "charts/pilotage/values.yaml").read_text(encoding="utf-8"))

    assert chart["worker"]["deploy"]["terminationGracePeriodSeconds"] > commit.DEADLINE


def seconds(text: str) -> float:
    """Read a length of time of a Compose file: `2m30s`."""
    return sum(durations.seconds(part) for part in re.findall(r"\d+\D+", text))


@every_service
def test_a_healthcheck_holds_nothing_that_compose_would_fill_in(name: str) -> None:
    check = SERVICES[name]["healthcheck"]

    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert "$" not in " ".join(check["test"])
    assert {"interval", "timeout", "retries"} <= check.keys()


@every_service
def test_what_ends_is_started_again_and_its_log_is_bounded(name: str) -> None:
    service = SERVICES[name]

    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
    assert {"max-size", "max-file"} <= service["logging"]["options"].keys()


@every_service
def test_a_start_waits_for_a_condition_of_each_service_that_it_needs(name: str) -> None:
    needs = SERVICES[name].get("depends_on", {})

    assert isinstance(needs, dict)
    assert needs or name in ("redis", "postgres")
    for other, condition in needs.items():
        wanted = "service_completed_successfully" if other == "migrate" else ("service_healthy", "service_started")
        assert condition["condition"] in wanted
        assert set(SERVICES[other].get("profiles", [])) <= set(SERVICES[name].get("profiles", []))


@pytest.mark.parametrize("name", OURS + DEMO)
def test_our_processes_have_no_rights(name: str) -> None:
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "user" not in service


def test_the_engines_socket_is_for_the_builder_and_the_demo_alone() -> None:
    with_socket = {name for name, service in SERVICES.items() if "docker.sock" in str(service.get("volumes", ""))}

    assert with_socket == {"worker-build", "sandbox"}


@every_service
def test_an_image_is_pinned_by_its_version(name: str) -> None:
    image = SERVICES[name]["image"]

    tag = re.sub(r"\$\{\w+:-(.*)\}", r"\1", image).rpartition(":")[2]
    assert re.match(r"v?\d", tag), image
    if name in OURS + DEMO:
        assert tag == VERSION


def test_volumes_are_named_and_declared() -> None:
    mounts = [mount.rsplit(":/", 1)[0] for mount in MOUNTS]

    named = {mount for mount in mounts if re.fullmatch(r"[a-z]+", mount)}
    assert named == set(FILE["volumes"])
    assert [mount for mount in mounts if not re.match(r"[a-z]+$|\./|\$\{", mount)] == []


def test_files_that_are_mounted_are_there() -> None:
    mounts = [mount.split(":")[0] for mount in MOUNTS]

    made = {"./charts/pilotage/rules", "./charts/pilotage/dashboards"}
    assert [one for one in mounts if one.startswith("./") and one not in made and not (ROOT / one).exists()] == []


def test_the_configuration_is_mounted_as_it_is_or_not_at_all() -> None:
    written_out = [volume for volume in VOLUMES if not isinstance(volume, str)]

    assert written_out == len(OURS) * [
        {
            "type": "bind",
            "source": "./pilotage.yaml",
            "target": "/etc/pilotage/pilotage.yaml",
            "read_only": True,
        }
    ]


def test_every_variable_is_in_the_example() -> None:
    required = dict(re.findall(r"(?<!\$)\$\{(\w+):\?([^}]+)\}", TEXT))
    others = set(re.findall(r"(?<!\$)\$\{(\w+)(?!\w|:\?)", TEXT)) - {"VAR"}
    example = dict(re.findall(r"^(\w+)='(.*)'$", starter("env"), re.MULTILINE))

    # What `pilotage init` always writes, and what it writes only where it finds the engine's socket.
    made = dict.fromkeys(("POSTGRES_PASSWORD", "REDIS_PASSWORD", "GRAFANA_PASSWORD"), "run: pilotage init")
    found = {"DOCKER_GID": "set it in .env to what this prints: stat -c %g /var/run/docker.sock"}
    assert required == made | found
    assert required.keys() <= example.keys()
    assert [name for name in required if example[name]] == []
    assert others - example.keys() == {"PILOTAGE_IMAGE", "DOCKER_CONTAINERS"}  # those who want another way


def test_the_example_is_what_init_fills_in() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == starter("env")


def test_the_stand_ins_listen_where_the_file_publishes_them() -> None:
    inside = [int(port.split(":")[2]) for port in SERVICES["sandbox"]["ports"]]

    assert inside == [COMPOSE.forge, COMPOSE.harbor, COMPOSE.argocd, COMPOSE.chat]
    assert SERVICES["sandbox"]["ports"][1] == f"127.0.0.1:{COMPOSE.harbor}:{COMPOSE.harbor}"
    assert SERVICES["door-build"]["command"] == ["sandbox", "door", str(COMPOSE.harbor), COMPOSE.name]


def composes() -> list[Any]:
    """The versions of Docker Compose that are here."""
    found = {"1": shutil.which("docker-compose"), "2": os.environ.get("COMPOSE_V2")}
    missing = pytest.mark.skip(reason="not installed")
    return [pytest.param(path or "", id=f"compose-{v}", marks=[] if path else missing) for v, path in found.items()]


@pytest.mark.parametrize("compose", composes())
def test_compose_takes_the_file_and_keeps_what_single_quotes_hold(compose: str, tmp_path: Path) -> None:
    config = config_of(compose, tmp_path, {"HARBOR_PASSWORD": ODD})

    assert config["services"]["web"]["environment"]["HARBOR_PASSWORD"].replace("$$", "$") == ODD


@pytest.mark.parametrize("compose", composes())
def test_compose_says_what_to_do_when_a_secret_is_missing(compose: str, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        config_of(compose, tmp_path, {"REDIS_PASSWORD": ""})

    assert "REDIS_PASSWORD" in caught.value.stderr
    assert "run: pilotage init" in caught.value.stderr


def config_of(compose: str, folder: Path, values: dict[str, str]) -> Any:
    """What a version of Compose makes of the file and an .env with `values`."""
    (folder / "docker-compose.yml").write_text(TEXT, encoding="utf-8")
    needed = dict.fromkeys(("POSTGRES_PASSWORD", "REDIS_PASSWORD", "GRAFANA_PASSWORD", "DOCKER_GID"), "0")
    (folder / ".env").write_text(fill(starter("env"), {**needed, **values}), encoding="utf-8")
    command = [compose, "--profile", "demo", "--profile", "observability", "config"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True, text=True, timeout=60)
    return yaml.safe_load(done.stdout)


@pytest.mark.parametrize("line", ["# syntax=", "<<", "--mount", "HEALTHCHECK", "ADD "])
def test_the_dockerfile_keeps_to_what_both_builders_know(line: str) -> None:
    assert line not in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_the_dockerfile_gives_the_runtime_when_nothing_is_asked_for() -> None:
    stages = re.findall(r"^FROM (.*)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)

    assert stages == [
        "${PYTHON_IMAGE} AS build",
        "${PYTHON_IMAGE} AS runtime",
        "runtime AS sandbox",
        "runtime",
    ]
