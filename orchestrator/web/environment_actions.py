"""The pages to deploy, hold, release, roll back and promote, which first say what will happen; and to poll."""

import hashlib
import secrets
from collections.abc import Callable, Mapping

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from orchestrator.domain.refs import is_safe_ref_name, is_sha
from orchestrator.domain.wording import worded
from orchestrator.services.control import ManualRun
from orchestrator.services.once import Once, Repeated
from orchestrator.services.tokens import Principal, Role
from orchestrator.services.views import View, accepted_view
from orchestrator.web.calls import Site
from orchestrator.web.models import MAX_ID
from orchestrator.web.problems import Problem

Answer = str | Response | WerkzeugResponse
ACTIONS: Mapping[str, str] = {
    "deploy": "Deploy",
    "hold": "Hold",
    "release": "Release",
    "rollback": "Roll back",
    "promote": "Promote",
}
"""What people can do with an environment."""
MAX_FORM = 16 * 1024
"""Bytes of a form."""
MAX_REASON = 500
"""Characters of the reason of a hold."""
MAX_WHAT = 256
"""Characters of a branch, a tag or a commit."""


class EnvironmentActions:
    """The pages that ask before an action, and that do it."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def ask(self, app: str, environment: str, action: str) -> Answer:
        """Say what an action would do, with the one button that does it."""
        who = self._site.guard.require(Role.DEPLOYER)
        env, others = (action == "release" and self._stray(app, environment)) or self._env(app, environment)
        target = None
        if action == "rollback":
            target = self._site.queries.rollback_target(app, environment)
        elif action == "promote" and env["promote_from"]:
            target = self._site.queries.promotion_target(app, env["promote_from"])
        return render_template(
            "act.html",
            who=who,
            app=app,
            env=env,
            followers=[other["name"] for other in others if other["promote_from"] == environment],
            action=action,
            branch=_branch_of(env),
            target=target,
            key=secrets.token_urlsafe(16),
            max_reason=MAX_REASON,
            max_what=MAX_WHAT,
        )

    def act(self, app: str, environment: str, action: str) -> Answer:
        """Do it, and show what came of it: the run, or the environment among the others."""
        who = self._site.guard.require(Role.DEPLOYER)
        request.max_content_length = MAX_FORM
        control = self._site.control
        if action == "hold":
            control.hold(app, environment, _reason(), who.name)
        elif action == "release":
            control.release(app, environment)
        else:
            deploys = action == "deploy"
            run = self._deploy(app, environment, who) if deploys else self._bring(app, environment, action, who)
            return redirect(url_for("pages.run", run_id=run), 303)
        return redirect(url_for("pages.apps", _anchor=f"{app}-{environment}"), 303)

    def poll(self, app: str) -> Answer:
        """Have the branches of an app compared now, and show the app, where what comes of it appears."""
        who = self._site.guard.require(Role.DEPLOYER)
        request.max_content_length = MAX_FORM
        self._site.control.poll(app, who.name)
        return redirect(url_for("pages.apps", _anchor=f"app:{app}"), 303)

    def _deploy(self, app: str, environment: str, who: Principal) -> int:
        """Start a run of the commit that a branch or tag has, or of the one that is named."""
        what = request.form.get("what", "").strip()
        source = {"commit": what} if is_sha(what) else {"ref": what}
        manual = ManualRun(app=app, environment=environment, actor=who.name, **source)
        return _one_run(who, what, lambda once: self._site.control.start(manual, once=once))

    def _bring(self, app: str, environment: str, action: str, who: Principal) -> int:
        """Start the run that brings the image that was shown."""
        run, control = _shown_run(), self._site.control
        start = control.rollback if action == "rollback" else control.promote
        return _one_run(who, str(run), lambda once: start(app, environment, who.name, run, once=once))

    def _stray(self, app: str, environment: str) -> tuple[View, list[View]] | None:
        """Read an environment that is on hold and no longer configured: it can be released; None: there is none."""
        for hold in self._site.queries.stray_holds():
            if (hold["app"], hold["environment"]) == (app, environment):
                return {"name": environment, "hold": hold}, []
        return None

    def _env(self, app: str, environment: str) -> tuple[View, list[View]]:
        """Read an environment and all those of its app."""
        shown = self._site.queries.app(app)
        envs = shown["environments"] if shown else []
        for env in envs:
            if env["name"] == environment:
                return dict(env), envs
        place = f"{app}/{environment}"
        text = worded("There is no environment {place} in the configuration.", place=place)
        raise Problem(404, "not-found", text)


def possible(app: View, env: View) -> list[str]:
    """Name the actions that are possible with an environment now, as far as the list of apps shows."""
    source = next((other for other in app["environments"] if other["name"] == env["promote_from"]), None)
    able = {
        "deploy": True,
        "hold": env["hold"] is None,
        "release": env["hold"] is not None,
        "rollback": env["deployed"] is not None,
        "promote": source is not None and source["deployed"] is not None,
    }
    return [action for action in ACTIONS if able[action]]


def _branch_of(env: View) -> str:
    """Return the branch that deploys to an environment; "" where that is none, or any of a pattern."""
    branch = env.get("branch") or ""
    return branch if is_safe_ref_name(branch) else ""


def _one_run(who: Principal, asked: str, start: Callable[[Once], int]) -> int:
    """Start what a form asks for; one that is sent twice starts one run. :param asked: what the form says."""
    key = request.form.get("key", "")[:100].replace("\0", "")
    once = Once(
        lambda made: accepted_view(made, "") if made else {},
        key=f"{who.id}:page:{key}" if key else "",
        request=hashlib.sha256(f"{request.path} {asked}".encode()).hexdigest(),
    )
    try:
        return start(once)
    except Repeated as earlier:
        return int(earlier.answer["id"])


def _reason() -> str:
    """Read why somebody holds an environment, as one line."""
    words = "".join(char if char.isprintable() else " " for char in request.form.get("reason", "")).split()
    return " ".join(words)[:MAX_REASON]


def _shown_run() -> int:
    """Read which run's image was shown to the person who asks. :raises Problem: 422, the form names none."""
    text = request.form.get("run", "")
    if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ID)) and 0 < int(text) <= MAX_ID:
        return int(text)
    raise Problem(422, "invalid", worded("The form names no run; open the page again."))
