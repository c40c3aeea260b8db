"""``pilotage init``: the two files that ``docker-compose.yml`` needs, ``.env`` and ``pilotage.yaml``.

Only ``.env`` holds secrets; ``pilotage.yaml`` names them, and is read by the containers' own user.
"""

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
KEPT = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "GRAFANA_PASSWORD")
"""What a volume may have been made with already: a new value would lock us out of our own data."""
_LINE = r"^{name}='([^'\n]*)'$"
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
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where docker-compose.yml is.")] = Path(),
    demo: Annotated[bool, typer.Option("--demo", help="For the profile demo: with stand-ins, complete.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that are there; passwords of volumes are kept.")
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
        raise CliError(f"{' and '.join(there)} exists already; nothing was written. Use --force.", Code.FAILED)
    values = {**_random(), **_engine(), **(_demo_values() if demo else {}), **_kept(env)}
    written = ((env, fill(starter("env"), values), 0o600), (config, _config(demo=demo), 0o644))
    try:
        for file, text, mode in written:
            _write(file, text, mode)
    except OSError as error:
        raise CliError(f"Cannot write {error.filename}: {error.strerror}.", Code.FAILED) from error
    say(f"wrote {env} (secrets, mode 0600)\nwrote {config}")
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


def _random() -> dict[str, str]:
    return {name: secrets.token_urlsafe(24) for name in (*KEPT, "GITHUB_SECRET")}


def _engine() -> dict[str, str]:
    """Find the engine's socket and the group that may use it."""
    host = os.environ.get("DOCKER_HOST", "")
    socket = host.removeprefix("unix://") if host.startswith("unix://") else SOCKET
    try:
        return {"DOCKER_SOCKET": socket, "DOCKER_GID": str(Path(socket).stat().st_gid)}
    except OSError as error:
        warn(f"{socket}: {error.strerror}; set DOCKER_SOCKET and DOCKER_GID in .env yourself.")
        return {}


def _demo_values() -> dict[str, str]:
    from orchestrator.sandbox import chat, wiring
    from orchestrator.sandbox.argocd import new_token

    keys = wiring.Keys(
        hook=secrets.token_urlsafe(24),
        robot=secrets.token_urlsafe(24),
        forge=secrets.token_urlsafe(24),
        argocd=new_token(),
    )
    hook = f"http://{wiring.COMPOSE.name}:{wiring.COMPOSE.chat}/services/{chat.HOOK}"
    return {**wiring.environ(keys, hook), "HARBOR_USERNAME": wiring.ROBOT}


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
    return f"# Written by `pilotage init --demo`: Pilotage with stand-ins.\n{sections}{text[text.index('server:') :]}"


def _kept(env: Path) -> dict[str, str]:
    """Return the passwords of an earlier ``.env`` that volumes were made with."""
    text = env.read_text(encoding="utf-8", errors="replace") if env.is_file() else ""
    found = ((name, re.search(_LINE.format(name=name), text, re.MULTILINE)) for name in KEPT)
    return {name: match[1] for name, match in found if match and match[1]}


def _write(file: Path, text: str, mode: int) -> None:
    """Write a file as a whole, at no time readable for more people than `mode` says."""
    temporary = file.with_name(f".{file.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as out:
        out.write(text)
    temporary.chmod(mode)  # whatever the umask took away
    temporary.replace(file)
