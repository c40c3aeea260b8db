"""What else an edit inside an anchor changes."""

import pytest

from workers.gitops.values import EditRefused, shared


@pytest.mark.parametrize(
    ("raw", "path", "others"),
    [
        ("a: &t v1\nb: *t\n", "a", "line 2 (*t)"),
        ("a: &m {tag: v1}\nb: {<<: *m}\nc: *m\n", "a.tag", "line 2 (*m), line 3 (*m)"),
        ("a: &l\n- x\n- tag: v1\nb: *l\n", "a[1].tag", "line 4 (*l)"),
        ("\ufeffa: &t v1\nb: *t\n", "a", "line 2 (*t)"),
        ("x: &t v0\ny: *t\na: &t v1\nb: *t\nz: &t v2\nc: *t\n", "a", "line 4 (*t)"),
        ("a: &t v1\n" + "".join(f"b{n}: *t\n" for n in range(7)), "a", "line 6 (*t), 2 more"),
        ("a: &t v1\n" + "".join(f"b{n}: *t\n" for n in range(5)), "a", "line 6 (*t)"),
    ],
)
def test_every_user_of_an_anchor_is_named(raw: str, path: str, others: str) -> None:
    assert shared(raw.encode(), path).endswith(others)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("a: v1\nb: v2\n", "a"),
        ("a: &t v1\nb: v2\n", "a"),
        ("x: &x 1\na: {tag: v1}\nb: *x\n", "a.tag"),
        ("a: {x: &x 1, tag: v1}\nb: *x\n", "a.tag"),
        ("a: &m {x: &m 1, tag: v1}\nb: *m\n", "a.tag"),
    ],
)
def test_an_anchor_that_nobody_repeats_or_that_is_beside_changes_nothing_else(raw: str, path: str) -> None:
    assert shared(raw.encode(), path) == ""


def test_what_cannot_be_edited_is_refused() -> None:
    with pytest.raises(EditRefused):
        shared(b"a: &t v1\nb: *t\n", "b")
