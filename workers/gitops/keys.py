"""The scalars of an environment's values file that a deploy changes, looked at before any deploy; pure."""

from dataclasses import dataclass

from orchestrator.domain.apps import Environment, Gitops
from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from workers.gitops.values import EditRefused, inspect, overridden


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What is there now: the image's tag as text, and one sentence about why changing it may do nothing (or "")."""

    tag: str
    warning: str


def look_at_keys(raw: bytes | None, gitops: Gitops, environment: Environment) -> Keys:
    """See that every scalar that a deploy changes is there and can be changed.

    :param raw: the values file; None = it is not in the repository.
    :raises Refused: VALUES_FILE_MISSING; VALUES_KEY_REFUSED, with file, line and cause.
    """
    if raw is None:
        raise Refused(Reason.VALUES_FILE_MISSING, f"{environment.values} in {gitops.branch}")
    more = {"digest_key": environment.digest_key, "repository_key": environment.repository_key}
    keys = {"key": environment.key, **{name: key for name, key in more.items() if key}}
    texts = [_text(raw, name, key, environment.values) for name, key in keys.items()]
    warning = "" if environment.digest_key else overridden(raw, environment.key)
    return Keys(tag=texts[0], warning=warning)


def _text(raw: bytes, name: str, key: str, file: str) -> str:
    try:
        return inspect(raw, key)
    except EditRefused as refusal:
        line = f":{refusal.line}" if refusal.line else ""
        raise Refused(Reason.VALUES_KEY_REFUSED, f"{file}{line}: {refusal.detail} (`{name}`)") from refusal
