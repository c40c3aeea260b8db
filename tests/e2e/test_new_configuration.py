"""A configuration that changes while runs are under way."""

import pytest

from tests.support.waiting import until
from tests.support.whole_loop import Loop, stage_of, succeeded

pytestmark = pytest.mark.slow


def test_it_counts_at_once_and_a_build_under_way_is_finished(loop: Loop) -> None:
    under_way = loop.run_of(loop.push(loop.dockerfile("RUN echo begun && sleep 6"), branch="deploy/slow"))
    until(lambda: printed(loop, under_way), "the slow step")
    file = loop.product.folder / "pilotage.yaml"
    file.write_text(file.read_text().replace("branch: deploy/new", "branch: deploy/newer"))
    done = loop.cli("config", "reload")
    assert (done.returncode, done.stdout) == (0, f"{file}: taken; changed: plate-web\n"), done.stderr
    succeeded(loop.deploy(branch="deploy/newer"))
    run = succeeded(loop.end(under_way))
    assert (stage_of(run, "build")["attempt"], printed(loop, under_way)) == (1, 1)


def printed(loop: Loop, run: int) -> int:
    """Count how often the slow step was begun."""
    return sum(line.endswith(" begun") for line in loop.log(run, "build").splitlines())
