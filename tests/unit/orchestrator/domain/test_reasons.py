"""Codes of reasons, as rows hold them."""

import pytest

from orchestrator.domain.reasons import CATALOGUE, Reason, explain
from orchestrator.store.rows import reason_of


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_read_as_it_was_written_and_explained(reason: Reason) -> None:
    assert reason_of(str(reason.value)) is reason
    assert explain(reason).text.endswith(".")
    assert explain(reason).next_step.endswith(".")


def test_each_reason_is_explained_and_nothing_else() -> None:
    assert set(CATALOGUE) == set(Reason)


def test_a_code_of_a_newer_version_can_be_shown() -> None:
    assert "newest version" in explain(reason_of("struck_by_lightning")).next_step
