"""Served under a path, as ``https://tools.example.com/pilotage``: the one place that decides what is that path.

A proxy may pass the path on or take it off, and whoever asks at the address where we listen need not know it. So it
is taken off where it is there, and is ours (``SCRIPT_NAME``, PEP 3333) in any case: every link begins with it. It is
that of the configuration and never one that a request names, as in ``X-Forwarded-Prefix``: anybody can send that.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from orchestrator.at_once import AtOnce, Pending

ROOTS = "pilotage.roots"
"""Where a Flask application keeps the paths under which it is served, among its extensions."""


class AtOnceApp(AtOnce, Protocol):
    """A WSGI application with a part for requests that are answered at once."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer one request."""
        ...


class Rooted:
    """A WSGI application that is served under a path.

    :param app: what answers. :param roots: the paths that requests may come with, each as ``/pilotage``; one that
        comes with none counts as having come with the first.
    """

    def __init__(self, app: Callable[..., Any], roots: Sequence[str]) -> None:
        self._app = app
        self._ours = roots[0]
        self._known = tuple(sorted({root for root in roots if root}, key=len, reverse=True))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer one request."""
        self.take_off(environ)
        return self._app(environ, start_response)

    def take_off(self, environ: dict[str, Any]) -> None:
        """Move the path under which we are served from ``PATH_INFO`` to ``SCRIPT_NAME``."""
        path: str = environ.get("PATH_INFO", "")
        root = next((one for one in self._known if path == one or path.startswith(f"{one}/")), "")
        environ["SCRIPT_NAME"] = root or self._ours
        environ["PATH_INFO"] = path[len(root) :] or "/"


class RootedAtOnce(Rooted):
    """The same of an application that answers some requests at once: these, too, may come with the path."""

    def __init__(self, app: AtOnceApp, roots: Sequence[str]) -> None:
        super().__init__(app, roots)
        self._at_once = app
        self.paths = frozenset(f"{root}{path}" for root in ("", *self._known) for path in app.paths)

    def begin(self, environ: dict[str, Any]) -> Pending:
        """Judge a request for one of the paths."""
        self.take_off(environ)
        return self._at_once.begin(environ)

    def flush(self) -> None:
        """Record the requests that were judged so far."""
        self._at_once.flush()
