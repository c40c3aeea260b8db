"""``pilotage token list``."""

import json
import re
from datetime import datetime
from pathlib import Path

import pytest

from orchestrator.cli import main, tokens
from orchestrator.services.tokens import Role, create
from tests.support.databases import sqlite_database


def test_tokens_are_listed_with_the_time_they_were_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    database = sqlite_database(tmp_path)
    create(database, "ci", Role.DEPLOYER)
    monkeypatch.setattr(tokens, "_database", lambda _: database)

    with pytest.raises(SystemExit):
        main(["token", "list"])

    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "NAME", "ROLE", "CREATED", "EXPIRES", "REVOKED"]
    assert re.fullmatch(r"1 +ci +deployer +\d{4}-\d\d-\d\d \d\d:\d\d UTC", line)

    with pytest.raises(SystemExit):
        main(["token", "list", "-o", "json"])
    (told,) = json.loads(capsys.readouterr().out)["items"]
    assert datetime.fromisoformat(told["created_at"]).tzinfo
    assert (told["created_at"][-1], told["expires_at"], told["revoked_at"]) == ("Z", None, None)
