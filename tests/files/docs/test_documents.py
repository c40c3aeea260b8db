"""The pages hang together: links lead somewhere, each page has its kind, and the Korean ones say the same."""

import re
import shlex
from pathlib import Path

import pytest

from tests.support.documents import PAGES, ROOT, prose

KINDS = {
    "tutorial": "*Tutorial.",
    "how-to": "*How-to.",
    "explanation": "*Explanation.",
    "reference": "*Reference.",
    "runbook": "*Runbook.",
    "webhooks": "*How-to.",
    "ko/tutorial": "*튜토리얼.",
    "ko/runbook": "*런북.",
}
TRANSLATED = sorted([*(ROOT / "docs/tutorial").glob("*.md"), *(ROOT / "docs/runbook").glob("*.md")])


def test_database_addresses_are_written_as_the_tools_of_postgresql_read_them() -> None:
    examples = [*PAGES, ROOT / "pilotage.example.yaml", ROOT / ".env.example"]
    texts = {page.name: page.read_text(encoding="utf-8") for page in examples}

    assert any("postgresql://" in text for text in texts.values())
    assert [name for name, text in texts.items() if re.search(r"postgresql\+\w+://\w", text)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(file: Path) -> set[str]:
    """The anchors that forges give to headings."""
    headings = re.findall(r"^#+ (.*)$", prose(file), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("folder", "word"), KINDS.items())
def test_a_page_declares_its_kind(folder: str, word: str) -> None:
    pages = sorted((ROOT / "docs" / folder).glob("*.md"))

    assert pages
    assert [page.name for page in pages if not below_title(page).startswith(word)] == []


def below_title(page: Path) -> str:
    _, _, below = f"\n{page.read_text(encoding='utf-8')}".partition("\n# ")
    return below.partition("\n\n")[2]


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: page.name)
def test_its_korean_page_says_the_same(page: Path) -> None:
    english = page.read_text(encoding="utf-8")
    korean = (ROOT / "docs/ko" / page.relative_to(ROOT / "docs")).read_text(encoding="utf-8")

    for what in (r"```.*?```", r"^#+ ", r"^(?:\d\.|\*) ", r"`[^`\n]+`"):  # blocks, headings, items, code in texts
        found = [re.findall(what, text, re.DOTALL | re.MULTILINE) for text in (english, korean)]
        assert sorted(found[0]) == sorted(found[1]), what


def test_systemd_lets_the_parent_end_its_processes() -> None:
    page = (ROOT / "docs/how-to/install-on-one-machine.md").read_text(encoding="utf-8")
    unit = re.search(r"```ini\n(.*?)```", page, re.DOTALL)

    assert unit
    assert "KillMode=mixed" in unit[1].splitlines()


def test_the_command_of_one_machine_is_what_the_service_is() -> None:
    page = (ROOT / "docs/how-to/install-on-one-machine.md").read_text(encoding="utf-8")
    script = re.search(r"```sh\n(#!/bin/sh\n.*?)```", page, re.DOTALL)
    unit = re.search(r"```ini\n(.*?)```", page, re.DOTALL)

    assert script
    assert unit
    words = shlex.split(script[1].replace("\\\n", " "), comments=True)
    given = {word.partition("=")[2] for word in words if word.startswith("--property=")}
    wanted = ("User=", "EnvironmentFile=", "StateDirectory=", "StateDirectoryMode=")
    assert given == {line for line in unit[1].splitlines() if line.startswith(wanted)}
    start = shlex.split(re.findall(r"^ExecStart=(.*)$", unit[1], re.MULTILINE)[0])
    assert words[words.index("--") + 1 :] == [start[0], "$@"]
    assert f"--setenv=PILOTAGE_CONFIG={start[start.index('--config') + 1]}" in words


def test_every_page_can_be_found_from_the_readme() -> None:
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        targets = re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8"))
        waiting += [(page.parent / target).resolve() for target in targets if not target.startswith("http")]

    assert {page.relative_to(ROOT).as_posix() for page in set(PAGES) - seen} == set()


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "images").iterdir())

    assert pictures
    assert [picture.name for picture in pictures if picture.stat().st_size >= 150_000] == []
