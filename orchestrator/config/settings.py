"""From the validated file to the frozen values that the rest of Pilotage speaks about."""

import hashlib
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from orchestrator.config import app_models, base, models, slack_models
from orchestrator.domain import apps as domain
from orchestrator.domain.refs import is_on


def settings(
    config: models.Config,
    folder: Path,
    environ: Mapping[str, str],
    warnings: tuple[str, ...],
    origins: Mapping[str, tuple[str, ...]],
) -> domain.Settings:
    """Turn the models into settings.

    :param folder: where the file is; a relative ``state_dir`` starts there.
    """
    server = config.server
    return domain.Settings(
        registry=_registry(config.registry),
        gitops=_gitops(config.gitops),
        argocd=_argocd(config.argocd),
        hooks=tuple(_hooks(config.webhooks)),
        channels=tuple(_channels(config)),
        apps=tuple(_app(app) for app in config.apps),
        state_dir=state_dir(server.state_dir, folder, environ),
        database=server.database,
        broker=server.broker,
        external_url=server.external_url or "",
        webhook_url=server.webhook_url or "",
        docker_host=config.docker.host or environ.get("DOCKER_HOST", ""),
        session_key=_secret(server.session_key),
        bind=server.bind,
        concurrency=server.concurrency,
        poll_interval=server.poll_interval,
        keep=server.keep,
        max_body=server.max_body,
        log_level=environ.get("PILOTAGE_LOG_LEVEL", "").lower() or server.log_level,
        warnings=warnings,
        origins=origins,
    )


def state_dir(written: str, folder: Path, environ: Mapping[str, str]) -> str:
    """Return where the state folder is. :param written: what the file says. :param folder: where the file is."""
    state = written or environ.get("PILOTAGE_STATE_DIR") or "state"
    return str((folder / Path(state).expanduser()).absolute())


def _secret(value: domain.Secret | None) -> domain.Secret:
    return value or domain.Secret("")


def _registry(registry: models.Registry) -> domain.Registry:
    return domain.Registry(
        url=registry.url,
        username=registry.username,
        password=_secret(registry.password),
        ca_file=registry.ca_file,
        token_url=registry.token_url,
        harbor=registry.harbor,
    )


def _access(keys: base.GitKeys, url: str) -> domain.GitAccess:
    return domain.GitAccess(
        url=url,
        username=keys.username,
        token=_secret(keys.token),
        ssh_key=keys.ssh_key,
        known_hosts=keys.known_hosts,
        ca_file=keys.ca_file,
    )


def _gitops(gitops: models.Gitops) -> domain.Gitops:
    return domain.Gitops(
        access=_access(gitops, gitops.repo),
        aliases=tuple(gitops.aliases),
        branch=gitops.branch,
        author=domain.Author(name=gitops.author.name, email=gitops.author.email),
        message=gitops.message,
        signing_format=gitops.signing.format if gitops.signing else "",
        signing_key=gitops.signing.key if gitops.signing else "",
    )


def _argocd(argocd: models.ArgoCD) -> domain.ArgoCD:
    return domain.ArgoCD(url=argocd.url, token=_secret(argocd.token), ca_file=argocd.ca_file)


def _hooks(webhooks: models.Webhooks) -> list[domain.Hook]:
    hooks = []
    for name, field in models.Webhooks.model_fields.items():
        hook = getattr(webhooks, name)
        if isinstance(hook, models.GitlabHook):
            secret, signing = _secret(hook.token), _secret(hook.signing)
        elif hook is not None:
            secret, signing = hook.secret, domain.Secret("")
        else:
            continue
        forge = field.alias or name
        hooks.append(domain.Hook(forge=forge, secret=secret, previous=_secret(hook.previous), signing=signing))
    return hooks


def _channels(config: models.Config) -> list[domain.Channel]:
    """Make the channels; one without a name is called by its kind and address, whatever else is in the list."""
    given = [_channel(entry, config.apps) for entry in config.notify]
    names = [channel.name for channel in given]
    numbers, digests = list(names), list(names)
    for at, channel in enumerate(given):
        kind = channel.kind.removesuffix("-api")
        digest = f"{kind}-{_address_digest(channel)}"
        numbers[at] = names[at] or _free((f"{kind}-{number}" for number in count(1)), numbers)
        digests[at] = names[at] or _free(chain([digest], (f"{digest}-{number}" for number in count(2))), digests)
        former = digest if names[at] else numbers[at]
        given[at] = replace(channel, name=digests[at], former_names=(former,))
    return given


def _free(wanted: Iterable[str], taken: Container[str]) -> str:
    return next(name for name in wanted if name not in taken)


def _address_digest(channel: domain.Channel) -> str:
    """Digest where a channel leads; the address may be a secret itself, so that little of the digest is shown."""
    address = channel.url or channel.target or channel.secret.reveal()
    return hashlib.sha256(f"{channel.kind} {address}".encode()).hexdigest()[:8]


def _channel(entry: models.Notify, apps: list[app_models.App]) -> domain.Channel:
    if entry.commit_status is not None:
        return _status(entry.commit_status, apps)
    if entry.webhook is not None:
        return _destination(entry.webhook, "webhook", secret=entry.webhook.secret, url=entry.webhook.url)
    slack = entry.slack or models.Slack()
    if slack.webhook is not None:
        return _destination(slack, "slack", secret=slack.webhook)
    channel = _destination(slack, "slack-api", secret=_secret(slack.token), target=slack.channel)
    return replace(channel, buttons=_buttons(slack.buttons)) if slack.buttons else channel


def _buttons(buttons: slack_models.SlackButtons) -> domain.ButtonRules:
    return domain.ButtonRules(secret=buttons.signing_secret, team=buttons.team, people=frozenset(buttons.people))


def _status(status: models.CommitStatus, apps: list[app_models.App]) -> domain.Channel:
    """Make the channel of a forge. It is no stranger: like a repository's, its address may be a private one."""
    url = status.url or models.FORGES[status.forge]
    there = [app.name for app in apps if any(is_on(url, repo) for repo in (app.repo, *app.aliases))]
    return domain.Channel(
        name=status.name or "",
        kind=f"{status.forge}-status",
        secret=status.token,
        url=url,
        apps=frozenset(status.apps or there),
        allow_private=True,
        ca_file=status.ca_file,
    )


def _destination(
    place: models.MessageDestination, kind: str, *, secret: domain.Secret, url: str = "", target: str = ""
) -> domain.Channel:
    return domain.Channel(
        name=place.name or "",
        kind=kind,
        secret=secret,
        url=url,
        target=target,
        on=frozenset(place.on),
        apps=frozenset(place.apps),
        allow_private=place.allow_private,
    )


def _app(app: app_models.App) -> domain.App:
    return domain.App(
        name=app.name,
        former_names=tuple(app.former_names),
        source=_access(app, app.repo),
        image=app.image,
        environments=tuple(_environment(environment) for environment in app.environments),
        build=_build(app.build),
        scan=domain.Scan(fail_on=app.scan.fail_on or "", timeout=app.scan.timeout),
        aliases=tuple(app.aliases),
    )


def _build(build: app_models.Build) -> domain.Build:
    return domain.Build(
        context=build.context,
        dockerfile=build.dockerfile,
        target=build.target,
        args=tuple(build.args.items()),
        platform=build.platform,
        network=build.network,
        builder=build.builder,
        paths=tuple(build.paths),
        timeout=build.timeout,
        pull=build.pull,
        submodules=build.submodules,
        secrets=tuple(build.secrets.items()),
    )


def _environment(environment: app_models.Environment) -> domain.Environment:
    return domain.Environment(
        name=environment.name,
        former_names=tuple(environment.former_names),
        values=environment.values,
        argocd=environment.argocd,
        branch=environment.branch or "",
        tag=environment.tag or "",
        key=environment.key,
        value=environment.value,
        digest_key=environment.digest_key or "",
        repository_key=environment.repository_key or "",
        project=environment.project,
        app_namespace=environment.app_namespace,
        promote_from=environment.promote_from or "",
        approval=environment.approval == "required",
        sync=environment.sync,
        sync_timeout=environment.sync_timeout,
        health_timeout=environment.health_timeout,
        degraded_grace=environment.degraded_grace,
        rollback=environment.rollback == "auto",
    )
