"""The first run: as long as nothing has run here yet, a page lists what the configuration lacks.

That is a file that is empty or not there, or variables and secrets that it names. What is wrong otherwise stops the
start, and so does everything once something has run here: a server that loses its secrets is to fail where its
keepers look, not to come up with an excuse. Until the configuration is complete every answer is a 503, probes and
webhooks included, so that nobody takes this for a service that works.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from orchestrator import access
from orchestrator.cli.claim import listen
from orchestrator.cli.output import mention
from orchestrator.config import Checked, ConfigProblem, check, default_path
from orchestrator.rooted import Rooted

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_EVERY = 1.0
"""Seconds between two looks at the configuration."""
_SLOW = 3.0
"""Seconds for which one client may keep the others waiting with each line of its request."""
_MACHINES = ("/healthz", "/readyz", "/metrics", "/api/", "/webhooks/")
"""Where programs ask; they get a problem (RFC 9457) and no page."""
_HEADERS = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("Retry-After", "10"),
    ("Server", "pilotage"),
    ("X-Content-Type-Options", "nosniff"),
)
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1b2127;"
    "background:#fff}code{font-size:.92em;overflow-wrap:anywhere}li{margin:.4rem 0}"
    "@media(prefers-color-scheme:dark){body{color:#e6e9ee;background:#14171c}}"
)


def await_configuration(path: Path | None) -> None:
    """Serve the list of what is missing until nothing is; return at once where this is no first run.

    :param path: of the configuration, where one is named: one that is not there is a mistake, and no first run.
    :raises CliError: the address cannot be had.
    """
    file = path or default_path(os.environ)
    checked = check(file, os.environ)
    if checked.settings is not None or not is_first(checked) or (path is not None and not file.exists()):
        return
    for problem in checked.problems:
        mention(problem.located(file))
    said = f"Nothing has run here yet: http://{checked.bind} lists this, and Pilotage starts once nothing is missing."
    mention(said)
    _serve(file, checked)


def is_first(checked: Checked) -> bool:
    """Tell whether nothing has run here yet: the state folder is known, and is empty or not there."""
    if not checked.state_dir:
        return False
    try:
        return all(one.name == "lost+found" for one in Path(checked.state_dir).iterdir())  # of a fresh ext4 volume
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _serve(file: Path, checked: Checked) -> None:
    """Answer with what is missing, one client after the other, until the configuration is complete."""
    with listen(checked.bind) as listener, WSGIServer(("", 0), _Handler, bind_and_activate=False) as server:
        server.socket.close()
        server.socket, server.timeout = listener, _EVERY
        server.server_name, server.server_port = "", 0
        server.setup_environ()
        looked = time.monotonic()
        while checked.settings is None:
            server.set_app(answering(file, checked))
            server.handle_request()
            if time.monotonic() - looked >= _EVERY:
                looked, checked = time.monotonic(), check(file, os.environ)


class _Handler(WSGIRequestHandler):
    timeout = _SLOW

    def log_message(self, *_: object) -> None:
        """Write no line for each request."""


def answering(file: Path, checked: Checked) -> "WSGIApplication":
    """Make the application that tells what is missing, whatever is asked: people by a page, programs by a problem."""
    roots = (urlsplit(checked.external_url).path,)

    def answer(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        request_id = access.begin(environ)
        programs = environ.get("PATH_INFO", "").startswith(_MACHINES)
        text = _problem(environ, request_id) if programs else page(file, checked.problems)
        body = text.encode("utf-8", "replace")
        kind = "application/problem+json" if programs else "text/html; charset=utf-8"
        own = (("Content-Type", kind), ("Content-Length", str(len(body))), ("X-Request-Id", request_id))
        start_response("503 Service Unavailable", [*_HEADERS, *own])
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]

    return Rooted(answer, roots)


def _problem(environ: Mapping[str, Any], request_id: str) -> str:
    """Write a problem with the members that those of the API have. What is missing is for the page alone."""
    path: str = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
    members = {
        "type": f"{access.PROBLEM}not-ready",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "Not ready: configuration. The start page lists what it lacks.",
        "instance": path.encode("latin-1").decode("utf-8", "replace"),  # WSGI hands bytes over as Latin-1 text
        "errors": [],
        "request_id": request_id,
    }
    return json.dumps(members)


def page(file: Path, problems: Sequence[ConfigProblem]) -> str:
    """Write the page. It renews itself; once Pilotage has started, that leads to the login."""
    number = "1 thing is" if len(problems) == 1 else f"{len(problems)} things are"
    items = "".join(f"<li>{_item(problem)}</li>" for problem in problems)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">'
        f'<meta name="viewport" content="width=device-width"><title>Pilotage: not configured yet</title>'
        f"<style>{_STYLE}</style></head><body><h1>Pilotage is not configured yet</h1>"
        f"<p>{number} missing or wrong in <code>{escape(str(file))}</code>:</p><ul>{items}</ul>"
        "<p>Nothing runs until then. Pilotage looks at the file each second and starts by itself; a variable of the"
        " environment is seen after a restart. <code>pilotage.example.yaml</code> shows every key, and"
        " <code>pilotage config check</code> says the same as this page.</p></body></html>"
    )


def _item(problem: ConfigProblem) -> str:
    where = f"<code>{escape(problem.path)}</code>, line {problem.line}: " if problem.path else ""
    return where + escape(problem.message)
