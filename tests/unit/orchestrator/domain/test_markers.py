"""Markers in a commit message that ask not to build."""

import pytest

from orchestrator.domain.markers import MARKERS, skip_marker


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("spelling", [str, str.lower, str.upper])
def test_every_marker_counts_in_any_case_and_place(marker: str, spelling: type[str]) -> None:
    assert skip_marker(f"Mend a comma\n\nSee {spelling(marker)} there") == marker


@pytest.mark.parametrize(
    "message",
    [
        "Mend\n\nskip-checks: true",
        "Mend\n\n\nskip-checks:true\n",
        "Mend\r\n\r\nskip-checks: true\r\n",
        "Mend\n\nSigned-off-by: A <a@example.com>\nskip-checks: true",
    ],
)
def test_the_trailer_counts_in_the_last_paragraph(message: str) -> None:
    assert skip_marker(message) == "skip-checks: true"


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Mend a comma",
        "skip ci",
        "[skip  ci]",
        "skip-checks: true",
        "Mend\n\nskip-checks: false",
        "Mend\n\nskip-checks: true\n\nmore text",
        "Mend\n\nUse skip-checks: true to skip",
    ],
)
def test_other_words_are_no_marker(message: str) -> None:
    assert skip_marker(message) == ""
