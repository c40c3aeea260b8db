"""Which sync windows keep Argo CD from syncing by itself: its own rule for automated syncs."""

import pytest

from workers.gitops.windows import blocking_window
from workers.gitops.words import LIMIT

DENY = {"kind": "deny", "schedule": "0 22 * * 5", "duration": "60h"}
ALLOW = {"kind": "allow", "schedule": "0 9 * * *", "duration": "8h", "manualSync": True}


@pytest.mark.parametrize(
    ("active", "assigned", "said"),
    [
        (None, None, ""),
        ([], [], ""),
        ([DENY], [DENY], "a sync window denies syncs now (0 22 * * 5 for 60h)"),
        ([DENY, ALLOW], [DENY, ALLOW], "a sync window denies syncs now (0 22 * * 5 for 60h)"),
        ([], [DENY], ""),
        ([ALLOW], [ALLOW], ""),
        ([ALLOW], [ALLOW, ALLOW], ""),
        ([], [ALLOW], "sync windows allow syncs only at other times (0 9 * * * for 8h)"),
        ([], [DENY, ALLOW], "sync windows allow syncs only at other times (0 9 * * * for 8h)"),
        ([{"kind": "deny"}], [], "a sync window denies syncs now (? for ?)"),
    ],
)
@pytest.mark.parametrize("manual", [True, False])
def test_the_rule(active, assigned, said, manual):
    windows = {"activeWindows": active, "assignedWindows": assigned, "canSync": manual}
    assert blocking_window(windows) == said


def test_odd_shapes_and_long_ones():
    assert blocking_window({"activeWindows": "no", "assignedWindows": [3]}) == ""
    many = [{**DENY, "schedule": "x" * 1000}] * 50
    assert len(blocking_window({"activeWindows": many})) < LIMIT + 50
