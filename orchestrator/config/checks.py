"""Checks of the file as a whole: names that clash, promotions that lead nowhere, two writers of one value.

Every check looks at the plain tree, so it finds its mistakes in the same pass as the models find theirs, however
broken the file is elsewhere.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Any, get_args
from urllib.parse import SplitResult, urlsplit

from orchestrator.config.document import Document
from orchestrator.config.models import FORGES, LogLevel
from orchestrator.config.problems import Path
from orchestrator.config.types import repo_url
from orchestrator.domain.paths import Index, parse_path
from orchestrator.domain.refs import is_on

DEFAULT_KEY = "image.tag"
TRUE = frozenset({"1", "on", "t", "true", "y", "yes"})
"""What the models read as true, in lower case."""


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping of the file and where it is; anything that is not a mapping counts as an empty one."""

    path: Path
    values: dict[str, Any]

    def text(self, key: str, default: str = "") -> str:
        """Return the text of a key, or `default` when it is absent or not a text."""
        value = self.values.get(key)
        return value if isinstance(value, str) else default

    def at(self, key: str) -> Path:
        """Return the path of a key."""
        return (*self.path, key)

    def inner(self, key: str) -> "Section":
        """Return the mapping under a key."""
        value = self.values.get(key)
        return Section(self.at(key), value if isinstance(value, dict) else {})

    def items(self, key: str) -> Iterator["Section"]:
        """Yield the mappings of the list under a key."""
        value = self.values.get(key)
        for number, item in enumerate(value if isinstance(value, list) else []):
            if isinstance(item, dict):
                yield Section((*self.at(key), number), item)


def check(document: Document) -> None:
    """Add every problem that one key alone cannot show to the document."""
    top = Section((), document.tree if isinstance(document.tree, dict) else {})
    apps = list(top.items("apps"))
    _unique(document, apps, "app")
    _former_names(document, apps, "app")
    for app in apps:
        _app(document, app, top.inner("registry"))
    _writers(document, apps)
    for name, key in (("registry", "url"), ("registry", "token_url"), ("argocd", "url")):
        _plain_http(document, top.inner(name), key)
    _git_access(document, top.inner("gitops"))
    _gitlab(document, top.inner("webhooks"))
    _notify(document, list(top.items("notify")), apps)


def check_environment(document: Document, environ: Mapping[str, str]) -> None:
    """Add what is wrong with environment variables that override keys of the file."""
    level = environ.get("PILOTAGE_LOG_LEVEL", "").lower()
    if level and level not in get_args(LogLevel):
        hint = closest(level, list(get_args(LogLevel)))
        document.add(("server", "log_level"), f"PILOTAGE_LOG_LEVEL names no level, `{level}`; {hint}")


def closest(word: str, known: list[str]) -> str:
    """Make a hint: the known name that is most like `word`, or the list of them."""
    match = get_close_matches(word, known, n=1, cutoff=0.6)
    if match:
        return f"did you mean `{match[0]}`?"
    return f"known here: {', '.join(sorted(known))}" if known else "there is none"


def _unique(document: Document, sections: list[Section], what: str) -> None:
    first: dict[str, Section] = {}
    for section in sections:
        name = section.text("name")
        if name and name in first:
            line = document.line(first[name].at("name"))
            document.add(section.at("name"), f"a second {what} called `{name}`; the first is on line {line}")
        first.setdefault(name, section)


def _former_names(document: Document, sections: list[Section], what: str) -> None:
    """Find former names that do not lead to one present name."""
    present = {section.text("name"): section for section in sections}
    first: dict[str, Section] = {}
    for section in sections:
        names = section.values.get("former_names")
        for number, name in enumerate(names if isinstance(names, list) else []):
            path = (*section.at("former_names"), number)
            if not isinstance(name, str):
                continue
            if name in present:
                line = document.line(present[name].at("name"))
                document.add(path, f"`{name}` is the name of the {what} on line {line}; its history stays there")
            elif name in first:
                line = document.line(first[name].at("former_names"))
                document.add(path, f"a second {what} that was called `{name}`; the first is on line {line}")
            first.setdefault(name, section)


def _app(document: Document, app: Section, registry: Section) -> None:
    environments = list(app.items("environments"))
    _git_access(document, app)
    _image(document, app, registry)
    _build(document, app.inner("build"))
    _unique(document, environments, "environment")
    _former_names(document, environments, "environment")
    _promotions(document, environments)
    for environment in environments:
        _environment(document, environment)


def _image(document: Document, app: Section, registry: Section) -> None:
    image = app.text("image")
    host = _split(registry.text("url")).netloc
    if host and image.startswith(f"{host}/"):
        document.add(app.at("image"), "begins with the registry's host; leave it out")
    elif image and "/" not in image and registry.text("harbor", "true").lower() in TRUE:
        document.add(app.at("image"), "needs a Harbor project in front, as in `project/name`")


def _build(document: Document, build: Section) -> None:
    if build.text("builder") == "classic" and build.values.get("secrets"):
        document.add(build.at("secrets"), "only BuildKit mounts secrets; leave `builder: classic` out")


def _environment(document: Document, environment: Section) -> None:
    if not {"branch", "tag", "promote_from"} & environment.values.keys():
        document.add(environment.path, "nothing ever runs here; give it a `branch`, a `tag` or `promote_from`")
    keys = [environment.text("key", DEFAULT_KEY), environment.text("digest_key"), environment.text("repository_key")]
    for number, name in ((1, "digest_key"), (2, "repository_key")):
        if keys[number] and keys[number] in keys[:number]:
            document.add(environment.at(name), f"names the same value as another key here: `{keys[number]}`")


def _promotions(document: Document, environments: list[Section]) -> None:
    sources = {section.text("name"): section.text("promote_from") for section in environments}
    for section in environments:
        name, source = section.text("name"), section.text("promote_from")
        if not source:
            continue
        if source not in sources:
            others = [other for other in sources if other not in ("", name)]
            hint = closest(source, others) if others else "it has no other environment than this one"
            document.add(section.at("promote_from"), f"there is no environment `{source}` in this app; {hint}")
        elif cycle := _cycle(sources, name):
            document.add(section.at("promote_from"), f"leads back to itself: {' <- '.join(cycle)}")


def _cycle(sources: dict[str, str], name: str) -> list[str]:
    """Follow the promotions from `name`; return the names of the round trip, or nothing when there is none."""
    trail = [name]
    while (source := sources.get(trail[-1], "")) and source not in trail[1:]:
        trail.append(source)
        if source == name:
            return trail
    return []


def _writers(document: Document, apps: list[Section]) -> None:
    """Find two environments that write the same value: each deploy of one would undo the other's."""
    first: dict[tuple[object, ...], Section] = {}
    for environment in (environment for app in apps for environment in app.items("environments")):
        file = environment.text("values")
        names = {
            environment.text("key", DEFAULT_KEY),
            environment.text("digest_key"),
            environment.text("repository_key"),
        }
        for name in sorted(names - {""}) if file else []:
            target = (str(PurePosixPath(file)), *_same(name))
            if target in first:
                line = document.line(first[target].path)
                message = f"`{name}` of this file is already written by the environment on line {line}"
                document.add(environment.at("values"), message)
            first.setdefault(target, environment)


def _same(key: str) -> tuple[object, ...]:
    """Reduce a key path to what it names, so that ``a.0`` and ``a[0]`` are the same; an invalid one stays a text."""
    try:
        path = parse_path(key)
    except ValueError:
        return (key,)
    return path.document, *(
        str(step.number) if isinstance(step, Index) else getattr(step, "text", step) for step in path.steps
    )


def _git_access(document: Document, section: Section) -> None:
    """Check that the credentials fit the address, if it is one; else its key's own rule has refused it."""
    _plain_http(document, section, "repo")
    url = section.text("repo")
    if not _is_repo_url(url):
        return
    if url.startswith(("https://", "http://")):
        if "ssh_key" in section.values:
            document.add(section.at("ssh_key"), "is not used with an `https` address; use `token`")
    else:
        if "token" in section.values:
            document.add(section.at("token"), "is not used with an `ssh` address; use `ssh_key`")
        missing = [key for key in ("ssh_key", "known_hosts") if section.at(key) not in document.broken]
        missing = [f"`{key}`" for key in missing if not section.text(key)]
        if missing:
            document.add(section.at("repo"), f"is an `ssh` address, which needs {' and '.join(missing)}")


def _is_repo_url(text: str) -> bool:
    try:
        repo_url(text)
    except ValueError:
        return False
    return True


def _plain_http(document: Document, section: Section, key: str) -> None:
    url = section.text(key)
    host = _split(url).hostname if url.startswith("http://") else None
    if host and not is_loopback(host) and section.text("insecure", "false").lower() not in TRUE:
        document.add(section.at(key), "is not encrypted; use `https`, or set `insecure: true` to send it readable")


def _split(url: str) -> SplitResult:
    """Split an address; one that cannot be split counts as empty (its key's own rule has refused it)."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address can only mean this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _gitlab(document: Document, hooks: Section) -> None:
    if "gitlab" in hooks.values and not {"token", "signing"} & hooks.inner("gitlab").values.keys():
        document.add(hooks.at("gitlab"), "needs `token` or `signing`; without a secret no delivery is accepted")


def _notify(document: Document, entries: list[Section], apps: list[Section]) -> None:
    destinations = []
    for entry in entries:
        kinds = [kind for kind in ("slack", "webhook", "commit_status") if kind in entry.values]
        if len(kinds) != 1:
            document.add(entry.path, "must hold exactly one destination: `slack`, `webhook` or `commit_status`")
        destinations += [entry.inner(kind) for kind in kinds]
    _unique(document, destinations, "destination")
    for section in destinations:
        _destination(document, section, [app.text("name") for app in apps])
        if section.path[-1] == "commit_status":
            _commit_status(document, section, [repo for app in apps for repo in _addresses(app)])


def _commit_status(document: Document, section: Section, repos: list[str]) -> None:
    url = section.text("url") or FORGES.get(section.text("forge"), "")
    if not url:
        document.add(section.path, "needs `url`: where the forge is")
    elif _is_api(url):
        document.add(section.at("url"), "is an address of the API or of a group; give that of the forge's pages")
    elif repos and not section.values.get("apps") and not any(_is_on(url, repo) for repo in repos):
        document.add(
            section.path, f"no app has its `repo` on {_split(url).netloc}; name the `apps`, or correct `url`"
        )


def _is_on(forge: str, repo: str) -> bool:
    """Tell whether a repository is on a forge; of an address that is none, its key's own rule says so."""
    try:
        return is_on(forge, repo)
    except ValueError:
        return True


def _addresses(app: Section) -> list[str]:
    """List the addresses of an app's repository that can be read."""
    aliases = app.values.get("aliases")
    given = [app.text("repo"), *(aliases if isinstance(aliases, list) else [])]
    return [one for one in given if isinstance(one, str) and _is_repo_url(one)]


def _is_api(url: str) -> bool:
    parts = _split(url)
    path = parts.path.strip("/")
    public = parts.hostname in ("github.com", "gitlab.com")
    return parts.hostname == "api.github.com" or "api" in path.split("/") or (public and path != "")


def _destination(document: Document, section: Section, apps: list[str]) -> None:
    given = {"webhook", "token", "channel"} & section.values.keys()
    if section.path[-1] == "slack" and given not in ({"webhook"}, {"token", "channel"}):
        document.add(section.path, "needs either `webhook`, or `token` and `channel`")
    elif "buttons" in section.values and "webhook" in given:
        document.add(section.at("buttons"), "needs a bot (`token`): what a `webhook` has posted cannot be edited")
    for key in ("webhook", "url"):
        _plain_http(document, section, key)
    names = section.values.get("apps")
    for number, name in enumerate(names if isinstance(names, list) else []):
        if isinstance(name, str) and name not in apps:
            document.add((*section.at("apps"), number), f"there is no app `{name}`; {closest(name, apps)}")
