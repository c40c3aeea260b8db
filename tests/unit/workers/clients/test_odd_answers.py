"""Answers of registries in whatever shape: images are anybody's, and proxies answer for services."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.clients.harbor import ScanState, first_image, judge_scan, labels_of_artifact, worst_findings
from workers.clients.registry_answers import pick_platform

WORDS = (
    "manifests references platform os digest child_digest extra_attrs config Labels scan_overview scan_status"
    " summary severity vulnerabilities complete_percent"
)
NAMES = st.sampled_from(WORDS.split())
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just("Success")
ANYTHING = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4))
OBJECTS = st.dictionaries(NAMES, ANYTHING, max_size=5)


READERS: tuple[Callable[[dict[str, Any]], object], ...] = (
    pick_platform,
    first_image,
    labels_of_artifact,
    lambda found: judge_scan(found, "high"),
    lambda found: judge_scan({"scan_overview": {"report": {**found, "scan_status": "Success"}}}, "high"),
    lambda found: worst_findings(found, "high"),
)


@given(found=OBJECTS)
def test_odd_shapes_never_raise(found: dict[str, Any]) -> None:
    for read in READERS:  # making the shapes takes longer than reading them
        read(found)


@pytest.mark.parametrize("count", [None, "many", [1]])
def test_a_count_of_findings_that_is_no_number_is_not_overlooked(count: object) -> None:
    overview = {"scan_status": "Success", "severity": "", "summary": {"summary": {"Critical": count}}}
    assert judge_scan({"scan_overview": {"report": overview}}, "high").state is ScanState.FINDINGS
