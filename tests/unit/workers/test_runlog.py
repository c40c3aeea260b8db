"""What is stored of a stage's lines."""

import pytest

from orchestrator.domain.ansi import plain
from orchestrator.domain.masking import MASK, Mask
from workers import runlog
from workers.runlog import MAX_LINE, RunLog

SECRET = "hunter2-and-more"


def stored(*texts: str) -> list[str]:
    kept: list[str] = []
    with RunLog(kept.extend, Mask([SECRET])) as log:
        for text in texts:
            log.line(text)
    return kept


@pytest.mark.parametrize("before", [0, 10, MAX_LINE - len(SECRET), *range(MAX_LINE - len(SECRET) + 1, MAX_LINE + 1)])
def test_a_secret_is_masked_wherever_the_line_is_cut(before: int) -> None:
    (line,) = stored("." * before + SECRET + "." * MAX_LINE)
    assert line.removesuffix(" [cut]").strip(".") in MASK
    assert line.endswith(" [cut]")
    assert len(line) == MAX_LINE + len(" [cut]")


@pytest.mark.parametrize(("line", "kept"), [("x" * MAX_LINE, 50), ("x", 2_000)])
def test_a_stage_that_never_stops_talking_is_kept_to_a_bound(
    monkeypatch: pytest.MonkeyPatch, line: str, kept: int
) -> None:
    monkeypatch.setattr(runlog, "MAX_LINES", 2_000)
    monkeypatch.setattr(runlog, "MAX_SIZE", 50 * MAX_LINE)
    lines = stored(*[line] * (kept + 5))
    assert lines[:kept] == [line] * kept
    assert len(lines) == kept + 1
    assert lines[-1].startswith("[log ends here")


def test_a_secret_with_a_character_that_is_not_kept_is_masked() -> None:
    assert stored(f"{SECRET[:5]}\0{SECRET[5:]}") == [MASK]


def test_a_line_that_fits_without_its_secrets_is_not_cut() -> None:
    assert stored("\n".join(["a", "", SECRET * 300])) == ["a", "", MASK * 300]


@pytest.mark.parametrize(
    "hidden",
    [
        "token=hun\x1b[01;31m\x1b[Kter2\x1b[m\x1b[K-and-more",  # grep --color=always
        "token=hun\x1b(Bter2-and-more\x1b[m",
        "10 %\rtoken=hunter2\x1b[0m-and-more\r",
        "10 %\r\x1b]0;x\rtoken=hunter2\x1b[0m-and-more",
        "token=hunter2\x0c-and-more",
        "token=hunter2|\b-and-|\bmore",
        "token=hunter2|\x1b[1m\b\x1b[m-and-more",
    ],
)
def test_a_secret_that_is_hidden_in_colours_is_masked(hidden: str) -> None:
    shown = [plain(line) for line in stored(hidden)]
    assert shown[-1] == f"token={MASK}"
    assert not any("hun" in line or "more" in line for line in shown)


def test_colours_and_progress_stay_where_they_hide_nothing() -> None:
    line = f"10 %\r\x1b[32m{SECRET}\x1b[m"
    assert "".join(stored(line)) == f"10 %\x1b[32m{MASK}\x1b[m"
