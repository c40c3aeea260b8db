"""A chat on loopback: Slack's incoming webhooks and Web API, and a receiver of signed callbacks.

For demonstrations (its first page shows what people would read) and for tests (it remembers everything that came).
"""

import html
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from flask import Flask, Response, request

from orchestrator.sandbox.chat_callbacks import Callbacks
from orchestrator.sandbox.chat_clicks import SlackClicks
from orchestrator.sandbox.chat_slack import TEAM, SlackReply, SlackWorkspace
from orchestrator.sandbox.githttp import serve
from orchestrator.sandbox.posts import Arrived, Posts, headers_of

TOKEN = "xoxb-sandbox"  # noqa: S105 - opens nothing but this stand-in
SECRET = "whsec_c2FuZGJveC1vbmx5LW5vdC1hLXJlYWwtc2VjcmV0"  # noqa: S105
CHANNEL = "C0SANDBOX01"
HOOK = "T0SANDBOX/B0SANDBOX/opensonlythesandbox"
_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="3">'
    "<title>#deploys</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto}"
    "article{border-left:4px solid #888;padding:.2rem 1rem;margin:1rem 0;white-space:pre-wrap}"
    "article.reply{margin-left:3rem}small{color:#555}</style><h1>#deploys</h1>"
)


class SandboxChat:
    """Start it, configure a channel with `webhook_url`, `api_url` or `callback_url`, and look at what arrived.

    :param listen: address to listen on. :param name: host in the addresses that it gives out; "" = `listen`.
    :param limited: answer 429 to a second message within a second and to too many edits, as Slack does.
    :param secrets: what callbacks are signed with.
    :ivar slack: the workspace. :ivar clicks: its buttons. :ivar callbacks: the receiver.
    :ivar faults: what goes wrong next; ``where`` is part
        of a path such as ``/services/``, ``/api/chat.update`` or ``/callbacks``.
    """

    def __init__(
        self,
        *,
        listen: str = "127.0.0.1",
        port: int = 0,
        name: str = "",
        limited: bool = True,
        secrets: Sequence[str] = (SECRET,),
    ) -> None:
        self.slack = SlackWorkspace(channels={CHANNEL: "deploys"}, token=TOKEN, limited=limited)
        self.clicks = SlackClicks(self.slack)
        self.callbacks = Callbacks(secrets)
        self._posts = Posts()
        self.faults = self._posts.faults
        self.base_url = ""
        self._listen, self._port, self._name = listen, port, name
        self._stack = ExitStack()

    def start(self) -> str:
        """Listen; return the base URL."""
        self.base_url = self._stack.enter_context(serve(self._app(), self._listen, self._port, name=self._name))
        self.clicks.base_url = self.base_url
        return self.base_url

    def stop(self) -> None:
        """Stop listening."""
        self._stack.close()

    @property
    def webhook_url(self) -> str:
        """The address of the incoming webhook; a secret, as Slack's are."""
        return f"{self.base_url}/services/{HOOK}"

    @property
    def api_url(self) -> str:
        """The base of the Web API, for a channel of the kind ``slack-api``."""
        return f"{self.base_url}/api"

    @property
    def callback_url(self) -> str:
        """Where signed callbacks go."""
        return f"{self.base_url}/callbacks"

    @property
    def arrived(self) -> list[Arrived]:
        """Return every request that came, oldest first, those that went wrong included."""
        return self._posts.arrived

    def _app(self) -> Flask:
        app = Flask("chat", static_folder=None)
        app.config["PROPAGATE_EXCEPTIONS"] = True  # a cut connection is the server's business, not an answer 500
        app.add_url_rule("/", "page", self._page)
        app.add_url_rule("/services/<path:hook>", "hook", self._take, methods=["POST"])
        app.add_url_rule("/api/<method>", "api", self._take, methods=["POST"])
        app.add_url_rule(f"/actions/{TEAM}/<key>", "actions", self._take, methods=["POST"])
        app.add_url_rule("/callbacks", "callbacks", self._take, methods=["POST"])
        return app

    def _take(self, **route: str) -> Response:
        return self._posts.take(lambda body: self._work(route, body))

    def _work(self, route: Mapping[str, str], body: bytes) -> Response:
        if "hook" in route:
            return self._hook(route["hook"], body)
        if "method" in route:
            authorization = request.headers.get("Authorization", "")
            return _answer(self.slack.call(route["method"], _json(body), authorization, request.mimetype))
        if "key" in route:
            return _answer(self.clicks.answer(route["key"], _json(body), request.mimetype))
        status, words = self.callbacks.receive(headers_of(request), body, time.time())
        return Response(words, status, mimetype="text/plain")

    def _hook(self, hook: str, body: bytes) -> Response:
        if hook != HOOK:
            parts = hook.split("/")
            known = len(parts) == 3 and parts[:2] == HOOK.split("/")[:2]
            return _answer(
                SlackReply(status=403, body="invalid_token") if known else SlackReply(status=404, body="no_service")
            )
        return _answer(self.slack.incoming(_json(body), CHANNEL, request.mimetype))

    def _page(self) -> Response:
        """Show the channel as people would read it, newest first."""
        items = [
            f"<article{' class=reply' if one.thread_ts else ''}>{html.escape(html.unescape(one.text))}\n"
            f"<small>{one.ts}{f', edited {one.edits} times' if one.edits else ''}</small></article>"
            for one in reversed(self.slack.shown)
        ]
        return Response(_PAGE + ("".join(items) or "<p>No message yet.</p>"), mimetype="text/html")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _answer(reply: SlackReply) -> Response:
    if isinstance(reply.body, str):
        return Response(reply.body, reply.status, dict(reply.headers), mimetype="text/plain")
    return Response(json.dumps(reply.body), reply.status, dict(reply.headers), mimetype="application/json")
