"""What `check` and `pilotage doctor` both ask of a values file before any deploy."""

import pytest

from orchestrator.domain.apps import GitAccess, Gitops
from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason, explain
from tests.support.factories import make_environment
from workers.gitops.keys import CurrentValue, look_at_keys

GITOPS = Gitops(access=GitAccess(url="https://git.example.com/platform/gitops.git"), branch="live")
RAW = b'image:\n  repository: x\n  tag: old\n  digest: ""\n'


@pytest.mark.parametrize(
    ("raw", "named", "reason", "evidence"),
    [
        (None, {}, Reason.VALUES_FILE_MISSING, "web/values-stg.yaml in live"),
        (b"image: {}\n", {}, Reason.VALUES_KEY_REFUSED, "web/values-stg.yaml:1: "),
        (b"", {}, Reason.VALUES_KEY_REFUSED, "web/values-stg.yaml"),
        (RAW, {"digest_key": "image.sum"}, Reason.VALUES_KEY_REFUSED, "(`digest_key`)"),
        (RAW, {"repository_key": "image.name"}, Reason.VALUES_KEY_REFUSED, "(`repository_key`)"),
    ],
)
def test_what_could_not_be_changed_later_is_refused_now(
    raw: bytes | None, named: dict[str, str], reason: Reason, evidence: str
) -> None:
    with pytest.raises(Refused) as refusal:
        look_at_keys(raw, GITOPS, make_environment(**named))
    assert refusal.value.reason is reason
    assert not named or next(iter(named)) in explain(reason).next_step
    assert evidence in refusal.value.evidence


def test_what_is_there_now_is_told() -> None:
    everything = make_environment(digest_key="image.digest", repository_key="image.repository")
    assert look_at_keys(RAW, GITOPS, everything) == CurrentValue(tag="old", warning="")


def test_a_digest_that_wins_over_the_tag_is_warned_about_unless_it_is_ours() -> None:
    raw = RAW.replace(b'""', b"sha256:1")
    assert look_at_keys(raw, GITOPS, make_environment()).warning.startswith("image.digest (line 4) is not empty")
    assert look_at_keys(raw, GITOPS, make_environment(digest_key="image.digest")).warning == ""


def test_what_an_edit_would_change_elsewhere_is_warned_of_before_any_build() -> None:
    raw = b"web: &w\n  image: {repository: r, tag: &t v1, digest: x}\napi: {tag: *t}\njob:\n  <<: *w\n"
    warning = look_at_keys(raw, GITOPS, make_environment(key="web.image.tag")).warning
    assert warning.startswith("web.image.digest (line 2) is not empty")
    assert (
        "an edit of web.image.tag also changes what its anchor provides elsewhere: line 3 (*t), line 5 (*w)"
        in warning
    )
    both = make_environment(key="web.image.tag", digest_key="web.image.digest", repository_key="web.image.repository")
    assert look_at_keys(raw, GITOPS, both).warning.count("also changes") == 3


WHOLE = "registry.example.com/team/web:1.2@sha256:0123"


@pytest.mark.parametrize(
    ("present", "named", "told"),
    [
        (WHOLE, {}, "only its tag would be left: set `value: image` (`key`)"),
        ("web:1.2", {}, "only its tag would be left: set `value: image` (`key`)"),
        ("team/web", {"value": "digest"}, "only its digest would be left: set `value: image` (`key`)"),
        ("web:1.2", {"value": "digest"}, "only its digest would be left: set `value: image` (`key`)"),
        (WHOLE, {"key": "tag", "digest_key": "image"}, "name it in `key`, with `value: image` (`digest_key`)"),
        (WHOLE, {"key": "tag", "repository_key": "image"}, "with `value: image` (`repository_key`)"),
        ("web@sha256:1", {"key": "tag", "repository_key": "image"}, "only its name would be left"),
    ],
)
def test_a_whole_image_is_not_overwritten_with_a_part_of_it(present: str, named: dict[str, str], told: str) -> None:
    raw = f"tag: old\nimage: {present}\n".encode()
    with pytest.raises(Refused) as refusal:
        look_at_keys(raw, GITOPS, make_environment(**{"key": "image", **named}))
    assert refusal.value.reason is Reason.VALUES_KEY_REFUSED
    assert refusal.value.evidence.startswith(f"web/values-stg.yaml:2: image is '{present}', a whole image")
    assert told in refusal.value.evidence


@pytest.mark.parametrize(
    ("present", "named"),
    [
        (WHOLE, {"value": "image"}),
        ("v1.2", {}),
        ("1.2@sha256:0123", {}),
        ("sha256:0123", {}),
        ("sha256:0123", {"value": "digest"}),
        ("sha256:0123", {"key": "tag", "digest_key": "image"}),
        ("registry.example.com:5000/team/web", {"key": "tag", "repository_key": "image"}),
        ('""', {"key": "tag", "repository_key": "image"}),
    ],
)
def test_what_a_deploy_replaces_as_a_whole_is_let_through(present: str, named: dict[str, str]) -> None:
    raw = f"tag: old\nimage: {present}\n".encode()
    assert look_at_keys(raw, GITOPS, make_environment(**{"key": "image", **named})).warning == ""
