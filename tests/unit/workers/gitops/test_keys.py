"""What `check` and `pilotage doctor` both ask of a values file before any deploy."""

import pytest

from orchestrator.domain.apps import GitAccess, Gitops
from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason, explain
from tests.support.factories import make_environment
from workers.gitops.keys import Keys, look_at_keys

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
    assert look_at_keys(RAW, GITOPS, everything) == Keys(tag="old", warning="")


def test_a_digest_that_wins_over_the_tag_is_warned_about_unless_it_is_ours() -> None:
    raw = RAW.replace(b'""', b"sha256:1")
    assert look_at_keys(raw, GITOPS, make_environment()).warning.startswith("image.digest (line 4) is not empty")
    assert look_at_keys(raw, GITOPS, make_environment(digest_key="image.digest")).warning == ""
