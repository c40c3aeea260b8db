"""The pages on the hooks: one per forge, and their example works as it stands."""

import re
import shlex
from pathlib import Path

import pytest

from orchestrator.domain.events import Push
from tests.support.contracts import ROOT
from tests.support.hooks import FakeInbox, make_app
from webhooks.forges import FORGES

PAGES = ROOT / "docs" / "webhooks"


def page(forge: str) -> Path:
    return PAGES / f"{forge}.md"


def curl(forge: str) -> list[str]:
    """The words of the page's curl command, as a shell would split them."""
    blocks = re.findall(r"```sh\n(curl .*?)```", page(forge).read_text(encoding="utf-8"), re.DOTALL)
    (command,) = blocks
    return shlex.split(command.replace("\\\n", " "))


@pytest.mark.parametrize("forge", FORGES)
def test_the_example_is_accepted(forge: str) -> None:
    words = curl(forge)
    url = next(word for word in words if word.startswith("http://"))
    headers = [tuple(words[at + 1].split(": ", 1)) for at, word in enumerate(words) if word == "-H"]
    body = words[words.index("--data-binary") + 1]
    inbox = FakeInbox()
    response = make_app(inbox).test_client().post(url, data=body.encode(), headers=headers)
    assert response.status_code == 202, response.text
    ((_, parsed),) = inbox.accepted
    assert isinstance(parsed, Push)
    assert parsed.repo.full_name == "acme/plate-web"
    assert all(change.commit for change in parsed.changes)


@pytest.mark.parametrize("forge", FORGES)
def test_the_page_names_what_people_need(forge: str) -> None:
    text = page(forge).read_text(encoding="utf-8")
    assert f"/webhooks/{forge}" in text
    assert FORGES[forge].proof_header in text
    assert all(f"| {status}" in text for status in (200, 202, 400, 401, 404, 408, 413, 415, 503))
    assert f"{FORGES[forge].deadline:.0f} s" in text
