"""The web on a real SQLite database, with a token for each role and runs in any state."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.serving import make_server

from orchestrator.domain.apps import Settings
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Run, RunState, StageName, StageState, Trigger
from orchestrator.engine.taking_back import taken_back
from orchestrator.services import tokens
from orchestrator.services.bell import Bell
from orchestrator.services.control import Control
from orchestrator.store import logs, runs
from orchestrator.store.database import Database
from orchestrator.web.answers import ProblemView
from orchestrator.web.app import create_app
from orchestrator.web.streams import Streams
from tests.support.factories import make_app, make_environment, make_settings

AT = 1_764_000_000.0
"""When the runs of these tests were accepted."""
ENVIRONMENTS = (make_environment(), make_environment("prod", branch="", promote_from="stg", approval=True))


class CompiledTemplates(BytecodeCache):
    """Keeps what templates were compiled to: each test has an app of its own, which would compile them anew."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give back what the same text was compiled to."""
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what a text was compiled to."""
        self._codes[bucket.key, bucket.checksum] = bucket.code


_TEMPLATES = CompiledTemplates()


@dataclass
class Web:
    """A database, the app over it, and a token for each role."""

    database: Database
    settings: Settings
    streams: Streams = field(default_factory=Streams)
    app: Flask = field(init=False)
    tokens: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        bell = Bell("")
        control = Control(self.database, self.settings, bell)
        self.app = create_app(
            database=self.database, settings=self.settings, control=control, bell=bell, streams=self.streams
        )
        self.app.jinja_env.bytecode_cache = _TEMPLATES
        self.tokens = {role: tokens.create(self.database, f"{role}-token", role) for role in tokens.Role}

    def client(self, role: str = "deployer") -> FlaskClient:
        """A client that sends the token of `role` ("" = none)."""
        client = self.app.test_client()
        if role:
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {self.tokens[role]}"
        return client

    def browser(self, role: str = "deployer") -> FlaskClient:
        """A client that logged in on the page."""
        client = self.app.test_client()
        answer = client.post("/login", data={"token": self.tokens[role]}, headers={"Sec-Fetch-Site": "same-origin"})
        assert answer.status_code == 303
        return client

    def run(self, state: RunState = RunState.QUEUED, **fields: Any) -> int:
        """Put a run there, in a state; `fields` are those of a run."""
        with self.database.write() as connection:
            new = runs.NewRun(app="plate-web", environment="stg", trigger=Trigger.PUSH, commit="a" * 40)
            born = ("app", "environment", "trigger", "actor", "rerun_of", "attempt")
            born_with = {name: fields.pop(name) for name in born if name in fields}
            run_id = runs.add(connection, [(replace(new, **born_with), None)], AT)[0]
            before = runs.load(connection, run_id)
            assert before is not None
            runs.save(connection, before, in_state(before, state, **fields))
        return run_id

    def change(self, run_id: int, state: RunState, **fields: Any) -> None:
        """Move a run to a state."""
        with self.database.write() as connection:
            before = runs.load(connection, run_id)
            assert before is not None
            runs.save(connection, before, in_state(before, state, **fields))

    def note_taken_back(self, run_id: int, by: int) -> None:
        """Note in a failed run which one goes back."""
        with self.database.write() as connection:
            before = runs.load(connection, run_id)
            assert before is not None
            runs.save(connection, before, taken_back(before, by))

    def log(self, run_id: int, *lines: str, stage: str = "build") -> None:
        """Append lines to the log of a run."""
        with self.database.write() as connection:
            logs.append(connection, run_id, stage, list(lines), AT)


def in_state(run: Run, state: RunState, **fields: Any) -> Run:
    """Return the run in a state, with a first stage that fits.

    :param landed: seconds until its change was in Git. :param waited: until a worker began.
    """
    landed, waited = fields.pop("landed", None), fields.pop("waited", 1)
    reasons = {
        RunState.SUCCEEDED: Reason.HEALTHY,
        RunState.FAILED: Reason.BUILD_FAILED,
        RunState.CANCELLED: Reason.CANCELLED,
    }
    reason = fields.pop("reason", reasons.get(state, Reason.RUNNING if state is RunState.RUNNING else Reason.QUEUED))
    started = None if state is RunState.QUEUED else datetime.fromtimestamp(AT + waited, UTC)
    finished = datetime.fromtimestamp(AT + waited + 59, UTC) if state.final else None
    first = replace(
        run.stages[0], state=StageState(state.value), reason=reason, started_at=started, finished_at=finished
    )
    stages = (first, *run.stages[1:])
    if landed is not None:
        at = datetime.fromtimestamp(AT + landed, UTC)
        there = replace(run.stage(StageName.COMMIT), state=StageState.SUCCEEDED, reason=Reason.DONE, finished_at=at)
        stages = tuple(there if stage.name is StageName.COMMIT else stage for stage in stages)
    return replace(run, state=state, reason=reason, started_at=started, finished_at=finished, stages=stages, **fields)


def with_receipt(run: Run, receipt: Mapping[str, Any]) -> Run:
    """Return the run with the proof of its deploy."""
    stages = [
        replace(stage, outputs={"receipt": dict(receipt)}) if stage.name is StageName.HEALTH else stage
        for stage in run.stages
    ]
    return replace(run, stages=tuple(stages))


def make_web(database: Database, folder: Path, *, streams: Streams | None = None, **fields: Any) -> Web:
    """Make the web over `database`; `fields` are those of the settings."""
    settings = make_settings(str(folder), **({"apps": (make_app(environments=ENVIRONMENTS),)} | fields))
    return Web(database=database, settings=settings, streams=streams or Streams())


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve `app` on loopback with a thread for each request; yields its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    server.daemon_threads = True  # type: ignore[attr-defined]
    server.log = lambda *_: None  # type: ignore[method-assign,assignment]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def problem(answer: Any, status: int, kind: str) -> dict[str, Any]:
    """Check that an answer is a whole problem of this kind; return it."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    body: dict[str, Any] = json.loads(answer.data)
    ProblemView.model_validate(body)
    assert body["type"] == f"urn:pilotage:problem:{kind}"
    assert (body["status"], body["instance"]) == (status, answer.request.path)
    assert body["request_id"] == answer.headers["X-Request-Id"]
    return body
