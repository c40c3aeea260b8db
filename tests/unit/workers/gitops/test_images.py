"""When a live image counts as ours."""

import pytest

from workers.gitops.images import another, sighting, versions_of

OURS = "harbor.example.com/plate/web:sha-1"
DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("live", "digest", "found"),
    [
        (OURS, "", True),
        (OURS, DIGEST, True),
        (f"{OURS}@{DIGEST}", "", True),
        (f"{OURS}@{DIGEST}", DIGEST, True),
        (f"{OURS}@{OTHER}", DIGEST, False),
        (f"harbor.example.com/plate/web@{DIGEST}", DIGEST, True),
        (f"harbor.example.com/plate/web@{DIGEST}", "", False),
        (f"cache.local/anything@{DIGEST}", DIGEST, True),
        ("mirror.local:5000/plate/web:sha-1", "", True),
        ("cache.local/harbor/plate/web:sha-1", "", True),
        ("harbor.example.com/other/plate/web:sha-1", "", False),
        ("cache.local/not-plate/web:sha-1", "", False),
        ("harbor.example.com/plate/web:sha-2", "", False),
        ("harbor.example.com/plate/web", "", False),
        ("", "", False),
    ],
)
def test_digests_decide_and_otherwise_path_and_tag(live, digest, found):
    match = sighting(["other/image:1", live], OURS, digest)
    assert (match is not None) == found
    if match:
        assert match.image == live
        assert bool(match.note) == (not live.startswith("harbor.example.com/plate/web"))


def test_a_digest_in_our_own_reference_counts():
    assert sighting([f"x/y@{DIGEST}"], f"{OURS}@{DIGEST}")
    assert sighting([f"{OURS}@{OTHER}"], f"{OURS}@{DIGEST}") is None


def test_the_plainest_sighting_is_told():
    match = sighting(["mirror.local/plate/web:sha-1", OURS], OURS)
    assert match
    assert (match.image, match.note) == (OURS, "")


@pytest.mark.parametrize(
    ("live", "digest", "differs"),
    [
        (OURS, DIGEST, False),
        ("harbor.example.com/plate/web:sha-2", "", True),
        (f"harbor.example.com/plate/web:sha-2@{DIGEST}", DIGEST, False),
        (f"{OURS}@{OTHER}", DIGEST, True),
        (f"harbor.example.com/plate/web@{OTHER}", "", False),
        (f"harbor.example.com/plate/web:sha-2@{OTHER}", "", True),
        ("cache.local/harbor/plate/web:sha-2", "", True),
        ("harbor.example.com/other/web:sha-2", "", False),
        ("harbor.example.com/plate/web", "", False),
    ],
)
def test_only_what_surely_differs_is_another_image_of_our_repository(live, digest, differs):
    assert another(["other/image:1", live], OURS, digest) == differs


def test_the_versions_of_one_repository_are_listed_in_their_order() -> None:
    others = ["nginx:1", "harbor.example.com/plate/web", "harbor.example.com/other/plate/web:2"]
    tags = [f"sha-{number}" for number in range(1, 9)]
    live = [
        *others,
        f"cache.local/x/plate/web@{DIGEST}",
        *(f"harbor.example.com/plate/web:{tag}" for tag in tags),
        OURS,
    ]
    assert versions_of(live, "harbor.example.com/plate/web") == (*tags, DIGEST)
