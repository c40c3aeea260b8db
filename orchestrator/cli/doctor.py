"""``pilotage doctor``: ask every configured service once, and say what to do where one does not answer well."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.assembly import open_database, parts
from orchestrator.cli.claim import make_state_folder
from orchestrator.cli.errors import CliError, ending
from orchestrator.cli.findings import Check, CheckResult, Doubt
from orchestrator.domain.apps import App, Channel, Environment, Settings
from orchestrator.domain.durations import words
from orchestrator.domain.errors import PilotageError, Refused
from orchestrator.domain.events import DeliveryOutcome
from orchestrator.domain.masking import Mask
from orchestrator.domain.reasons import Reason, explain
from orchestrator.domain.secrets import secrets_in
from orchestrator.domain.wording import sentence
from orchestrator.engine.matching import watched_branches

if TYPE_CHECKING:
    from workers.clients.argocd import ArgoClient
    from workers.clients.git import Mirror
    from workers.clients.registry import RegistryClient

_CREDENTIALS = ("username", "password", "token", "ssh_key")
_ANY_PROJECT = "library"
"""Harbor's first project; whether it is there does not matter where only the login is proven."""
_DAY = 86400.0
"""Seconds for which a refused delivery is reported."""
_LITTLE = 2**30
"""Bytes that should be free for the tables, the copies of repositories and their packing."""
_SKEW = 5.0
"""Difference of two clocks in seconds that is reported; a measurement is more exact than that."""


def examine(settings: Settings, file: Path) -> Iterator[CheckResult]:
    """Run all checks, and yield each result as it comes. Secrets never appear.

    :param file: the configuration, which warnings name with their line.
    """
    mask = Mask(secrets_in(settings))
    for warning in settings.warnings:
        yield CheckResult("note", "", mask(f"{file}:{warning}"))
    broken: dict[str, str] = {}
    for check in _checks(settings):
        missing = [broken[section] for section in check.needs if section in broken]
        if missing:
            yield CheckResult("note", check.name, f"not checked, since this failed: {'; '.join(missing)}")
            continue
        yield _asked(settings, check, mask, broken)
    for said in (*_full(Path(settings.state_dir)), *_orphans(settings)):
        yield CheckResult("note", "", mask(said))
    refused = _refused(settings)
    for hook in settings.hooks:
        yield _address(settings, hook.forge)
        if hook.forge in refused:
            yield replace(refused[hook.forge], detail=mask(refused[hook.forge].detail))
    for chat in _chats(settings):
        yield _address(settings, chat, "into the app's settings in the chat, as Request URL for interactivity")


def _asked(settings: Settings, check: Check, mask: Mask, broken: dict[str, str]) -> CheckResult:
    """Ask, and note in `broken` the section whose credentials do not do."""
    try:
        return CheckResult("ok", check.name, mask(check.ask()))
    except Doubt as doubt:
        return CheckResult("note", check.name, mask(str(doubt)), (doubt.next_step,))
    except (CliError, OSError) as error:
        return CheckResult("fail", check.name, mask(str(error if isinstance(error, CliError) else ending(error))))
    except PilotageError as error:
        broken.setdefault(check.section, check.name)
        return _failure(settings, check, error, mask)


def _failure(settings: Settings, check: Check, error: PilotageError, mask: Mask) -> CheckResult:
    step = explain(error.reason).next_step
    steps = (step, *_origins(settings, check.section, step))
    return CheckResult("fail", check.name, sentence(error.reason, mask(error.evidence)), steps)


def _origins(settings: Settings, section: str, next_step: str) -> Iterator[str]:
    """Say where the credentials in the next step come from: mostly they are wrong there."""
    for name in _CREDENTIALS:
        key = f"{section}.{name}"
        if key in settings.origins and (f"`{name}`" in next_step or f"`{key}`" in next_step):
            yield f"`{key}` comes from {' and '.join(settings.origins[key])}."


def _checks(settings: Settings) -> Iterator[Check]:
    from workers.clients.argocd import ArgoClient
    from workers.clients.docker import Engine
    from workers.clients.git import GITOPS, Mirror, mirror_folder
    from workers.clients.registry import RegistryClient

    root = Path(settings.state_dir)
    # To make a mirror judges the credentials, which belongs to the check that needs it.
    gitops = partial(Mirror, settings.gitops.access, mirror_folder(root, settings.gitops.access.url), reasons=GITOPS)
    argocd = ArgoClient(settings.argocd)
    registry = RegistryClient(settings.registry)
    yield Check("state folder", lambda: _writable(root))
    yield Check("database", lambda: _database(settings))
    if settings.broker:
        yield Check("broker", lambda: _broker(settings))
    yield Check("Docker engine", Engine(settings.docker_host).ping)
    yield Check(f"GitOps repository, branch {settings.gitops.branch}", lambda: _branch(gitops(), settings), "gitops")
    if settings.gitops.signing_format:
        yield Check("signatures of commits", lambda: _signs(gitops(), settings), "gitops.signing", ("gitops",))
    yield Check("Argo CD", lambda: f"{argocd.version()}, account {argocd.userinfo()}", "argocd")
    if not settings.apps:  # else each app's right to push is asked for, which proves more
        yield Check("registry", lambda: _login(settings, registry), "registry")
    for channel in settings.channels:
        yield from _channel(settings, channel)
    for number, app in enumerate(settings.apps):
        yield Check(f"{app.name}: source repository", partial(_source, root, app), f"apps[{number}]")
        yield Check(f"{app.name}: push to {app.image}", partial(_push, settings, registry, app), "registry")
        if app.scan.fail_on and settings.registry.harbor:
            yield Check(f"{app.name}: scans of {app.image}", partial(_scan, settings, app), "registry")
        for environment in app.environments:
            yield Check(
                f"{app.name}/{environment.name}: values file and application",
                partial(_place, settings, gitops, argocd, app, environment),
                needs=("gitops", "argocd"),
            )


def _chats(settings: Settings) -> list[str]:
    """Name the chats that have a destination with buttons."""
    from webhooks.chats import CHATS

    kinds = {channel.kind for channel in settings.channels if channel.buttons is not None}
    return [chat.name for chat in CHATS.values() if chat.kind in kinds]


def _address(settings: Settings, name: str, where: str = "into the forge") -> CheckResult:
    """Say what to enter elsewhere. :param name: of the forge or chat. :param where: where it goes."""
    base = settings.webhook_url or settings.external_url
    listens = f"http://{settings.bind}"
    unknown = f"That is where Pilotage listens; set `server.external_url` to the address by which {name} reaches it."
    said = f"paste this address {where}: {base or listens}/webhooks/{name}"
    return CheckResult("hook", name, said, () if base else (unknown,))


def _refused(settings: Settings) -> dict[str, CheckResult]:
    """Return the forges whose newest delivery was refused in the last day; none if the database is not there."""
    from orchestrator.store import deliveries, migrate

    try:
        with closing(open_database(settings)) as database, database.read() as connection:
            if migrate.current(database) != migrate.expected():
                return {}
            newest = [row for hook in settings.hooks for row in deliveries.page(connection, hook=hook.forge, limit=1)]
    except PilotageError:
        return {}  # the check of the database has said so
    since = time.time() - _DAY
    refused = [row for row in newest if row["outcome"] == DeliveryOutcome.REFUSED and row["received_at"] > since]
    return {row["hook"]: _refusal(row) for row in refused}


def _orphans(settings: Settings) -> list[str]:
    """Say what the tables have of what is not configured any more; nothing if the database is not there."""
    from orchestrator.services.orphans import orphans
    from orchestrator.store import migrate

    try:
        with closing(open_database(settings)) as database, database.read() as connection:
            return orphans(connection, settings) if migrate.current(database) == migrate.expected() else []
    except PilotageError:
        return []  # the check of the database has said so


def _refusal(row: Mapping[str, Any]) -> CheckResult:
    age = words(max(0.0, time.time() - row["received_at"]))
    why = f"{row['reason']}: {row['detail'].rstrip('.')}"
    steps = [f"`pilotage delivery list --hook {row['hook']} --outcome refused` shows the last ones."]
    if row["reason"] == "signature":
        steps.append("Set the same secret on both sides, restart, and have the forge deliver again.")
    said = f"the newest delivery, {age} ago from {row['remote']}, was refused ({why})"
    return CheckResult("note", row["hook"], said, tuple(steps))


def _writable(root: Path) -> str:
    make_state_folder(root, written=True)
    return str(root)


def _full(root: Path) -> Iterator[str]:
    """Say where little is left of a disk: what is accepted is written down first, so a full one ends all work."""
    with suppress(OSError):  # the check of the state folder has said so
        free = shutil.disk_usage(root).free
        if free < _LITTLE:
            yield f"only {free // 2**20} MiB are free below {root}: make room before Pilotage can take no more pushes"


def _database(settings: Settings) -> str:
    from orchestrator.store import migrate

    with closing(open_database(settings)) as database:
        database.ping()
        current, refusal, ahead = migrate.current(database), migrate.other(database), database.ahead()
    if not current:
        return "empty; `pilotage up` or `pilotage migrate` makes the tables"
    if refusal is not None:
        raise refusal
    if abs(ahead) < _SKEW:
        return f"schema {current}"
    order = "behind" if ahead > 0 else "ahead of"
    clocks = f"this machine's clock is {abs(ahead):.0f} s {order} that of the database"
    raise Doubt(f"schema {current}; but {clocks}", "Set the clocks of both by NTP; leases and times go by them.")


def _broker(settings: Settings) -> str:
    parts(settings).bell().ping()
    return "answers"


def _channel(settings: Settings, channel: Channel) -> Iterator[Check]:
    from workers.notifiers.statuses import look as look_at
    from workers.notifiers.table import LOOKS, PLACES
    from workers.notifiers.tools import NotifierTools

    if channel.kind in PLACES:
        for app in (one for one in settings.apps if one.name in channel.apps):
            repo = app.source.url
            see = partial(look_at, PLACES[channel.kind](channel, repo), channel, repo)
            yield Check(f"{app.name}: statuses of commits ({channel.name})", see, "notify")
    elif channel.kind in LOOKS:
        look = partial(LOOKS[channel.kind], channel, NotifierTools(now=time.time))
        yield Check(f"messages to {channel.name}", look, "notify")
    elif channel.url:
        yield Check(f"callback {channel.name}", partial(_callback, channel), "notify")


def _callback(channel: Channel) -> str:
    from workers.clients.outbound import check

    return f"leads to {check(channel.url, allow_private=channel.allow_private)}; nothing was sent"


def _branch(mirror: "Mirror", settings: Settings) -> str:
    head = mirror.try_push(settings.gitops.branch)
    return f"at {head[:12]}, and this account may push to the repository"


def _signs(mirror: "Mirror", settings: Settings) -> str:
    from workers.clients.git import Signing

    gitops = settings.gitops
    signing = Signing(format=gitops.signing_format, key=gitops.signing_key)
    mirror.try_sign(mirror.fetch_branch(gitops.branch), gitops.author, signing)
    return f"the {signing.format} key {signing.key} can sign"


def _source(root: Path, app: App) -> str:
    from workers.clients.git import Mirror, mirror_folder

    return _heads(Mirror(app.source, mirror_folder(root, app.source.url)), app)


def _heads(mirror: "Mirror", app: App) -> str:
    heads = {ref.removeprefix("refs/heads/") for ref in mirror.ls_remote(None) if ref.startswith("refs/heads/")}
    number = "1 branch" if len(heads) == 1 else f"{len(heads)} branches"
    missing = [f"`{branch}`" for branch in watched_branches(app) if branch not in heads]
    if missing:
        step = "No push starts a run there: push that branch, or correct `branch`, unless it is meant so."
        raise Doubt(f"{number}; but none is called {' or '.join(missing)}", step)
    return number


def _login(settings: Settings, registry: "RegistryClient") -> str:
    """Prove that the registry answers and, where that can be told without an app's image, that it takes our login."""
    from workers.clients.harbor import Harbor

    registry.ping()
    if not settings.registry.harbor:
        return "answers; whether it takes our login shows once an app is configured"
    Harbor(settings.registry).project_exists(_ANY_PROJECT)
    return f"answers, and takes the login of {settings.registry.username or 'nobody'}"


def _push(settings: Settings, registry: "RegistryClient", app: App) -> str:
    from workers.clients.harbor import Harbor

    project = app.image.split("/", 1)[0]
    if settings.registry.harbor and not Harbor(settings.registry).project_exists(project):
        raise Refused(Reason.REGISTRY_PROJECT_MISSING, f"project {project} on {settings.registry.host}")
    registry.check_push(app.image)
    return "allowed"


def _scan(settings: Settings, app: App) -> str:
    from workers.clients.harbor import Harbor

    project, _, repository = app.image.partition("/")
    named = Harbor(settings.registry).check_scan(project, repository)
    return "allowed" if named else "allowed; findings are counted but not named without `artifact-addition: read`"


def _place(
    settings: Settings, make: "Callable[[], Mirror]", argocd: "ArgoClient", app: App, environment: Environment
) -> str:
    return _environment(settings, make(), argocd, app, environment)


def _environment(
    settings: Settings, gitops: "Mirror", argocd: "ArgoClient", app: App, environment: Environment
) -> str:
    from workers.gitops.keys import look_at_keys
    from workers.stages.reading import require_reader

    raw = gitops.read(gitops.fetch_branch(settings.gitops.branch), environment.values)
    keys = look_at_keys(raw, settings.gitops, environment)
    application = argocd.get(environment.argocd, project=environment.project, app_namespace=environment.app_namespace)
    require_reader(argocd, application, settings, app, environment)
    if environment.sync:
        _may_sync(argocd, application, environment)
    warning = f"; but {keys.warning}" if keys.warning else ""
    return f"{environment.key} is {keys.tag!r}, {environment.argocd} reads it{warning}"


def _may_sync(argocd: "ArgoClient", application: Mapping[str, Any], environment: Environment) -> None:
    project = str((application.get("spec") or {}).get("project") or "default")
    name = f"{environment.app_namespace}/{environment.argocd}" if environment.app_namespace else environment.argocd
    if not argocd.can_i("sync", project, name):
        raise Refused(Reason.ARGOCD_FORBIDDEN, f"sync of {project}/{name}, which `sync: true` needs")
