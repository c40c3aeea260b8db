"""Tokens: shown once, kept as a digest, revoked at once."""

import stat
from pathlib import Path

import pytest

from orchestrator.services import tokens
from orchestrator.services.tokens import Role, TokenInvalid
from orchestrator.store.database import Database, now


def test_a_token_is_found_by_its_plain_text_and_kept_as_a_digest(database: Database) -> None:
    plain = tokens.create(database, "ci", "deployer")
    assert plain.startswith("plt_")
    assert len(plain) == len("plt_") + 43
    who = tokens.authenticate(database, plain)
    assert who is not None
    assert (who.name, who.role) == ("ci", Role.DEPLOYER)
    assert plain not in str(tokens.list_all(database))
    assert plain.encode() not in Path(database.engine.url.database or "").read_bytes()


@pytest.mark.parametrize("wrong", ["", "plt_", "plt_wrong", "x" * 43, "plt_" + "x" * 5000, "plt_\ud800"])
def test_what_is_no_token_is_nobody(database: Database, wrong: str) -> None:
    assert tokens.authenticate(database, wrong) is None


def test_a_revoked_token_counts_no_more(database: Database) -> None:
    plain = tokens.create(database, "ci", Role.VIEWER)
    token_id = tokens.list_all(database)[0]["id"]
    assert tokens.revoke(database, token_id)
    assert tokens.authenticate(database, plain) is None
    assert not tokens.revoke(database, token_id)


def test_an_expired_token_counts_no_more(database: Database) -> None:
    plain = tokens.create(database, "ci", Role.VIEWER, expires_at=now() + 3600)
    assert tokens.authenticate(database, plain) is not None
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE tokens SET expires_at = 1")
    assert tokens.authenticate(database, plain) is None


@pytest.mark.parametrize(
    ("name", "role", "expires_at"),
    [
        ("ci", "root", None),
        ("", "viewer", None),
        ("x" * 101, "viewer", None),
        ("a\nb", "viewer", None),
        ("ci", "viewer", 5.0),
    ],
)
def test_a_token_that_makes_no_sense_is_not_made(
    database: Database, name: str, role: str, expires_at: float | None
) -> None:
    with pytest.raises(TokenInvalid):
        tokens.create(database, name, role, expires_at)
    assert tokens.list_all(database) == []


@pytest.mark.parametrize(
    ("has", "needs", "enough"),
    [(Role.VIEWER, Role.VIEWER, True), (Role.VIEWER, Role.DEPLOYER, False), (Role.ADMIN, Role.DEPLOYER, True)],
)
def test_each_role_may_do_what_the_one_before_may(has: Role, needs: Role, enough: bool) -> None:
    assert has.may(needs) is enough


def test_the_local_token_is_private_and_stays_the_same(database: Database, tmp_path: Path) -> None:
    first = tokens.ensure_local_token(database, str(tmp_path))
    assert tokens.ensure_local_token(database, str(tmp_path)) == first
    file = tmp_path / "token"
    assert file.read_text() == f"{first}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    who = tokens.authenticate(database, first)
    assert who is not None
    assert who.role is Role.ADMIN


def test_a_local_token_that_others_could_read_is_made_private_again(database: Database, tmp_path: Path) -> None:
    tokens.ensure_local_token(database, str(tmp_path))
    file = tmp_path / "token"
    file.chmod(0o644)
    tokens.ensure_local_token(database, str(tmp_path))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_local_token_that_was_revoked_is_replaced(database: Database, tmp_path: Path) -> None:
    first = tokens.ensure_local_token(database, str(tmp_path))
    tokens.revoke(database, tokens.list_all(database)[0]["id"])
    second = tokens.ensure_local_token(database, str(tmp_path))
    assert second != first
    assert tokens.authenticate(database, second) is not None
