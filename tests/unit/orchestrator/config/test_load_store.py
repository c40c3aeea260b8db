"""Where the database is, is known without the secrets of the service."""

from pathlib import Path

import pytest

from orchestrator.config import ConfigInvalid, load_store
from tests.support.configs import ENVIRON, VALID, look

SERVER = "server: {database: 'postgresql://pilotage:${DB_PASSWORD}@db/pilotage', state_dir: /var/lib/pilotage}\n"
ADDRESS = "postgresql://pilotage:pw@db/pilotage"


def written(folder: Path, text: str) -> Path:
    file = folder / "pilotage.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("environ", [ENVIRON, {}], ids=["all secrets", "none"])
def test_a_shell_without_the_secrets_of_the_service_knows_where_the_database_is(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    found = load_store(written(tmp_path, VALID + SERVER), {**environ, "DB_PASSWORD": "pw"})
    assert (found.database, found.state_dir) == (ADDRESS, "/var/lib/pilotage")
    found = load_store(written(tmp_path, VALID), environ)
    assert (found.database, found.state_dir) == ("", str(tmp_path / "state"))
    assert load_store(tmp_path / "pilotage.yaml", {"PILOTAGE_STATE_DIR": "/srv/p"}).state_dir == "/srv/p"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (VALID + SERVER, "the environment variable DB_PASSWORD is not set"),
        (VALID + "server: {state_dir: '${NO}'}\n", "the environment variable NO is not set"),
        (VALID + "server: ${NO}\n", "the environment variable NO is not set"),
        ("${NO}\n", "the environment variable NO is not set"),
        (VALID + "sever: {state_dir: /var/lib/pilotage}\n", "sever"),
        (VALID.replace("promote_from: stg", "promote_from: sgt"), "did you mean `stg`?"),
        ("", "is empty"),
    ],
)
def test_what_else_is_wrong_with_the_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    """A database that is taken for another one, because of a key that is mistyped, would get the tokens."""
    with pytest.raises(ConfigInvalid, match=message.replace("?", r"\?")):
        load_store(written(tmp_path, text), {})


def test_an_empty_file_says_where_its_state_would_be(tmp_path: Path) -> None:
    """Whether anything is there tells a first start from others."""
    assert look("", folder=tmp_path).state_dir == str(tmp_path / "state")
