"""What a connection to PostgreSQL is told, so that a server that vanishes holds nobody up."""

import pytest

from orchestrator.store.database import Database
from tests.support.databases import postgres_url

__all__ = ["postgres_url"]

PATIENCE = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}


@pytest.mark.parametrize(
    ("more", "other"),
    [
        ("", {}),
        ("&tcp_user_timeout=90000&keepalives_idle=60", {"tcp_user_timeout": "90000", "keepalives_idle": "60"}),
        ("&connect_timeout=2", {"connect_timeout": "2"}),
    ],
)
def test_a_connection_knows_when_to_give_a_silent_server_up(
    postgres_url: str, more: str, other: dict[str, str]
) -> None:
    database = Database(postgres_url + more)
    with database.read() as connection:
        told = connection.connection.driver_connection.info.get_parameters()
        assert {name: told[name] for name in PATIENCE} == PATIENCE | other
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "30s"
    database.engine.dispose()


def test_the_address_may_name_options_of_the_server(postgres_url: str) -> None:
    database = Database(f"{postgres_url}&options=-c lock_timeout=5s -c search_path=pilotage")
    with database.read() as connection:
        shown = [
            connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("lock_timeout", "search_path", "statement_timeout")
        ]
    assert shown == ["5s", "pilotage", "1min"]
    database.engine.dispose()
