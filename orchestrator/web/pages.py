"""The browser pages: rendered on the server, readable without JavaScript; a script only adds the live log."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, redirect, render_template, request, url_for

from orchestrator.domain.ansi import plain
from orchestrator.domain.events import DeliveryOutcome
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState, Trigger, run_named
from orchestrator.domain.wording import worded
from orchestrator.engine.matching import watched_branches
from orchestrator.services.queries import Queries
from orchestrator.services.tokens import Principal, Role
from orchestrator.services.views import commit_url, rfc3339
from orchestrator.web import language, place, words
from orchestrator.web.auth import log_in, log_out
from orchestrator.web.calls import Site
from orchestrator.web.environment_actions import ACTIONS as ENVIRONMENT_ACTIONS
from orchestrator.web.environment_actions import MAX_FORM, Answer, EnvironmentActions, possible
from orchestrator.web.log_part import TAIL, Sought, part_of
from orchestrator.web.models import MAX_ID
from orchestrator.web.page_query import number, texts
from orchestrator.web.problems import Problem

PAGE = 30
"""Items in one page of a list."""

POLL_SHOWN = timedelta(hours=1)
"""How long the list of apps shows what came of a poll that somebody asked for."""

ACTIONS: dict[str, str] = {"rerun": "Re-run", "cancel": "Cancel", "approve": "Approve"}
"""What people can do with a run from its page."""


def install(app: Flask, site: Site) -> None:
    """Add the pages to `app`."""
    site = replace(site, queries=Queries(site.guard.database, site.settings, language.said))
    pages, actions = _Pages(site), EnvironmentActions(site)
    action_rule = f"/apps/<app>/<environment>/<any({','.join(ENVIRONMENT_ACTIONS)}):action>"
    run_rule = f"/runs/<int(max={MAX_ID}):run_id>"
    for rule, name, view, method in (
        ("/", "home", lambda: redirect(url_for("pages.runs")), "GET"),
        ("/runs", "runs", pages.runs, "GET"),
        (run_rule, "run", pages.run, "GET"),
        (f"{run_rule}/<any({','.join(ACTIONS)}):action>", "act", pages.act, "POST"),
        ("/apps", "apps", pages.apps, "GET"),
        ("/apps/<app>/poll", "poll", actions.poll, "POST"),
        (action_rule, "ask", actions.ask, "GET"),
        (action_rule, "act_on", actions.act, "POST"),
        ("/deliveries", "deliveries", pages.deliveries, "GET"),
        ("/login", "login", pages.login, "GET"),
        ("/login", "log_in", pages.log_in, "POST"),
        ("/logout", "log_out", pages.log_out, "POST"),
        ("/language", "language", pages.speak, "POST"),
    ):
        app.add_url_rule(rule, f"pages.{name}", _on_page(view), methods=[method])
    app.jinja_env.filters.update(
        ago=lambda at: words.ago(at, site.now(), language.said),
        lasts=lambda since: words.lasts(since, site.now()),
        took=words.took,
        worked=words.worked,
        waited=words.waited,
        works_since=words.works_since,
        moment=words.moment,
        message=lambda notification: words.message(notification, language.said),
        glyph=words.glyph,
        argo_state=words.argo_state,
        state_word=words.state,
        short=words.short,
        ref_name=words.ref_name,
        coded=words.coded,
        marked=words.marked,
        run_named=run_named,
    )
    app.jinja_env.globals["now"] = lambda: rfc3339(site.now())
    app.jinja_env.globals["headline"] = partial(words.headline, say=language.said)
    language.install(app)


def _on_page(view: Callable[..., Answer]) -> Callable[..., Answer]:
    """Redirect people who are not logged in to the login page instead of answering 401."""

    def handle(**arguments: Any) -> Answer:
        try:
            return view(**arguments)
        except Problem as problem:
            if problem.status != 401:
                raise
            target = place.address() if request.method == "GET" else place.home()
            return redirect(url_for("pages.login", next=target), 303)

    return handle


class _Pages:
    """The views, with what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def runs(self) -> Answer:
        """Show the list of runs."""
        who = self._site.guard.require(Role.VIEWER)
        wanted = texts(request.args, "app", "environment", "state", "commit")
        wanted["commit"] = wanted["commit"].strip().lower()
        if wanted["state"] not in ("", *RunState):
            wanted["state"] = ""
        page = self._site.queries.runs(**wanted, limit=PAGE, before=_cursor(), base="")
        return render_template(
            "runs.html",
            who=who,
            runs=page.items,
            wanted=wanted,
            states={state.value: language.said(state.value) for state in RunState},
            apps=[app.name for app in self._site.settings.apps],
            environments=sorted({env.name for app in self._site.settings.apps for env in app.environments}),
            older=_older(page.next, wanted),
            first=_first(wanted),
        )

    def run(self, run_id: int) -> Answer:
        """Show one run with the end of its log."""
        who = self._site.guard.require(Role.VIEWER)
        view = self._site.queries.run(run_id, base="")
        if view is None:
            raise Problem(404, "not-found", worded("There is no run {run}.", run=run_id))
        sought = Sought.read(request.args)
        part = part_of(self._site.queries, run_id, sought)
        if part.sought != sought:
            return redirect(place.path() + part.sought.address(line=part.sought.line))
        settings = self._site.settings
        app = settings.app(view["app"])
        return render_template(
            "run.html",
            who=who,
            run=view,
            lines=[(line.n, line.stage, plain(line.text)) for line in part.excerpt.lines],
            log=part.excerpt,
            part=part,
            asked=sought,
            tail=TAIL,
            live=view["finished_at"] is None,
            fixed=bool(sought.line or sought.find),
            gitops_url=commit_url(settings.gitops.access.url, view["gitops_commit"]),
            source_url=commit_url(app.source.url, view["commit"]) if app else "",
            actions=_actions(view, who),
            way_out=self._way_out(view) if who.role.may(Role.DEPLOYER) else "",
        )

    def _way_out(self, run: dict[str, Any]) -> str:
        """Name what a person can do with the environment as this run has left it: release it, or roll it back."""
        held = run["state"] == RunState.WAITING and run["reason"] == Reason.ON_HOLD
        broken = run["state"] == RunState.FAILED and not run["taken_back_by"]
        went_back = run["trigger"] == Trigger.ROLLBACK and run["finished_at"] is not None
        shown = self._site.queries.app(run["app"]) if held or broken or went_back else None
        env = next((one for one in (shown or {}).get("environments", ()) if one["name"] == run["environment"]), None)
        if env is None or held:
            return "release" if env else ""
        if went_back and env["hold"]:
            return "release"
        newest = env["in_git"] is not None and env["in_git"]["run"] == run["id"]
        return "rollback" if newest and env["deployed"] else ""

    def act(self, run_id: int, action: str) -> Answer:
        """Carry out an action of the page of a run, and show the result."""
        who = self._site.guard.require(Role.DEPLOYER)
        request.max_content_length = MAX_FORM
        control = self._site.control
        if action == "rerun":
            run_id = control.rerun(run_id, who.name, request.form.get("from", ""))
        elif action == "cancel":
            control.cancel(run_id, who.name)
        else:
            control.approve(run_id, who.name)
        return redirect(url_for("pages.run", run_id=run_id), 303)

    def apps(self) -> Answer:
        """Show what runs where."""
        who = self._site.guard.require(Role.VIEWER)
        deploys = who.role.may(Role.DEPLOYER)
        return render_template(
            "apps.html",
            who=who,
            apps=self._site.queries.apps(),
            stray=self._site.queries.stray_holds(),
            acts=possible if deploys else None,
            labels=ENVIRONMENT_ACTIONS,
            polled={app.name for app in self._site.settings.apps if deploys and watched_branches(app)},
            recent=rfc3339(self._site.now() - POLL_SHOWN),
        )

    def deliveries(self) -> Answer:
        """Show what arrived at the webhooks."""
        who = self._site.guard.require(Role.VIEWER)
        wanted, settings = texts(request.args, "hook", "outcome"), self._site.settings
        page = self._site.queries.deliveries(**wanted, limit=PAGE, before=_cursor())
        return render_template(
            "deliveries.html",
            who=who,
            deliveries=page.items,
            wanted=wanted,
            hooks=[hook.forge for hook in settings.hooks],
            base=settings.webhook_url or settings.external_url,
            outcomes={outcome.value: language.said(outcome.value) for outcome in DeliveryOutcome},
            older=_older(page.next, wanted),
            first=_first(wanted),
        )

    def login(self) -> Answer:
        """Ask for a token."""
        return self._ask_for_token(_next(request.args.get("next")))

    def log_in(self) -> Answer:
        """Begin a session."""
        self._site.guard.check_site()
        request.max_content_length = 4096
        target = _next(request.form.get("next"))
        if self._site.guard.needs_https():
            return Response(self._ask_for_token(target), 400)
        if log_in(self._site.guard.database, request.form.get("token", "")) is None:
            return Response(self._ask_for_token(target, wrong=True), 401)
        return redirect(target, 303)

    def _ask_for_token(self, target: str, *, wrong: bool = False) -> str:
        """Show the login; over plain http, where the browser would not keep the session, say where to go instead."""
        guard = self._site.guard
        there = f"{guard.external_url}/login?{urlencode({'next': target})}" if guard.needs_https() else ""
        return render_template("login.html", who=None, next=target, wrong=wrong, there=there)

    def log_out(self) -> Answer:
        """End the session."""
        self._site.guard.check_site()
        log_out()
        return redirect(url_for("pages.login"), 303)

    def speak(self) -> Answer:
        """Have the browser remember a language, and show the page anew in it."""
        self._site.guard.check_site()
        request.max_content_length = 4096
        answer = redirect(_next(request.form.get("next")), 303)
        language.choose(answer, request.form.get("language", ""))
        return answer


def _actions(view: dict[str, Any], who: Principal) -> dict[str, str]:
    """Return what this person can do with this run now: action -> label."""
    if not who.role.may(Role.DEPLOYER):
        return {}
    if view["finished_at"] is not None:
        return {"rerun": ACTIONS["rerun"]}
    asks = view["reason"] == "awaiting_approval" and not view["approved_by"]
    names = ("approve", "cancel") if asks else ("cancel",)
    return {name: ACTIONS[name] for name in names}


def _cursor() -> int | None:
    return number(request.args, "cursor")


def _older(cursor: int | None, wanted: dict[str, str]) -> str:
    return "" if cursor is None else _here(wanted | {"cursor": str(cursor)})


def _first(wanted: dict[str, str]) -> str:
    """Return the address of the newest; "" where they are shown."""
    return "" if _cursor() is None else _here(wanted)


def _here(wanted: dict[str, str]) -> str:
    query = urlencode({name: value for name, value in wanted.items() if value})
    return f"{place.path()}?{query}" if query else place.path()


def _next(target: str | None) -> str:
    """Return where to go after the login: a path of ours, never another site."""
    return target if target and place.is_ours(target) else place.home()
