"""A log that is followed while its run goes on: lines and states come in the order in which they were written."""

import re
from pathlib import Path

from orchestrator.domain.runs import Run, RunState
from orchestrator.services.queries import Queries
from orchestrator.web.streams import EVENTS, LogReader, Pen, Streams
from tests.support.databases import sqlite_database
from tests.support.web import make_web


def test_a_state_is_told_after_the_lines_that_led_to_it(tmp_path: Path) -> None:
    web = make_web(sqlite_database(tmp_path), tmp_path)
    run = web.run(RunState.RUNNING)
    web.log(run, "one")

    class EndingQueries(Queries):
        """The run ends between the look at its lines and the one at its state."""

        asked = 0

        def load(self, run_id: int) -> Run | None:
            self.asked += 1
            if self.asked == 2:
                web.log(run, "last")
                web.change(run, RunState.FAILED)
            return super().load(run_id)

    reader = LogReader(
        queries=EndingQueries(web.database, web.settings),
        settings=web.settings,
        base="",
        run=run,
        stage="",
        after=0,
        still_reads=lambda: True,
    )
    told = "".join(reader.followed(Pen(media=EVENTS), Streams()))
    assert re.findall(r"event: (\w+)", told) == ["line", "line", "state", "end"]
