"""Glances at Git and Argo CD: written down by who looks, and shown beside what Pilotage has done."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from orchestrator.domain.apps import Settings
from orchestrator.domain.errors import PilotageError
from orchestrator.domain.glances import Glance, Place, Witness
from orchestrator.domain.masking import Mask
from orchestrator.domain.wording import sentence, shorten
from orchestrator.store import glances
from orchestrator.store.database import Database
from orchestrator.store.database import now as clock
from orchestrator.store.rows import storable

_MAX_WORDS = 400
"""Characters of one text that somebody else wrote."""
_CONFIGURED = ("values", "key", "argocd")
"""Fields that say what was looked at; they are compared with the configuration, so they stay as they are."""


class Glances:
    """Where those who look keep what they saw. Every call :raises Unavailable: the database does not answer."""

    def __init__(self, database: Database, settings: Settings, mask: Mask) -> None:
        self._database = database
        self._mask = mask
        self._places = {(app.name, env.name) for app in settings.apps for env in app.environments}

    def before(self, witness: Witness) -> tuple[str, dict[Place, glances.Facts]]:
        """Read what a witness said last: the head of the branch ("": nobody has looked), and facts by place."""
        with self._database.read() as connection:
            look = glances.last_looks(connection).get(witness, glances.LastLook())
            return look.head, glances.of_witness(connection, witness)

    def saw(self, witness: Witness, seen: Mapping[Place, Glance], head: str = "") -> None:
        """Write down a look that came to an answer.

        :param seen: at least the places of which a witness says something new; all others are as they were.
        """
        facts = {place: self._facts(glance) for place, glance in seen.items()}
        with self._database.read() as connection:
            known = glances.of_witness(connection, witness)
        new = {place: one for place, one in facts.items() if known.get(place) != one}
        with self._database.write() as connection:
            glances.write(connection, witness, new)
            glances.forget(connection, witness, known.keys() - self._places)
            glances.looked(connection, witness, glances.LastLook(seen_at=clock(), head=head))

    def failed(self, witness: Witness, error: PilotageError) -> None:
        """Write down why a look came to no answer; what was seen before stays, with its time."""
        said = shorten(storable(self._mask(sentence(error.reason, error.evidence))), _MAX_WORDS)
        with self._database.write() as connection:
            before = glances.last_looks(connection).get(witness, glances.LastLook())
            glances.looked(connection, witness, replace(before, trouble=said))

    def _facts(self, glance: Glance) -> dict[str, Any]:
        """Make JSON of a glance, as it is read back."""
        fields = asdict(glance).items()
        return {name: value if name in _CONFIGURED else self._told(value) for name, value in fields}

    def _told(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return [self._told(one) for one in value]
        return shorten(storable(self._mask(value)), _MAX_WORDS) if isinstance(value, str) else value
