"""``pilotage token list``."""

import json
import re
from datetime import datetime
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.services.tokens import Role, create
from tests.support.configs import ENVIRON, VALID
from tests.support.databases import sqlite_database


def test_tokens_are_listed_with_the_time_they_were_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    create(sqlite_database(tmp_path / "state"), "ci", Role.DEPLOYER)
    config = tmp_path / "pilotage.yaml"
    config.write_text(VALID, encoding="utf-8")
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit):
        main(["token", "list", "--config", str(config)])

    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "NAME", "ROLE", "CREATED", "EXPIRES", "REVOKED"]
    assert re.fullmatch(r"1 +ci +deployer +\d{4}-\d\d-\d\d \d\d:\d\d UTC", line)

    with pytest.raises(SystemExit):
        main(["token", "list", "-o", "json", "--config", str(config)])
    (told,) = json.loads(capsys.readouterr().out)["items"]
    assert datetime.fromisoformat(told["created_at"]).tzinfo
    assert (told["created_at"][-1], told["expires_at"], told["revoked_at"]) == ("Z", None, None)
