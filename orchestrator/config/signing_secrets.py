"""Secrets of Standard Webhooks: ``whsec_`` and a key in base64. One that is not neither signs nor proves anything."""

import base64
from typing import Annotated

from pydantic import AfterValidator

from orchestrator.config import types as t
from orchestrator.domain.apps import Secret

_PREFIX = "whsec_"
_SHAPE = "is not `whsec_` and a key in base64"


def _is_key(text: str) -> bool:
    try:
        return bool(base64.b64decode(text.removeprefix(_PREFIX), validate=True))
    except ValueError:  # also of what is not ASCII
        return False


def _signing_token(secret: Secret) -> Secret:
    text = secret.reveal()
    if not (text.startswith(_PREFIX) and _is_key(text)):
        raise t.wrong(f"{_SHAPE}; copy it again from the forge")
    return secret


def _callback_secret(secret: Secret) -> Secret:
    """Take one secret, or several apart by blanks or commas while one replaces another; any text without prefix."""
    texts = secret.reveal().replace(",", " ").split()
    if not texts:
        raise t.wrong("holds no secret")
    if any(text.startswith(_PREFIX) and not _is_key(text) for text in texts):
        raise t.wrong(f"{_SHAPE}; make one with `echo whsec_$(openssl rand -base64 32)`")
    return secret


SigningToken = Annotated[t.BearerToken, AfterValidator(_signing_token)]
CallbackSecret = Annotated[t.SecretText, AfterValidator(_callback_secret)]
