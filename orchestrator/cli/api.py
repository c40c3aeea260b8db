"""The HTTP API as the commands use it: JSON in, JSON out, every failure one sentence and an exit code."""

import json
import os
import stat
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from orchestrator.cli.errors import CliError, Code
from orchestrator.cli.options import URL
from orchestrator.cli.output import one_line, warn
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.http import Authorization, Busy, Http, Response

MAX_LINE = 1024 * 1024
"""Bytes of one line of a stream; a log line is cut long before."""
SILENCE = 45.0
"""Seconds without a byte after which a stream counts as lost; the server sends a heartbeat every 15 s."""
_MADE = "set PILOTAGE_TOKEN to one made with `pilotage token create`"
_WRITTEN = "`pilotage up` writes one into its state folder, and `pilotage token create` makes more"
_OTHERS = (401, 404)
"""What somebody else says, of our token or of a path that is not theirs; Pilotage says it with a problem."""

Json = dict[str, Any]


class Api:
    """One Pilotage server.

    :param url: its address, without ``/api/v1``. :param token: bearer token; "" = none is sent.
    """

    def __init__(self, url: str, token: str = "") -> None:
        host = host_of(url)
        self.url = url.rstrip("/")
        self._has_token = bool(token)
        self._http = Http(self.url, Reason.INTERNAL)
        self._options: Json = {"auth": Authorization(f"Bearer {token}" if token else "")}
        if host in ("127.0.0.1", "::1", "localhost"):
            self._options["proxies"] = {"http": None, "https": None, "all": None}

    def get(self, path: str, params: Mapping[str, object] | None = None) -> Json:
        """Read a JSON object; parameters that are None or "" are left out. :raises CliError: see `_checked`."""
        return self._json("GET", path, params=_given(params or {}))

    def post(self, path: str, body: Mapping[str, object] | None = None, key: str = "") -> Json:
        """Send a JSON object and read one. :param key: idempotency key; the same key never acts twice."""
        headers = {"Idempotency-Key": key} if key else {}
        return self._json("POST", path, json=_given(body or {}), headers=headers)

    def run(self, run_id: int) -> Json:
        """Read one run. :raises CliError: there is none, or Pilotage cannot be reached."""
        return self.get(f"/runs/{run_id}")

    def page(self, run: Json) -> str:
        """Return the address of a run's page."""
        return str(run.get("url") or f"{self.url}/runs/{run.get('id')}")

    def stream(
        self, path: str, accept: str, params: Mapping[str, object], last: int | None = None
    ) -> Generator[bytes, None, None]:
        """Open a stream at once, and yield its lines as they arrive.

        :param last: id of the last event seen (``Last-Event-ID``).
        :raises CliError: the answer is an error. :raises Unavailable: the stream cannot be had or breaks.
        """
        headers = {"Accept": accept} | ({} if last is None else {"Last-Event-ID": str(last)})
        answer = self._http.request(
            "GET",
            f"/api/v1{path}",
            params=_given(params),
            headers=headers,
            endless=True,
            read_timeout=SILENCE,
            **self._options,
        )
        self._checked(answer)
        return self._http.lines(answer, MAX_LINE)

    def _json(self, method: str, path: str, **options: Any) -> Json:
        headers = {"Accept": "application/json"} | options.pop("headers", {})
        try:
            answer = self._http.request(method, f"/api/v1{path}", headers=headers, **options, **self._options)
        except Unavailable as error:
            raise unreachable(self.url, error) from error
        self._checked(answer)
        return self._object(answer)

    def _object(self, answer: Response) -> Json:
        if not answer.content:
            return {}
        try:
            value = answer.json()
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise CliError(
                f"{self.url} answered something that is not Pilotage's JSON; check --url.", Code.UNREACHABLE
            )
        return value

    def _checked(self, answer: Response) -> None:
        """Turn an error status into the sentence that the server gave for it."""
        status = answer.status_code
        if 200 <= status < 300:
            return
        said = _problem(answer)
        answer.close()
        if status == 401 and said:
            text = f"Pilotage does not accept the token; {_MADE}."
            if not self._has_token:
                text = f"No token was given; {_MADE}, or name its file with --token-file."
            raise CliError(text, Code.UNREACHABLE)
        if status == 403:
            raise CliError(f"The token's role does not allow this{_colon(said)}.", Code.UNREACHABLE)
        if 400 <= status < 500 and (said or status not in _OTHERS):
            raise CliError(f"Not possible (HTTP {status}){_colon(said)}.", Code.USAGE)
        raise CliError(f"{self.url} answered HTTP {status}, not like Pilotage; check --url.", Code.UNREACHABLE)


def connect(url: str, token_file: Path | None) -> Api:
    """Make the API client of a command, with the token from ``PILOTAGE_TOKEN`` or from a file."""
    token = os.environ.get("PILOTAGE_TOKEN", "").strip() or _token(token_file)
    if not (token.isascii() and token.isprintable()):  # no header could carry it
        raise CliError(
            f"This is not a token: it holds a line break or a letter that none has; {_MADE}.", Code.UNREACHABLE
        )
    return Api(url, token)


def token_path(environ: Mapping[str, str]) -> Path:
    """Return where a server on this machine keeps the token of its operator: ``token`` in its state folder."""
    beside = Path(environ.get("PILOTAGE_CONFIG") or "pilotage.yaml").parent / "state"
    return Path(environ.get("PILOTAGE_STATE_DIR") or beside) / "token"


def segment(text: str) -> str:
    """Quote a text as one segment of a path."""
    return quote(text, safe="")


def unreachable(url: str, error: Unavailable) -> CliError:
    """Make the error for a server that cannot be reached, or that says why it cannot answer."""
    said = _said(error.problem) if isinstance(error, Busy) else ""
    if said:
        return CliError(f"Pilotage at {url} cannot answer now: {said}.", Code.UNREACHABLE)
    evidence = error.evidence.rpartition(f"{url}: ")[2].replace("set ca_file", "set REQUESTS_CA_BUNDLE")
    evidence = one_line(evidence, 300)  # a command has no configuration with a ca_file
    text = f"Pilotage does not answer at {url} ({evidence}); start it with `pilotage up`, or name it with --url."
    return CliError(text, Code.UNREACHABLE)


def host_of(url: str) -> str:
    """Return the host of the address of a server. :raises CliError: it is not an address."""
    try:
        parts = urlsplit(url)
        well = parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:  # half an IPv6 address, or a port that is no number
        well = False
    if not well or not parts.hostname:
        raise CliError(f"`{one_line(url)}` is not an address; write it as in {URL}.", Code.USAGE)
    return parts.hostname


def _token(given: Path | None) -> str:
    path = given or token_path(os.environ)
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(4096).strip()
    except FileNotFoundError as error:
        if given is None:
            return ""
        raise CliError(f"There is no token file {path}; {_WRITTEN}.", Code.USAGE) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"The token file {path} cannot be read: {error}.", Code.UNREACHABLE) from error
    if mode & stat.S_IRWXO:
        raise CliError(f"Others can read the token file {path}; run `chmod 600` on it.", Code.UNREACHABLE)
    if mode & stat.S_IRWXG:  # as Kubernetes mounts Secrets for the group of a pod
        warn(f"The token file {path} is open to its group; run `chmod 600` on it unless that is meant.")
    return text


def _given(values: Mapping[str, object]) -> Json:
    return {name: value for name, value in values.items() if value not in (None, "")}


def _problem(answer: Response) -> str:
    """Return the sentence of an RFC 9457 problem; "" if the answer is not one."""
    try:
        return _said(answer.content)
    except RuntimeError:  # the body is gone
        return ""


def _said(text: bytes) -> str:
    try:
        body = json.loads(text)
    except ValueError:
        return ""
    return _sentence(body) if isinstance(body, dict) else ""


def _sentence(problem: Json) -> str:
    """Make a sentence of a problem; if it lists errors, the list replaces the words that point to it."""
    said = one_line(problem.get("detail") or problem.get("title") or "").rstrip(".")
    errors = problem.get("errors")
    wrong = [_wrong(one) for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []
    if wrong:
        said = f"{said.removesuffix('; see `errors`')}: {'; '.join(wrong)}"
    return one_line(said, 500)


def _wrong(error: Json) -> str:
    return ": ".join(one_line(error.get(name)).rstrip(".") for name in ("field", "message") if error.get(name))


def _colon(said: str) -> str:
    return f": {said}" if said else ""
