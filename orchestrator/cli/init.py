"""``pilotage init``: the two files that ``docker-compose.yml`` needs, ``.env`` and ``pilotage.yaml``.

Only ``.env`` holds secrets; ``pilotage.yaml`` names them, and is read by the containers' own user.
"""

import itertools
import os
import re
import secrets
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.errors import CliError, Code
from orchestrator.cli.output import say, warn

SOCKET = "/var/run/docker.sock"
RANDOM = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "GRAFANA_PASSWORD", "GITHUB_SECRET")
_LINE = r"^{name}='([^'\n]*)'$"
_ANY_LINE = r"^(?:export[ \t]+)?{name}[ \t]*=[ \t]*(.*?)[ \t]*$"
_VALUES = re.compile(r"^([A-Z][A-Z0-9_]*)='([^'\n]*)'$", re.MULTILINE)
_DEMO = "# Written by `pilotage init --demo`"
_NEXT = """
Next (`docker-compose` instead of `docker compose` with Compose 1):
  1. Fill in .env: HARBOR_USERNAME, HARBOR_PASSWORD, GITOPS_TOKEN, ARGOCD_TOKEN.
  2. Adapt pilotage.yaml: the addresses and your app.
  3. docker compose build
  4. docker compose run --rm --no-deps migrate config check
  5. docker compose up --wait          (Compose 1: up -d)
  6. docker compose exec web pilotage token create me --role admin
  7. Log in at http://127.0.0.1:8480 with that token.
  8. Have the forge post to /webhooks/github on port 8481 of this machine, with GITHUB_SECRET."""
_NEXT_DEMO = """
Next (`docker-compose` instead of `docker compose` with Compose 1):
  1. docker compose --profile demo up --build --wait          (Compose 1: up -d --build)
  2. docker compose exec web pilotage token create me --role admin
  3. Log in at http://127.0.0.1:8480 with that token.
  4. . ./.env && git clone "http://pilotage:$GITOPS_TOKEN@127.0.0.1:8482/acme/plate-web.git"
  5. Change plate-web/www/index.html, commit, push to main, and watch the run become healthy."""


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where docker-compose.yml is.")] = Path(),
    demo: Annotated[bool, typer.Option("--demo", help="For the profile demo: with stand-ins, complete.")] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Overwrite existing files (copies are kept as *.bak). Values that .env holds already are kept.",
        ),
    ] = False,
) -> None:
    """Write .env (random secrets, mode 0600) and pilotage.yaml for docker-compose.yml, and say what comes next.

    \b
    Example:
      pilotage init
      pilotage init --demo
    """
    env, config = folder / ".env", folder / "pilotage.yaml"
    there = [str(file) for file in (env, config) if file.exists()]
    if there and not force:
        raise CliError(
            f"{' and '.join(there)} exist{'s' if len(there) == 1 else ''} already; nothing was written. Use --force,"
            " which keeps what .env holds and a copy of each file.",
            Code.FAILED,
        )
    stand_ins = _demo_values()
    text = fill(starter("env"), {**_random(), **_engine(), **(stand_ins if demo else {})})
    before = _read(env)
    if before:
        # What belongs to the stand-ins opens no door of real services, and the other way round.
        switched = _read(config).startswith(_DEMO) != demo
        text = renewed(before, text, frozenset(stand_ins) if switched else frozenset())
    _put(env, text, 0o600, "secrets, mode 0600")
    _put(config, _config(demo=demo), 0o644, "")
    say(_NEXT_DEMO if demo else _NEXT)


def starter(name: str) -> str:
    """Return one of the files that a new user starts from: ``env`` or ``pilotage.yaml``."""
    return (resources.files("orchestrator.cli") / "starter" / name).read_text(encoding="utf-8")


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put values into the lines ``NAME='...'`` of a text.

    :raises ValueError: a value that single quotes cannot hold, or a name without a line.
    """
    for name, value in values.items():
        if any(sign in value for sign in ("'", "\n", "${")):
            raise ValueError(f"{name} holds a single quote, a line break or ${{")
        match = re.search(_LINE.format(name=name), text, re.MULTILINE)
        if match is None:
            raise ValueError(f"there is no line for {name}")
        text = f"{text[: match.start()]}{name}='{value}'{text[match.end() :]}"
    return text


def renewed(before: str, fresh: str, replaced: frozenset[str]) -> str:
    """Complete an earlier ``.env``: its lines stay, empty values are filled in, missing names are added.

    :param fresh: a whole file with new values. :param replaced: names whose earlier values are of no use any more.
    """
    text = before if before.endswith("\n") else f"{before}\n"
    for name, value in _VALUES.findall(fresh):
        line = f"{name}='{value}'"
        match = re.search(_ANY_LINE.format(name=name), text, re.MULTILINE)
        if match is None:
            text += f"{line}\n"
        elif name in replaced or match[1] in ("", "''", '""'):
            text = text[: match.start()] + line + text[match.end() :]
    return text


def _random() -> dict[str, str]:
    return {name: secrets.token_urlsafe(24) for name in RANDOM}


def _engine() -> dict[str, str]:
    """Find the engine's socket and the group that may use it."""
    host = os.environ.get("DOCKER_HOST", "")
    socket = host.removeprefix("unix://") if host.startswith("unix://") else SOCKET
    try:
        return {"DOCKER_SOCKET": socket, "DOCKER_GID": str(Path(socket).stat().st_gid)}
    except OSError as error:
        warn(
            f"{socket}: {error.strerror}; set DOCKER_SOCKET in .env to the engine's socket, and DOCKER_GID to what"
            " `stat -c %g` prints for it."
        )
        return {}


def _demo_values() -> dict[str, str]:
    from orchestrator.sandbox import chat, wiring
    from orchestrator.sandbox.argocd import new_token

    credentials = wiring.Credentials(
        hook=secrets.token_urlsafe(24),
        robot=secrets.token_urlsafe(24),
        forge=secrets.token_urlsafe(24),
        argocd=new_token(),
    )
    hook = f"http://{wiring.COMPOSE.name}:{wiring.COMPOSE.chat}/services/{chat.HOOK}"
    return {**wiring.environ(credentials, hook), "HARBOR_USERNAME": wiring.ROBOT}


def _config(*, demo: bool) -> str:
    """Return the text of ``pilotage.yaml``: to be adapted, or that of the stand-ins with the same server."""
    text = starter("pilotage.yaml")
    if not demo:
        return text
    from orchestrator.sandbox import samples, wiring

    where = wiring.COMPOSE
    sections = wiring.configuration(
        forge=f"http://{where.name}:{where.forge}",
        harbor=f"http://127.0.0.1:{where.harbor}",
        argocd=f"http://{where.name}:{where.argocd}",
        environments=["stg"],
        apps=samples.APPS,
        more={},
    )
    return f"{_DEMO}: Pilotage with stand-ins.\n{sections}{text[text.index('server:') :]}"


def _read(file: Path) -> str:
    """Read a file that may not be there yet; "" then."""
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape") if file.exists() else ""
    except OSError as error:
        raise CliError(f"Cannot read {file}: {error.strerror}; nothing was written.", Code.FAILED) from error


def _put(file: Path, text: str, mode: int, note: str) -> None:
    """Write a file, keep the one that it replaces, and say both. :raises CliError: it cannot be written."""
    before = _read(file)
    try:
        copy = _spare(file) if before not in ("", text) else None
        if copy is not None:
            _write(copy, before, mode)
        _write(file, text, mode)
    except OSError as error:
        sentence = f"Cannot write {file}: {error.strerror}; look at the folder and what this user may do there."
        raise CliError(sentence, Code.FAILED) from error
    said = "; ".join(part for part in (note, f"before: {copy}" if copy else "") if part)
    say(f"wrote {file}" + (f" ({said})" if said else ""))


def _spare(file: Path) -> Path:
    """Return an unused name for the copy of a file: an earlier copy may be the only one."""
    names = (file.with_name(f"{file.name}.bak{number or ''}") for number in itertools.count())
    return next(name for name in names if not name.exists())


def _write(file: Path, text: str, mode: int) -> None:
    """Write a file as a whole, never readable by more people than `mode` says."""
    temporary = file.with_name(f".{file.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as out:
        out.write(text)
    temporary.chmod(mode)  # whatever the umask took away
    temporary.replace(file)
