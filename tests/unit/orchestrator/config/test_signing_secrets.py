"""Secrets that could neither sign a callback nor prove a delivery are found before the first one is lost."""

import pytest

from tests.support.configs import VALID, found, look, spoiled

SIGNING = spoiled("gitlab: {token: ${GITLAB_TOKEN}}", "gitlab: {signing: ${GITLAB_TOKEN}}")
KEY = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
NO_TOKEN = "is not `whsec_` and a key in base64; copy it again from the forge"
NO_SECRET = "is not `whsec_` and a key in base64; make one with `echo whsec_$(openssl rand -base64 32)`"


@pytest.mark.parametrize(
    "token", ["whsec_!!!", f"{KEY[:-4]}MTI!z", f"{KEY}!", "whsec_", "whsec_abc", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"]
)
def test_a_signing_token_that_proves_nothing_is_named(token: str) -> None:
    assert found(SIGNING, {"GITLAB_TOKEN": token}) == [(6, "webhooks.gitlab.signing", NO_TOKEN)]


@pytest.mark.parametrize("secret", ["whsec_!!!", "whsec_", "whsec_키", f"{KEY} whsec_abc", f"whsec_,{KEY}"])
def test_a_callbacks_secret_that_signs_nothing_is_named(secret: str) -> None:
    assert found(VALID, {"CALLBACK_SECRET": secret}) == [(9, "notify[1].webhook.secret", NO_SECRET)]


def test_a_callbacks_secret_must_be_more_than_what_parts_two() -> None:
    assert found(VALID, {"CALLBACK_SECRET": " , "}) == [(9, "notify[1].webhook.secret", "holds no secret")]


@pytest.mark.parametrize("secret", [KEY, f"{KEY}, {KEY}", "any other text 비밀"])
def test_what_signs_is_taken(secret: str) -> None:
    assert look(VALID, {"CALLBACK_SECRET": secret}).problems == ()
    assert look(SIGNING, {"GITLAB_TOKEN": KEY}).problems == ()
