"""Which image a run goes on with where one exists already: given by a person, promoted, or made for it before."""

from typing import Any

import pytest

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, StageName, Trigger
from tests.support.deploying import IMAGE, FakeMirror, order, tools
from tests.support.factories import COMMIT
from tests.support.registries import DIGEST
from workers.stages import check

CHECK = StageName.CHECK


def done(outcome: Any) -> Done:
    assert isinstance(outcome, Done)
    return outcome


@pytest.mark.parametrize(
    ("given", "image"),
    [
        ("v1.2", "harbor.example.com/plate/plate-web:v1.2"),
        ("sha256:" + "0" * 64, "harbor.example.com/plate/plate-web@sha256:" + "0" * 64),
        ("harbor.example.com/plate/plate-web:x", "harbor.example.com/plate/plate-web:x"),
    ],
)
def test_a_manual_run_of_an_image_needs_no_source(given: str, image: str) -> None:
    source = FakeMirror(error=Unavailable(Reason.SOURCE_UNAVAILABLE, "down"))
    manual = order(CHECK, commit="", image=given, trigger=Trigger.MANUAL, environment_value="image")
    assert done(check.run(manual, tools(source=source))).outputs == {"image": image}


def test_the_image_of_a_promotion_needs_no_source_though_its_commit_is_known() -> None:
    source = FakeMirror(error=Unavailable(Reason.SOURCE_UNAVAILABLE, "down"))
    promoted = order(CHECK, trigger=Trigger.PROMOTION, image=IMAGE, digest=DIGEST)
    assert done(check.run(promoted, tools(source=source))).outputs == {"image": IMAGE}


@pytest.mark.parametrize("trigger", [Trigger.MANUAL, Trigger.PROMOTION, Trigger.ROLLBACK, Trigger.RERUN])
def test_a_digest_is_never_written_where_a_tag_belongs(trigger: Trigger) -> None:
    digest = "sha256:" + "0" * 64
    given = order(
        CHECK, trigger=trigger, commit="", image=f"harbor.example.com/plate/plate-web@{digest}", digest=digest
    )
    with pytest.raises(Refused, match=r"`image\.tag` of stg gets a tag") as refusal:
        check.run(given, tools())
    assert refusal.value.reason is Reason.VALUES_KEY_REFUSED


@pytest.mark.parametrize(
    ("before", "image"),
    [
        (f"{IMAGE}-r2", f"{IMAGE}-r2"),
        (IMAGE, IMAGE),
        (f"{IMAGE}-0a1b2c3d", IMAGE),  # of other build options
        (f"{IMAGE}-0a1b2c3d-r2", IMAGE),
        ("old.example.com/plate/plate-web:sha-aaaaaaaaaaaa", IMAGE),
    ],
)
def test_a_re_run_goes_on_with_the_image_that_was_made_for_it(before: str, image: str) -> None:
    again = order(CHECK, trigger=Trigger.RERUN, image=before, attempt=3)
    assert done(check.run(again, tools())).outputs["image"] == image


@pytest.mark.parametrize("commit", ["", COMMIT])
def test_a_given_image_stays_what_it_is_from_build_on(commit: str) -> None:
    given = {"image": "harbor.example.com/plate/plate-web:v1", "digest": "sha256:" + "0" * 64}
    again = order(CHECK, trigger=Trigger.RERUN, commit=commit, from_stage="build", attempt=3, **given)
    assert done(check.run(again, tools())).outputs["image"] == given["image"]


def test_a_re_run_from_build_makes_an_image_with_a_tag_of_its_own() -> None:
    """Of the run's number: each environment counts attempts for itself, and the commit may be in several."""
    again = order(CHECK, id=43, trigger=Trigger.RERUN, from_stage="build", attempt=3)
    assert done(check.run(again, tools())).outputs["image"] == f"{IMAGE}-r43"
