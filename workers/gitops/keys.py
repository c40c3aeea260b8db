"""The scalars of an environment's values file that a deploy changes, looked at before any deploy; pure."""

from dataclasses import dataclass

from orchestrator.domain.apps import Environment, Gitops
from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from orchestrator.domain.refs import Reference
from orchestrator.domain.wording import shorten
from workers.gitops.values import EditRefused, overridden, scalar_of, shared

_DIGESTS = ("sha256:", "sha512:")
_MAX_TEXT = 100
"""Characters of a value that a refusal tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentValue:
    """The image's tag in the values file. ``warning``: why changing it may do nothing, or too much; or ""."""

    tag: str
    warning: str


def look_at_keys(raw: bytes | None, gitops: Gitops, environment: Environment) -> CurrentValue:
    """See that every scalar that a deploy changes is there and can be changed.

    :param raw: the values file; None = it is not in the repository.
    :raises Refused: VALUES_FILE_MISSING; VALUES_KEY_REFUSED, with file, line and cause, also for a whole image that
        would be lost under a tag.
    """
    if raw is None:
        raise Refused(Reason.VALUES_FILE_MISSING, f"{environment.values} in {gitops.branch}")
    more = {"digest_key": environment.digest_key, "repository_key": environment.repository_key}
    keys = {"key": environment.key, **{name: key for name, key in more.items() if key}}
    texts = [_text(raw, name, key, environment) for name, key in keys.items()]
    warnings = ["" if environment.digest_key else overridden(raw, environment.key)]
    warnings += [shared(raw, key) for key in keys.values()]
    return CurrentValue(tag=texts[0], warning="; ".join(filter(None, warnings)))


def _text(raw: bytes, name: str, key: str, environment: Environment) -> str:
    try:
        scalar = scalar_of(raw, key)
        lost = _lost(name, environment.value, scalar.text)
        if lost:
            raise EditRefused(scalar.line, f"{key} is {shorten(scalar.text, _MAX_TEXT)!r}, {lost}")
    except EditRefused as refusal:
        line = f":{refusal.line}" if refusal.line else ""
        evidence = f"{environment.values}{line}: {refusal.detail} (`{name}`)"
        raise Refused(Reason.VALUES_KEY_REFUSED, evidence) from refusal
    return scalar.text


def _lost(name: str, value: str, text: str) -> str:
    """Say what a deploy would take away that stands there now, and what to set instead; "" for nothing.

    A tag may be followed by a digest (``1.2@sha256:...``), and some charts take a tag or a digest in one field.
    """
    whole = "a whole image, and only its {} would be left: "
    elsewhere = whole + "name it in `key`, with `value: image`"
    if name == "repository_key":
        return elsewhere.format("name") if Reference.parse(text).version else ""
    if (name == "key" and value == "image") or text.startswith(_DIGESTS):
        return ""
    if not set("/:") & set(text.partition("@")[0]):
        return ""
    return elsewhere.format("digest") if name == "digest_key" else whole.format(value) + "set `value: image`"
