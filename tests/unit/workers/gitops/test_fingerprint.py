"""What makes a waiting run look again."""

import json

import pytest

from tests.support.applications import OLD_IMAGE, healthy
from workers.gitops.readiness import LIST_FIELDS, fingerprint


def listed(application):
    """Reduce an application to what the server answers to a list with `LIST_FIELDS`; an absent value may be null."""
    result = {}
    for field in LIST_FIELDS:
        *way, last = field.removeprefix("items.").split(".")
        here, there = application, result
        for step in way:
            here = here.get(step) if here else None
        if here is not None:
            for step in way:
                there = there.setdefault(step, {})
            there[last] = here.get(last)
    return result


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata.deletionTimestamp": "2026-08-22T03:12:00Z"},
        {"metadata.annotations": {"argocd.argoproj.io/refresh": "normal"}},
        {"operation": {"sync": {"revision": "x"}}},
        {"status.sync.status": "OutOfSync"},
        {"status.health.status": "Degraded"},
        {"status.health.lastTransitionTime": "2026-08-22T03:20:00Z"},
        {"status.operationState.phase": "Running"},
        {"status.operationState.startedAt": "2026-08-22T03:20:00Z"},
        {"status.operationState.finishedAt": "2026-08-22T03:20:00Z"},
        {"status.summary.images": [OLD_IMAGE]},
        {"status.sourceHydrator": {"currentOperation": {"phase": "Hydrating", "drySHA": "x"}}},
        {"status.sourceHydrator": {"lastSuccessfulOperation": {"drySHA": "x"}}},
        {"status.sourceHydrator": {"lastSuccessfulOperation": {"hydratedSHA": "x"}}},
        {"status": None},
    ],
)
def test_a_change_that_matters_shows_in_get_and_list(changes):
    changed = healthy(changes)
    assert fingerprint(changed) != fingerprint(healthy())
    assert fingerprint(listed(changed)) == fingerprint(changed)


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata.resourceVersion": "9"},
        {"metadata.annotations": {"team": "shop"}},
        {"status.resources": []},
        {"status.sourceHydrator": {}},
        {"status.reconciledAt": "2026-08-22T03:20:00Z"},
        {"status.history": [{"id": 1}]},
    ],
)
def test_what_does_not_matter_or_no_list_shows_is_left_out(changes):
    assert fingerprint(healthy(changes)) == fingerprint(healthy())


def test_the_order_of_images_does_not_matter():
    one, other = healthy({"status.summary.images": ["a", "b"]}), healthy({"status.summary.images": ["b", "a"]})
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    "odd", [{}, {"status": []}, {"status": {"summary": {"images": [None, {}]}}}, {"metadata": 3}]
)
def test_odd_shapes_have_a_fingerprint_too(odd):
    assert len(fingerprint(odd)) == 16
    assert fingerprint(json.loads(json.dumps(odd))) == fingerprint(odd)


def test_a_text_that_cannot_be_encoded_has_one_too():
    assert fingerprint(healthy({"status.summary.images": ["\ud800"]}))
