"""``pilotage demo``: the whole way of a push on one machine, told as it happens."""

import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from orchestrator.cli.api import Api, Json
from orchestrator.cli.errors import CliError, Code, ending
from orchestrator.cli.feed import is_final
from orchestrator.cli.output import say
from orchestrator.cli.product import Product, free_address
from orchestrator.cli.summary import SIGNS, stages, state_words, took, why
from orchestrator.domain.durations import words
from orchestrator.domain.errors import PilotageError
from orchestrator.sandbox.wiring import PRODUCTION, STAGING

if TYPE_CHECKING:
    from orchestrator.sandbox.platform import Platform

T = TypeVar("T")

RUN_TIMEOUT = 120.0
"""Seconds for one run of the demo; on a laptop it takes five."""
_MODULE = "__main__.py"
"""What Python calls the program when it runs as a module."""


def run(*, stay: bool) -> int:
    """Show everything once; return the exit code: 0 when all went as it should.

    :param stay: keep everything up afterwards, until Ctrl-C.
    """
    from orchestrator.sandbox import samples
    from orchestrator.sandbox.platform import Platform

    folder = Path(tempfile.mkdtemp(prefix="pilotage-demo-"))
    began = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell has what it starts in the background ignore SIGINT
        signal.signal(number, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # by nohup
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        _step("Starting stand-ins on loopback: a forge, Harbor with a real registry, Argo CD, a chat")
        environments = dict.fromkeys([STAGING, *([PRODUCTION] if stay else [])], 1)
        with Platform(folder / "platform", apps=samples.APPS, environments=environments) as platform:
            bind = free_address()
            configuration = platform.configuration(bind, folder / "pilotage" / "state")
            say(f"   forge {platform.forge_url}   Harbor {platform.harbor_url}   Argo CD {platform.argocd_url}")
            _step("Starting Pilotage: `pilotage up` (web, webhooks, relay, workers, embedded broker, SQLite)")
            with Product(folder / "pilotage", bind, configuration, platform.environ()) as product:
                platform.hook_to(product.url)
                story = _Story(platform, product)
                code = story.tell()
                say()
                say(f"Done in {words(time.monotonic() - began)}.")
                if stay:
                    story.stay()
                else:
                    say(f"Open its pages and push to it: `{typed()} demo --stay`.")
        return code
    except PilotageError as error:
        raise ending(error) from error
    except KeyboardInterrupt:
        say("Stopped.")
        return Code.DETACHED
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Story:
    """The demo's scenes, in their order."""

    def __init__(self, platform: "Platform", product: Product) -> None:
        self._platform = platform
        self._product = product
        self._api: Api = product.api()
        self._seen = 0

    def tell(self) -> int:
        """Tell all scenes; return 0 when each ended as it should."""
        from orchestrator.sandbox import samples

        base = self._platform.base_image
        first = self._push("Say hello", samples.source_files(base, "Hello from Pilotage"))
        second = self._push("플레이트 인사말 변경 (change the greeting)", samples.source_files(base, "안녕하세요"))
        again = self._rerun(int(second["id"]))
        broken = self._push("Read the new configuration", samples.broken_files(base))
        other = self._push("Greet by JSON", samples.api_files(base, "Hello from Pilotage"), samples.API)
        self._messages()
        self._statuses([first, second, broken, other])
        self._receipt(second)
        self._where_the_time_went(second)
        ended = [run["state"] for run in (first, second, again, broken, other)]
        return 0 if ended == ["succeeded", "succeeded", "succeeded", "failed", "succeeded"] else 1

    def stay(self) -> None:
        """Keep everything up until Ctrl-C, and say how to play with it."""
        say()
        write_environment(self._platform, self._product)
        for line in invitation(self._platform, self._product):
            say(line)
        signal.pause()

    def _push(self, title: str, files: dict[str, str], app: str = "") -> Json:
        from orchestrator.sandbox import samples

        source = samples.source_of(app or samples.APP)
        _step(f"git push{f' to {app}' if app else ''}: {title}")
        self._platform.forge.commit(source, "main", files, title, ("Mina Kim", "mina@example.com"))
        return self._follow(self._newest())

    def _rerun(self, run_id: int) -> Json:
        _step(f"Re-run of run {run_id} over HTTP: POST /api/v1/runs/{run_id}/rerun")
        made = self._api.post(f"/runs/{run_id}/rerun", {})
        return self._follow(int(made["id"]))

    def _newest(self) -> int:
        def found() -> int | None:
            items = self._api.get("/runs", {"limit": 1, "environment": STAGING})["items"]
            return int(items[0]["id"]) if items and int(items[0]["id"]) > self._seen else None

        return _until(found, 15.0, "the run of this push")

    def _follow(self, run_id: int) -> Json:
        """Print each stage as it ends, then the outcome in one sentence."""
        self._seen = max(self._seen, run_id)
        told: set[str] = set()

        def ended() -> Json | None:
            run = self._api.run(run_id)
            for stage in stages(run):
                name = str(stage["name"])
                reached = stage["state"] in ("succeeded", "skipped", "failed") and stage["reason"] != "not_reached"
                if reached and name not in told:
                    told.add(name)
                    say(f"   {SIGNS[str(stage['state'])]} {name:<7} {state_words(stage):<32} {took(stage)}")
            return run if is_final(run) else None

        run = _until(ended, RUN_TIMEOUT, f"the end of run {run_id}")
        say(f"   run {run_id} {run['state']}: {why(run)}")
        if run["state"] == "failed":
            say(f"   next: {run['next_step']} ({run['who_acts']})")
        return run

    def _messages(self) -> None:
        _step("What the chat received (Slack incoming webhook)")
        wanted = 10  # the start and the end of each run
        _until(lambda: len(self._platform.chat.slack.shown) >= wanted, 15.0, "the messages")
        for message in self._platform.chat.slack.shown:
            say("   " + message.text.splitlines()[0][:150])

    def _statuses(self, runs: list[Json]) -> None:
        _step("What the forge shows beside the commits (their statuses)")

        def shown() -> dict[str, str]:
            taken = self._platform.forge.statuses.taken  # those of prod wait for approval
            last = {one.sha: f"{one.state:<7}  {one.context}" for one in taken if one.context.endswith(f"/{STAGING}")}
            ended = {sha: words for sha, words in last.items() if not words.startswith("pending")}
            return ended if len(ended) == len(runs) else {}

        found = _until(shown, 15.0, "the statuses")
        for run in runs:
            say(f"   {run['commit'][:12]}  {found[run['commit']]}")

    def _receipt(self, run: Json) -> None:
        _step(f"The receipt of run {run['id']}")
        for name, value in (run["receipt"] or {}).items():
            say(f"   {name:<19} {', '.join(value) if isinstance(value, list) else value}")

    def _where_the_time_went(self, run: Json) -> None:
        _step(f"Where the time went (run {run['id']}, {took(run)} from push to healthy)")
        for stage in stages(run):
            seconds = float(stage.get("seconds") or 0.0)
            bar = "█" * max(0, round(seconds * 20))
            say(f"   {stage['name']:<7} {took(stage):>8}  {bar[:80]}")


def invitation(platform: "Platform", product: Product) -> Iterator[str]:
    """Say line by line how to play with what runs; each command works as it is printed."""
    from orchestrator.sandbox.platform import FORGE_USER, SOURCE

    token = product.state_dir / "token"
    push = platform.forge.clone_url(SOURCE).replace(
        "://", f"://{FORGE_USER}:{platform.environ()['GITOPS_TOKEN']}@", 1
    )
    yield f"Pages     {product.url}   (token: {token})"
    yield f"Chat      {platform.chat_url}"
    yield f"Push      git clone {push}"
    yield "          (user and token open this stand-in on this machine only)"
    yield f"Commands  . {shlex.quote(str(_environment(product)))}"
    yield f"          {called()} run list"
    yield f"          {called()} doctor"
    yield f"          {called()} run list --environment {PRODUCTION}"
    yield f"          (what was proven in {STAGING} waits there for `{called()} run approve RUN`)"
    yield "Ctrl-C ends everything and leaves nothing behind."


def write_environment(platform: "Platform", product: Product) -> None:
    """Write the file that a shell reads before any command: where that is, address, token, configuration, secrets."""
    variables = {
        "PILOTAGE_URL": product.url,
        "PILOTAGE_TOKEN_FILE": str(product.state_dir / "token"),
        "PILOTAGE_CONFIG": str(product.folder / "pilotage.yaml"),
        **platform.environ(),
    }
    file = _environment(product)
    file.touch(mode=0o600)
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    program = Path(sys.argv[0]).absolute()
    if program.name != _MODULE:  # what runs and pages say is to be done begins with `pilotage`
        lines.append(f'export PATH={shlex.quote(str(program.parent))}:"$PATH"\n')
    file.write_text("".join(lines))


def _environment(product: Product) -> Path:
    return product.folder / "environment"


def called() -> str:
    """Return how a shell that has read the file of `write_environment` calls this command."""
    name = Path(sys.argv[0]).name
    return f"{shlex.quote(sys.executable)} -m orchestrator.cli" if name == _MODULE else name


def typed() -> str:
    """Return how this command was called."""
    return called() if Path(sys.argv[0]).name == _MODULE else shlex.quote(sys.argv[0])


def _step(text: str) -> None:
    say()
    say(f"── {text}")


def _until(look: Callable[[], T | None], seconds: float, what: str) -> T:
    """Look again and again until something is found. :raises CliError: not within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise CliError(f"Waited {seconds:.0f} s for {what}, in vain.", Code.FAILED)


def _interrupt(_signal: int, _frame: object) -> None:
    """End the demo; a second Ctrl-C would leave behind what the first one is taking away."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # not SIG_IGN: programs that are started to tidy up would inherit it
    raise KeyboardInterrupt
