"""What a newer version has written down while an upgrade replaces process after process."""

import pytest
from sqlalchemy import Table, update

from orchestrator.domain.runs import StageName
from orchestrator.services.queries import Queries
from orchestrator.store.schema import runs, stages
from tests.support.executing import Workshop


@pytest.mark.parametrize("table", [runs, stages])
def test_a_reason_that_this_version_does_not_know_can_be_looked_at(workshop: Workshop, table: Table) -> None:
    run_id = int(workshop.push(1)["runs"][0])
    workshop.until(run_id, StageName.BUILD)
    with workshop.database.write() as connection:
        connection.execute(update(table).values(reason="struck_by_lightning"))
    view = Queries(workshop.database, workshop.settings).run(run_id)
    assert view is not None
    shown = view if table is runs else view["stages"][0]
    assert shown["reason"] == "newer_version"
