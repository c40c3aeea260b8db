"""How runs, deliveries and apps are shown: plain dicts, the same for API, pages and streams.

Pure: domain values in, JSON values out. Times are RFC 3339 in UTC with ``Z``, durations seconds.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from orchestrator.domain.apps import Environment, Settings
from orchestrator.domain.refs import repo_key
from orchestrator.domain.runs import Run, Stage, StageName, StageState, closed
from orchestrator.domain.wording import Say, english, next_step, sentence, who_acts
from orchestrator.store.rows import moment

View = dict[str, Any]


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
        "who_acts": who_acts(run),
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
        "worked_seconds": run.worked_seconds,
        "waited_seconds": run.waited_seconds,
        "waiting_since": rfc3339(run.waits_since),
    }
