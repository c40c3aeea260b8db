"""The calls of API v1: runs, apps and deliveries. Each view takes the request and answers; the table is below."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from orchestrator.domain.runs import Run
from orchestrator.services.control import ManualRun
from orchestrator.services.queries import Page
from orchestrator.services.tokens import Role
from orchestrator.services.views import accepted_view
from orchestrator.web import answers, dora, health, inputs, logs, metrics, models
from orchestrator.web.calls import Asked, Call, carry_out, to_json
from orchestrator.web.problems import Problem

V1 = "/api/v1"
RUN = f"{V1}/runs/<int(max={models.MAX_ID}):run_id>"
ENVIRONMENT = f"{V1}/apps/<app>/environments/<environment>"


def list_runs(asked: Asked) -> Response:
    """Answer with runs, newest first."""
    query: inputs.RunsQuery = asked.query
    page = asked.site.queries.runs(
        app=query.app or "",
        environment=query.environment or "",
        state=query.state or "",
        commit=query.commit or "",
        limit=query.limit,
        before=query.cursor,
        base=asked.site.base(),
    )
    return _listed(asked, page)


def get_run(asked: Asked, run_id: int) -> Response:
    """Answer with one run."""
    view = asked.site.queries.run(run_id, base=asked.site.base())
    if view is None:
        raise _no_run(run_id)
    return to_json(view)


def start_run(asked: Asked) -> Response:
    """Start a manual run."""
    body: inputs.StartRun = asked.body
    manual = ManualRun(
        app=body.app,
        environment=body.environment,
        ref=body.ref or "",
        commit=body.commit or "",
        image=body.image or "",
        actor=asked.actor,
    )
    return carry_out(asked, lambda once: asked.site.control.start(manual, once=once), _of_run(asked))


def rerun(asked: Asked, run_id: int) -> Response:
    """Start a new run for the same commit."""
    stage = str(asked.body.from_)
    return carry_out(
        asked, lambda once: asked.site.control.rerun(run_id, asked.actor, stage, once=once), _of_run(asked)
    )


def cancel_run(asked: Asked, run_id: int) -> Response:
    """Ask a run to stop."""
    return carry_out(asked, lambda once: asked.site.control.cancel(run_id, asked.actor, once=once), _of_run(asked))


def approve_run(asked: Asked, run_id: int) -> Response:
    """Approve a run that waits for it."""
    return carry_out(asked, lambda once: asked.site.control.approve(run_id, asked.actor, once=once), _of_run(asked))


def list_apps(asked: Asked) -> Response:
    """Answer with every app and what runs where."""
    queries = asked.site.queries
    return to_json({"items": queries.apps(), "stray_holds": queries.stray_holds(), "next": None})


def get_app(asked: Asked, app: str) -> Response:
    """Answer with one app and what runs where."""
    view = asked.site.queries.app(app)
    if view is None:
        raise Problem(404, "not-found", f"There is no app `{app}` in the configuration.")
    return to_json(view)


def hold_environment(asked: Asked, app: str, environment: str) -> Response:
    """Stop deploys to an environment."""
    reason = asked.body.reason or "no reason given"
    return carry_out(
        asked,
        lambda once: asked.site.control.hold(app, environment, reason, asked.actor, once=once),
        lambda _: {"app": app, "environment": environment, "hold": reason},
    )


def release_environment(asked: Asked, app: str, environment: str) -> Response:
    """Let deploys go on."""
    return carry_out(
        asked,
        lambda once: asked.site.control.release(app, environment, once=once),
        lambda _: {"app": app, "environment": environment, "hold": None},
    )


def promote_environment(asked: Asked, app: str, environment: str) -> Response:
    """Bring what is proven in the environment before to this one."""
    return carry_out(
        asked,
        lambda once: asked.site.control.promote(app, environment, asked.actor, once=once),
        _of_run(asked),
    )


def roll_back_environment(asked: Asked, app: str, environment: str) -> Response:
    """Bring back what an earlier run has proven."""
    to: int | None = asked.body.to
    return carry_out(
        asked,
        lambda once: asked.site.control.rollback(app, environment, asked.actor, to, once=once),
        _of_run(asked),
    )


def poll_app(asked: Asked, app: str) -> Response:
    """Have the branches of an app compared now."""
    return carry_out(asked, lambda once: asked.site.control.poll(app, asked.actor, once=once), lambda _: {"app": app})


def list_deliveries(asked: Asked) -> Response:
    """Answer with deliveries, newest first."""
    query: inputs.DeliveriesQuery = asked.query
    page = asked.site.queries.deliveries(
        hook=query.hook or "", outcome=query.outcome or "", limit=query.limit, before=query.cursor
    )
    return _listed(asked, page)


def get_delivery(asked: Asked, delivery_id: int) -> Response:
    """Answer with one delivery."""
    view = asked.site.queries.delivery(delivery_id)
    if view is None:
        raise Problem(404, "not-found", f"There is no delivery {delivery_id}.")
    return to_json(view)


def _of_run(asked: Asked) -> Any:
    base = asked.site.base()

    def word(run: Run | None) -> Mapping[str, Any]:
        return accepted_view(run, base) if run else {}

    return word


def _listed(asked: Asked, page: Page) -> Response:
    headers = {}
    if page.next is not None:
        query = urlencode({**request.args, "cursor": page.next})
        headers["Link"] = f'<{asked.site.base()}{request.path}?{query}>; rel="next"'
    return to_json({"items": page.items, "next": page.next}, headers=headers)


def _no_run(run_id: int) -> Problem:
    return Problem(404, "not-found", f"There is no run {run_id}.")


VIEWER, DEPLOYER = Role.VIEWER, Role.DEPLOYER
GET, POST = "GET", "POST"

# method, rule, view, role and what it is; the roles of all calls can be read down one column.
CALLS: tuple[Call, ...] = (
    Call(method=GET, rule=f"{V1}/runs", view=list_runs, role=VIEWER, tag="runs",
         summary="List runs, newest first", query=inputs.RunsQuery, answer=answers.RunPage),
    Call(method=POST, rule=f"{V1}/runs", view=start_run, role=DEPLOYER, tag="runs",
         summary="Start a manual run", body=inputs.StartRun, answer=answers.Accepted, status=202, problems=(404,)),
    Call(method=GET, rule=RUN, view=get_run, role=VIEWER, tag="runs",
         summary="Show a run", answer=answers.RunDetail),
    Call(method=POST, rule=f"{RUN}/rerun", view=rerun, role=DEPLOYER, tag="runs",
         summary="Repeat a run that is over", body=inputs.Rerun, answer=answers.Accepted, status=202),
    Call(method=POST, rule=f"{RUN}/cancel", view=cancel_run, role=DEPLOYER, tag="runs",
         summary="Ask a run to stop", body=inputs.Nothing, answer=answers.Accepted, status=202),
    Call(method=POST, rule=f"{RUN}/approve", view=approve_run, role=DEPLOYER, tag="runs",
         summary="Approve a run that waits for it", body=inputs.Nothing, answer=answers.Accepted, status=202),
    Call(method=GET, rule=f"{RUN}/logs", view=logs.get_log, role=VIEWER, tag="runs",
         summary="Read or follow the log of a run", query=inputs.LogQuery, media=logs.MEDIA, problems=(406, 429)),
    Call(method=GET, rule=f"{V1}/apps", view=list_apps, role=VIEWER, tag="apps",
         summary="List apps with what runs where", answer=answers.AppList),
    Call(method=GET, rule=f"{V1}/apps/<app>", view=get_app, role=VIEWER, tag="apps",
         summary="Show an app with what runs where", answer=answers.AppView),
    Call(method=POST, rule=f"{V1}/apps/<app>/poll", view=poll_app, role=DEPLOYER, tag="apps",
         summary="Look for pushes whose hook was lost, now", body=inputs.Nothing, answer=answers.PollAsked,
         status=202),
    Call(method=POST, rule=f"{ENVIRONMENT}/hold", view=hold_environment, role=DEPLOYER, tag="apps",
         summary="Stop deploys to an environment", body=inputs.Hold, answer=answers.HoldState, status=202),
    Call(method=POST, rule=f"{ENVIRONMENT}/release", view=release_environment, role=DEPLOYER, tag="apps",
         summary="Let deploys go on", body=inputs.Nothing, answer=answers.HoldState, status=202),
    Call(method=POST, rule=f"{ENVIRONMENT}/promote", view=promote_environment, role=DEPLOYER, tag="apps",
         summary="Bring what is proven in the environment before to this one",
         body=inputs.Nothing, answer=answers.Accepted, status=202),
    Call(method=POST, rule=f"{ENVIRONMENT}/rollback", view=roll_back_environment, role=DEPLOYER, tag="apps",
         summary="Bring back what an earlier run has proven, by a new commit",
         body=inputs.Rollback, answer=answers.Accepted, status=202),
    Call(method=GET, rule=f"{V1}/deliveries", view=list_deliveries, role=VIEWER, tag="deliveries",
         summary="List deliveries, newest first", query=inputs.DeliveriesQuery, answer=answers.DeliveryPage),
    Call(method=GET, rule=f"{V1}/deliveries/<int(max={models.MAX_ID}):delivery_id>", view=get_delivery, role=VIEWER,
         tag="deliveries", summary="Show a delivery", answer=answers.DeliveryView),
    Call(method=GET, rule=f"{V1}/dora", view=dora.get_dora, role=VIEWER, tag="apps",
         summary="Show how often, how fast and how safely changes are deployed",
         query=dora.DoraQuery, answer=dora.Dora),
    Call(method=GET, rule="/healthz", view=health.get_health, role=None, tag="health",
         summary="Tell that the process answers", answer=answers.Health),
    Call(method=GET, rule="/readyz", view=health.get_readiness, role=None, tag="health",
         summary="Tell whether anything that we need is missing", query=health.ReadyQuery,
         answer=answers.Ready, problems=(503,)),
    Call(method=GET, rule="/metrics", view=metrics.get_metrics, role=None, tag="health",
         summary="Figures for Prometheus", media=(metrics.METRICS_TYPE,), problems=(503,)),
)  # fmt: skip
