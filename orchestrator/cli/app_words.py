"""How the commands show an app: one row of the list for each environment, and all that is known of one."""

from orchestrator.cli import summary
from orchestrator.cli.api import Json
from orchestrator.cli.output import one_line, warn

_UNHAPPY = ("waiting", "failed", "cancelled")


def warn_of_unread(app: Json) -> None:
    """Say, beside the answer, that the branches of an app could not be read, since when and why."""
    unread = app.get("unread")
    if isinstance(unread, dict):
        said = f"pushes without a hook go unnoticed since {one_line(unread.get('since'))}"
        warn(f"{one_line(app.get('name'))}: {said}: {one_line(unread.get('problem'))}")


def details(env: Json) -> dict[str, str]:
    """Return what is known of an environment: its name in the answer, and the words; "" where nothing is."""
    git, argo, hold, last = (env.get(name) or {} for name in ("git_now", "argocd_now", "hold", "last_run"))
    return {
        "in git now": _joined(_git_now(git), _set_by(git), _seen(git)),
        "argo cd now": _joined(_argocd_now(argo), _live(argo), _seen(argo)),
        "committed": _joined(_brought(env.get("in_git")), _since(env.get("in_git"))),
        "proven healthy": _joined(_brought(env.get("deployed")), _since(env.get("deployed"))),
        "last run": f"{last.get('id')} {summary.state_words(last)}" if last else "",
        "hold": f"by {one_line(hold.get('by'))}: {one_line(hold.get('reason'))}" if hold else "",
        "why": _why(env),
    }


def _set_by(git: Json) -> str:
    if not git.get("commit"):
        return ""
    run = f" by run {git['run']}" if git.get("run") else ""
    return f"commit {one_line(git['commit'])[:12]}{run}, {one_line(git.get('since'))}"


def _live(argo: Json) -> str:
    tags = ", ".join(one_line(tag) for tag in argo.get("live") or ())
    return _joined("a sync is under way" if argo.get("syncing") else "", f"live {tags}" if tags else "")


def _seen(now: Json) -> str:
    """Say when it was seen and, where it may be otherwise by now, what was seen and why."""
    was = ", ".join(filter(None, (one_line(now.get(name)) for name in ("value", "health", "sync"))))
    then = "" if now.get("current") or not was else f"was {was}"
    seen = f"seen {one_line(now.get('seen_at'))}" if now.get("seen_at") else ""
    return _joined(then, seen, one_line(now.get("trouble")))


def _since(thing: object) -> str:
    if not isinstance(thing, dict):
        return ""
    by = f"by {one_line(thing.get('by'))}" if thing.get("by") else ""
    return _joined(by, one_line(thing.get("since")))


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))


def row(app: Json, env: Json) -> tuple[object, ...]:
    """Return the cells of an environment in the list of apps."""
    last, held, in_git = env.get("last_run"), env.get("hold"), env.get("in_git")
    run = f"{last.get('id')} {summary.state_words(last)}" if isinstance(last, dict) else ""
    hold = one_line(held.get("reason") or "yes") if isinstance(held, dict) else ""
    doubt = "" if not isinstance(in_git, dict) or in_git.get("proven") else ", not proven"
    names = app.get("name"), env.get("name")
    now = _git_now(env.get("git_now")), _argocd_now(env.get("argocd_now"))
    return *names, *now, _brought(in_git) + doubt, _brought(env.get("deployed")), run, hold, _why(env)


def _git_now(git: object) -> str:
    """Say what Git has: ``sha-0123456789ab``, with what is odd about it."""
    if not isinstance(git, dict) or not git.get("current"):
        return "unknown"
    whose = f", by {one_line(git.get('author'))}, not by Pilotage" if git.get("by_pilotage") is False else ""
    return one_line(git.get("value"))[:80] + whose


def _argocd_now(argo: object) -> str:
    """Say what Argo CD says: ``Healthy, Synced``."""
    if not isinstance(argo, dict) or not argo.get("current"):
        return "unknown"
    return ", ".join(filter(None, (one_line(argo.get("health")), one_line(argo.get("sync")))))


def _brought(thing: object) -> str:
    """Name what a run brought: ``sha-0123456789ab (run 4)``."""
    if not isinstance(thing, dict):
        return ""
    name = one_line(thing.get("tag")) or one_line(thing.get("commit") or thing.get("digest"))[:19]
    return f"{name} (run {thing.get('run')})"


def _why(env: Json) -> str:
    """Say what is wrong with the version in Git; if nothing is, why the last run did not succeed."""
    in_git, last = env.get("in_git"), env.get("last_run")
    verdict = in_git.get("verdict") if isinstance(in_git, dict) and not in_git.get("proven") else None
    if isinstance(verdict, dict):
        return summary.why(verdict)
    return summary.why(last) if isinstance(last, dict) and last.get("state") in _UNHAPPY else ""
