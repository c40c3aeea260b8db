"""Traces, with a real collector on loopback: whatever touches a run tells of it, and it all becomes one trace."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator import tracing
from orchestrator.cli.broker import embedded
from orchestrator.domain.errors import Refused
from orchestrator.domain.events import Delivery, Push, RefChange, RefKind, RepoNames
from orchestrator.domain.masking import Mask
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import StageName
from orchestrator.services.bell import Bell
from orchestrator.services.ingest import Ingest
from orchestrator.services.outbox import Outbox
from orchestrator.store import runs
from orchestrator.tracing import Trace
from tests.support.collector import Collector, collector
from tests.support.contracts import ROOT
from tests.support.databases import sqlite_database
from tests.support.ingesting import accept
from tests.support.journals import Logged
from tests.support.waiting import until
from tests.support.worker import QUEUE, running, settings_of
from workers.application import make_celery
from workers.messenger import Messenger
from workers.tasks import LOOK

REPO = RepoNames(full_name="acme/plate-web", urls=("https://git.example.com/acme/plate-web.git",))
MOVE = RefChange(
    ref="refs/heads/main", kind=RefKind.BRANCH, name="main", before="f" * 40, after="a" * 40, commit="a" * 40
)
AT = datetime(2026, 11, 26, 4, 0, 0, 123456, UTC)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    with collector() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        yield made
        tracing.stop()


def send(found: Collector) -> None:
    tracing.stop()
    assert set(found.requests) == {"/v1/traces"}


@pytest.mark.slow
def test_a_run_is_one_trace_of_what_all_processes_tell(tmp_path: Path, found: Collector, logged: Logged) -> None:
    database, settings = sqlite_database(tmp_path), settings_of(tmp_path)
    tracing.start()
    with embedded(tmp_path) as broker, running(tmp_path, broker.redis_url) as process:
        push = Push(event="push", repo=REPO, changes=(MOVE,))
        answer = accept(Ingest(database, settings, Bell("")), Delivery(hook="github", key="d-1"), push)
        (run_id,) = answer.body["runs"]
        make_celery(broker.celery_url).send_task(LOOK, args=[run_id], queue=QUEUE, ignore_result=True)
        until(lambda: bool(found.named("run")), "the root span")
        process.terminate()
        assert process.wait(30) == 0
    Messenger(settings.channels[0], Outbox(database), Mask(())).once(threading.Event())
    send(found)

    with database.read() as connection:
        run = runs.load(connection, run_id)
    database.close()
    assert run is not None
    assert {span.trace for span in found.spans} == {Trace(run_id, run.created_at).id}
    (root,) = [span for span in found.spans if not span.parent]
    assert (root.name, root.process, root.attributes["pilotage.outcome"]) == (
        "run",
        "pilotage worker-build",
        "succeeded",
    )
    assert len({span.id for span in found.spans}) == len(found.spans)
    stages = {span.attributes["pilotage.stage"]: span for span in found.spans if span.name.startswith("stage ")}
    assert list(stages) == [stage.value for stage in StageName]
    above = {root.id: "run"} | {span.id: name for name, span in stages.items()}
    assert sorted((span.name, above[span.parent]) for span in found.spans if span is not root) == sorted(
        [("delivery", "run"), ("notification", "run")]
        + [(f"stage {stage}", "run") for stage in StageName]
        + [("look", stage.value) for stage in StageName]
    )
    assert all(root.begun <= span.begun for span in stages.values())
    assert all(span.ended <= root.ended for span in stages.values())
    assert {line.get("trace_id") for line in logged.of("notification postponed") + logged.of("run queued")} == {
        root.trace
    }
    assert f'"trace_id":"{root.trace}"' in (tmp_path / "worker.log").read_text()


def test_what_failed_and_what_is_inside_another(found: Collector) -> None:
    trace = Trace(7, AT)
    tracing.start()
    with tracing.span("look", trace, "commit") as span:
        with tracing.inner("gitops push", changes=2):
            pass
        span.note(outcome="done", reason=None)
    tracing.record("run", trace, AT, AT + timedelta(seconds=90), key=tracing.ROOT, failed="build_failed")
    send(found)

    (look,), (push,), (run,) = found.named("look"), found.named("gitops push"), found.named("run")
    assert (look.parent, push.parent, run.parent) == (trace.span_id("commit"), look.id, "")
    assert (run.id, run.failed, run.ended - run.begun) == (trace.span_id("run"), "build_failed", 90 * 10**9)
    assert look.attributes == {"pilotage.run": 7, "pilotage.outcome": "done"}


def test_of_what_went_wrong_inside_only_its_kind_is_told(found: Collector) -> None:
    tracing.start()
    with (
        pytest.raises(Refused),
        tracing.span("look", Trace(7, AT), "commit"),
        tracing.inner("gitops push", changes=2),
    ):
        raise Refused(Reason.GITOPS_REFUSED, "remote: the token hunter2-hunter2 may not push")
    send(found)

    for span in found.spans:
        assert span.failed == "Refused"
        assert "hunter2" not in span.text


def test_a_sampled_run_is_sampled_as_a_whole(found: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    tracing.start()
    for number in range(40):
        with tracing.span("look", Trace(number, AT), "build"):
            pass
        tracing.record("run", Trace(number, AT), AT, AT, key=tracing.ROOT)
    send(found)

    roots, looks = ({span.trace for span in found.named(name)} for name in ("run", "look"))
    assert roots == looks
    assert 0 < len(roots) < 40


@pytest.mark.parametrize(
    ("environ", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_SERVICE_NAME": "deploys"}, False),
    ],
)
def test_what_switches_traces_on(environ: dict[str, str], on: bool, logged: Logged) -> None:
    assert tracing.wanted(environ) is on
    assert logged.lines == []


@pytest.mark.parametrize(
    ("environ", "detail"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "there is no exporter zipkin here, only otlp"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTLP is spoken as http/protobuf only, not as grpc",
        ),
    ],
)
def test_what_cannot_be_sent_is_said_once_and_harms_nothing(
    environ: dict[str, str], detail: str, logged: Logged
) -> None:
    tracing.start(environ)
    assert not tracing.is_on()
    assert [line["detail"] for line in logged.of("traces not sent")] == [detail]


def test_a_missing_extra_is_said_once_and_harms_nothing(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    tracing.start({"OTEL_TRACES_EXPORTER": "otlp"})
    with tracing.span("look", Trace(1, AT)) as span, tracing.inner("gitops push"):
        span.note(outcome="done")
    assert not tracing.is_on()
    (line,) = logged.of("traces not sent")
    assert line["detail"].startswith("the extra `otel` is not installed")


@pytest.mark.parametrize(("name", "value"), [("OTEL_BSP_MAX_QUEUE_SIZE", "256"), ("OTEL_BSP_SCHEDULE_DELAY", "0")])
def test_a_variable_that_opentelemetry_does_not_take_is_said_once_and_harms_nothing(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    monkeypatch.setenv(name, value)
    tracing.start({"OTEL_TRACES_EXPORTER": "otlp"})
    assert not tracing.is_on()
    (line,) = logged.of("traces not sent")
    assert line["detail"].startswith("a variable of OpenTelemetry is wrong: ")


def test_a_collector_that_is_gone_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(tracing, "FLUSH", 0.2)
    tracing.start()
    with tracing.span("look", Trace(1, AT)):
        pass
    tracing.stop()
    assert not tracing.is_on()


def test_nothing_is_loaded_where_nobody_asks_for_traces() -> None:
    script = """
import sys
import workers.tasks, workers.relay, workers.messenger, webhooks.app, orchestrator.web.app
from orchestrator import tracing
tracing.start()
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "[]\n"
