"""Some at once, then so many a second, however long nothing was asked for."""

import pytest

from orchestrator.domain.allowance import Allowance


@pytest.mark.parametrize(
    ("asked_at", "allowed"),
    [
        ([0.0, 0.0, 0.0, 0.0], 3),
        ([0.0, 0.0, 0.0, 0.4], 3),
        ([0.0, 0.0, 0.0, 0.5, 0.5], 4),
        ([0.0, 0.0, 0.0, 1.0, 1.0, 1.0], 5),
        ([0.0, 0.0, 0.0, 9999.0, 9999.0, 9999.0, 9999.0], 6),
        ([number / 10 for number in range(101)], 23),
    ],
)
def test_three_at_once_and_two_a_second(asked_at: list[float], allowed: int) -> None:
    allowance = Allowance(burst=3, rate=2)
    assert sum(allowance.take(5000.0 + at) for at in asked_at) == allowed
