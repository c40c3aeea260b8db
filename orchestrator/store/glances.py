"""What Git and Argo CD were last seen to say of environments, and when."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, delete, select

from orchestrator.domain.glances import Place, Witness
from orchestrator.store.dialect import upsert
from orchestrator.store.schema import glances, witnesses

Facts = Mapping[str, Any]
"""A glance as it is stored: the fields of its class as JSON values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastLook:
    """When a witness last answered (None: never), and why it has not since; "" where it has.

    :param head: of the GitOps branch, at that time.
    """

    seen_at: float | None = None
    trouble: str = ""
    head: str = ""


def last_looks(connection: Connection) -> dict[str, LastLook]:
    """Read when each witness was looked at; one that never was is absent."""
    rows = connection.execute(select(witnesses)).mappings()
    return {row["name"]: LastLook(seen_at=row["seen_at"], trouble=row["trouble"], head=row["head"]) for row in rows}


def looked(connection: Connection, witness: Witness, look: LastLook) -> None:
    """Write down how a look turned out."""
    upsert(connection, witnesses, {"name": witness.value, **asdict(look)}, key=("name",))


def of_apps(connection: Connection, apps: Collection[str]) -> dict[tuple[str, Place], Facts]:
    """Read the glances at one app, or all there are: (witness, place) -> facts."""
    only = [glances.c.app == app for app in apps] if len(apps) == 1 else []
    return _read(connection, select(glances).where(*only))


def of_witness(connection: Connection, witness: Witness) -> dict[Place, Facts]:
    """Read what one witness says: place -> facts."""
    found = _read(connection, select(glances).where(glances.c.witness == witness.value))
    return {place: facts for (_, place), facts in found.items()}


def write(connection: Connection, witness: Witness, facts: Mapping[Place, Facts]) -> None:
    """Write down what one witness says of some places."""
    rows = [
        {"app": app, "environment": environment, "witness": witness.value, "facts": dict(one)}
        for (app, environment), one in facts.items()
    ]
    if rows:
        upsert(connection, glances, *rows, key=("app", "environment", "witness"))


def forget(connection: Connection, witness: Witness, places: Iterable[Place]) -> None:
    """Forget what one witness said of places that are no longer configured."""
    for app, environment in places:
        here = (glances.c.app == app, glances.c.environment == environment)
        connection.execute(delete(glances).where(*here, glances.c.witness == witness.value))


def _read(connection: Connection, statement: Any) -> dict[tuple[str, Place], Facts]:
    rows = connection.execute(statement).mappings()
    return {(row["witness"], (row["app"], row["environment"])): row["facts"] for row in rows}
