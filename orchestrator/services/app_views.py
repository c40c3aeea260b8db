"""How apps and their environments are shown: what Pilotage did there, and apart from that what is there now. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.domain.apps import App, Environment, Settings
from orchestrator.domain.refs import Reference
from orchestrator.domain.runs import Run, RunState, StageName
from orchestrator.domain.wording import Say, english, sentence
from orchestrator.services.glance_views import Seen, argo_view, git_view
from orchestrator.services.views import View, argocd_url, rfc3339
from orchestrator.store.polls import Poll
from orchestrator.store.rows import moment
from orchestrator.store.unread import Unread

Hold = tuple[str, str, float | None]
"""Why, by whom, since when (seconds)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentStatus:
    """What is known of one environment.

    :param last: its newest run. :param landed: the run whose change is the newest in Git. :param judged: the same,
        among those of which it turned out whether they are healthy. :param deployed: the same, among those that are.
    :param hold: why, by whom, since when (seconds).
    :param git: what Git said last, and :param argocd: Argo CD.
    """

    last: Run | None = None
    deployed: Run | None = None
    landed: Run | None = None
    judged: Run | None = None
    hold: Hold | None = None
    git: Seen = field(default_factory=Seen)
    argocd: Seen = field(default_factory=Seen)


def app_view(
    app: App,
    settings: Settings,
    statuses: Mapping[str, EnvironmentStatus],
    now: datetime,
    say: Say = english,
    poll: Poll | None = None,
    unread: Unread | None = None,
) -> View:
    """Show an app and what is known of its environments.

    :param statuses: by name. :param say: the language of sentences. :param poll: the last one that was asked for.
    :param unread: that its branches could not be compared when the poll looked last.
    """
    return {
        "name": app.name,
        "repo": app.source.url,
        "image": f"{settings.registry.host}/{app.image}",
        "environments": [
            _environment_view(env, settings, statuses.get(env.name, EnvironmentStatus()), now, say)
            for env in app.environments
        ],
        "poll": None if poll is None else poll_view(poll),
        "unread": None if unread is None else {"since": rfc3339(moment(unread.since)), "problem": unread.problem},
    }


def poll_view(poll: Poll) -> View:
    """Show when the branches of an app were to be compared, and what came of it."""
    return {
        "asked_at": rfc3339(moment(poll.asked_at)),
        "asked_by": poll.asked_by,
        "done_at": rfc3339(moment(poll.done_at)),
        **{name: poll.facts.get(name, []) for name in ("branches", "missing", "runs")},
        "problem": poll.facts.get("problem", ""),
    }


def _environment_view(
    env: Environment, settings: Settings, status: EnvironmentStatus, now: datetime, say: Say
) -> View:
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
        "git_now": git_view(status.git, settings, env, now, say),
        "argocd_now": argo_view(status.argocd, env, now, say),
        "last_run": None if status.last is None else _summary_view(status.last, say),
        "in_git": None if status.landed is None else _in_git_view(status.landed, status.judged, say),
        "deployed": None if status.deployed is None else deployed_view(status.deployed),
        "hold": None if status.hold is None else hold_view(status.hold),
    }


def hold_view(hold: Hold) -> View:
    """Show why an environment is on hold."""
    why, by, since = hold
    return {"reason": why, "by": by, "since": rfc3339(moment(since))}


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
    by = run.author or run.actor
    return {"run": run.id, "commit": run.commit, "by": by, "image": run.image, "tag": tag, "digest": run.digest}
