"""What is stored of a stage's lines."""

import pytest

from orchestrator.domain.masking import MASK, Mask
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


def test_a_secret_with_a_character_that_is_not_kept_is_masked() -> None:
    assert stored(f"{SECRET[:5]}\0{SECRET[5:]}") == [MASK]


def test_a_line_that_fits_without_its_secrets_is_not_cut() -> None:
    assert stored("\n".join(["a", "", SECRET * 300])) == ["a", "", MASK * 300]
