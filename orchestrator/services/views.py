"""How runs, deliveries and apps are shown: plain dicts, the same for API, pages and streams.

Pure: domain values in, JSON values out. Times are RFC 3339 in UTC with ``Z``, durations seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from orchestrator.domain.apps import App, Environment, Settings
from orchestrator.domain.reasons import explain
from orchestrator.domain.refs import Reference, repo_key
from orchestrator.domain.runs import Run, RunState, Stage, StageName, StageState, closed
from orchestrator.domain.wording import Say, english, next_step, sentence
from orchestrator.store.rows import moment

View = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentStatus:
    """What is known of one environment.

    :param last: its newest run. :param deployed: the newest that succeeded.
    :param landed: the run whose change is the newest in Git. :param judged: the same, among those of which it turned
        out whether they are healthy. :param hold: why, by whom, since when (seconds).
    """

    last: Run | None = None
    deployed: Run | None = None
    landed: Run | None = None
    judged: Run | None = None
    hold: tuple[str, str, float | None] | None = None


def run_view(
    run: Run,
    settings: Settings,
    *,
    base: str | None = None,
    attempts: Sequence[int] | None = None,
    notifications: Sequence[Mapping[str, Any]] | None = None,
    say: Say = english,
) -> View:
    """Show a run.

    :param base: address in front of our own links; default: the configured ``external_url``.
    :param attempts: ids of all attempts, and :param notifications: rows of the store; both only in the detail view.
    :param say: the language of sentences.
    """
    explanation = explain(run.reason)
    base = settings.external_url if base is None else base
    view: View = {
        "id": run.id,
        "app": run.app,
        "environment": run.environment,
        "state": run.state.value,
        "reason": run.reason.value,
        "detail": run.detail,
        "sentence": sentence(run.reason, run.detail, say),
        "next_step": next_step(run, say),
        "who_acts": explanation.actor.value,
        **_origin(run),
        **_links(run, settings, base),
        **_times(run),
        "stages": [stage_view(stage, say) for stage in _stages(run)],
        "receipt": run.stage(StageName.HEALTH).outputs.get("receipt"),
    }
    if attempts is not None:
        view["attempts"] = list(attempts)
    if notifications is not None:
        view["notifications"] = [notification_view(row) for row in notifications]
    return view


def accepted_view(run: Run, base: str) -> View:
    """Show the run that an accepted request led to."""
    return {
        "id": run.id,
        "url": f"{base}/runs/{run.id}",
        "api_url": f"{base}/api/v1/runs/{run.id}",
        "state": run.state.value,
        "attempt": run.attempt,
    }


def stage_view(stage: Stage, say: Say = english) -> View:
    """Show one stage of a run."""
    return {
        "name": stage.name.value,
        "state": stage.state.value,
        "reason": stage.reason.value,
        "detail": stage.detail,
        "sentence": "" if _has_nothing_to_say(stage) else sentence(stage.reason, stage.detail, say),
        "attempt": stage.attempt,
        "reused": stage.reused,
        "started_at": rfc3339(stage.started_at),
        "finished_at": rfc3339(stage.finished_at),
        "seconds": stage.seconds,
    }


def notification_view(row: Mapping[str, Any]) -> View:
    """Show one notification of a run, sent or not."""
    names = ("channel", "type", "state", "detail")
    return {name: row[name] for name in names} | {"sent_at": rfc3339(moment(row["sent_at"]))}


def delivery_view(row: Mapping[str, Any], runs: Sequence[int]) -> View:
    """Show what arrived at a webhook and what became of it. `runs`: the runs that it made."""
    names = ("id", "hook", "key", "event", "outcome", "reason", "detail", "repo", "actor", "remote", "size", "sha256")
    return {
        **{name: row[name] for name in names},
        "changes": [{"ref": one.get("ref", ""), "commit": one.get("commit")} for one in row["changes"]],
        "runs": sorted({*row["runs"], *runs}),
        "received_at": rfc3339(moment(row["received_at"])),
    }


def app_view(app: App, settings: Settings, statuses: Mapping[str, EnvironmentStatus], say: Say = english) -> View:
    """Show an app and what is known of its environments. `statuses`: by name. `say`: the language of sentences."""
    return {
        "name": app.name,
        "repo": app.source.url,
        "image": f"{settings.registry.host}/{app.image}",
        "environments": [
            _environment_view(env, settings, statuses.get(env.name, EnvironmentStatus()), say)
            for env in app.environments
        ],
    }


def argocd_url(settings: Settings, env: Environment) -> str:
    """Return the address of an environment's page in Argo CD."""
    folder = f"{quote(env.app_namespace)}/" if env.app_namespace else ""
    return f"{settings.argocd.url.rstrip('/')}/applications/{folder}{quote(env.argocd)}"


def commit_url(repository: str, commit: str) -> str:
    """Return the forge's page of a commit, or "" where the repository's address does not tell."""
    parts = urlsplit(repository)
    if not commit or parts.scheme not in ("http", "https"):
        return ""
    host_and_path = repo_key(repository) if parts.port is None else f"{parts.netloc.rpartition('@')[2]}{parts.path}"
    return f"{parts.scheme}://{host_and_path.removesuffix('/').removesuffix('.git')}/commit/{quote(commit)}"


def rfc3339(at: datetime | None) -> str | None:
    """Format a time: ``2024-05-06T07:08:09.123Z``."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _stages(run: Run) -> tuple[Stage, ...]:
    """Return the stages; in rows of version 0.1.0 those that a run did not reach are still queued."""
    return closed(run.stages) if run.state.final else run.stages


def _has_nothing_to_say(stage: Stage) -> bool:
    """Tell whether the run has not come to the stage yet."""
    return stage.started_at is None and stage.state is StageState.QUEUED


def _origin(run: Run) -> View:
    return {
        "trigger": run.trigger.value,
        "ref": run.ref,
        "commit": run.commit,
        "title": run.title,
        "author": run.author,
        "actor": run.actor,
        "approved_by": run.approved_by,
        "approved_at": rfc3339(run.approved_at),
        "image": run.image,
        "digest": run.digest,
        "attempt": run.attempt,
        "rerun_of": run.rerun_of,
        "superseded_by": run.superseded_by,
        "blocked_by": run.blocked_by,
        "taken_back_by": run.taken_back_by,
        "delivery": run.delivery_id,
    }


def _links(run: Run, settings: Settings, base: str) -> View:
    app = settings.app(run.app)
    env = app.environment(run.environment) if app else None
    return {
        "gitops_commit": str(run.outputs.get("gitops_commit") or ""),
        "argocd_url": argocd_url(settings, env) if env else "",
        "url": f"{base}/runs/{run.id}",
        "api_url": f"{base}/api/v1/runs/{run.id}",
    }


def _times(run: Run) -> View:
    return {
        "created_at": rfc3339(run.created_at),
        "started_at": rfc3339(run.started_at),
        "finished_at": rfc3339(run.finished_at),
        "seconds": run.seconds,
    }


def _environment_view(env: Environment, settings: Settings, status: EnvironmentStatus, say: Say) -> View:
    hold = status.hold
    return {
        "name": env.name,
        "branch": env.branch,
        "tag": env.tag,
        "values": env.values,
        "key": env.key,
        "argocd": env.argocd,
        "argocd_url": argocd_url(settings, env),
        "promote_from": env.promote_from,
        "approval": env.approval,
        "last_run": None if status.last is None else _summary_view(status.last, say),
        "in_git": None if status.landed is None else _in_git_view(status.landed, status.judged, say),
        "deployed": None if status.deployed is None else deployed_view(status.deployed),
        "hold": None if hold is None else {"reason": hold[0], "by": hold[1], "since": rfc3339(moment(hold[2]))},
    }


def _summary_view(run: Run, say: Say) -> View:
    return {
        "id": run.id,
        "state": run.state.value,
        "reason": run.reason.value,
        "sentence": sentence(run.reason, run.detail, say),
    }


def _in_git_view(run: Run, judged: Run | None, say: Say) -> View:
    """Show what is in Git, and how the newest run of this very image turned out."""
    verdict = judged if judged is not None and judged.image == run.image else None
    return _brought_view(run) | {
        "gitops_commit": str(run.outputs.get("gitops_commit") or ""),
        "since": rfc3339(run.stage(StageName.COMMIT).finished_at),
        "proven": verdict is not None and verdict.state is RunState.SUCCEEDED,
        "verdict": None if verdict is None else _summary_view(verdict, say),
    }


def deployed_view(run: Run) -> View:
    """Show what a run that succeeded brought to its environment."""
    return _brought_view(run) | {"since": rfc3339(run.finished_at)}


def _brought_view(run: Run) -> View:
    """Show what a run brings to its environment."""
    image = Reference.parse(run.image)
    tag = "" if image.digest else image.tag
    return {"run": run.id, "commit": run.commit, "image": run.image, "tag": tag, "digest": run.digest}
