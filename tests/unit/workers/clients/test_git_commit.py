"""Trailers in the message of a commit."""

import pytest

from workers.clients.git_commit import trailers_of


@pytest.mark.parametrize(
    ("message", "trailers"),
    [
        ("subject\n\nPilotage-Run: 1\nX-Y: a: b\n", (("Pilotage-Run", "1"), ("X-Y", "a: b"))),
        ("subject\n\nbody\n \t\nPilotage-Run:   1  \n\n", (("Pilotage-Run", "1"),)),
        ("subject\n\nPilotage-Run: 1\n\nbody\n", ()),
        ("subject\n\nPilotage-Run: 1\nand prose\n", ()),
        ("Pilotage-Run: 1\n", ()),
        ("subject", ()),
        ("", ()),
    ],
)
def test_trailers_are_the_last_paragraph_or_nothing(message: str, trailers: tuple[tuple[str, str], ...]) -> None:
    assert trailers_of(message) == trailers
