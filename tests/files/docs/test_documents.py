"""What strangers read is true: links lead somewhere, configurations pass the check, commands exist."""

import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from orchestrator.cli import command
from orchestrator.domain.runs import StageName
from tests.support.configs import ENVIRON, VALID, look
from workers.notifiers.webhook import sign

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("charts/*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda page: page.as_posix()
)
SECRETS = {
    **ENVIRON,
    "SOURCE_TOKEN": "t",
    "FORGE_TOKEN": "t",
    "SLACK_TOKEN": "xoxb-1",
    "SLACK_SIGNING_SECRET": "8f742231b10e8888",
    "HOOK_SECRET": "0123456789abcdef",
    "NPM_TOKEN": "npm_0123456789",
    "PIP_CONF": "[global]\nindex-url = https://packages.example.com/simple\n",
}
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
SECTION = re.compile(r"^notify:.*?(?=^apps:)", re.MULTILINE | re.DOTALL)
BUILD = re.compile(r"^    build:.*?\n", re.MULTILINE)
GITOPS = re.compile(r"^gitops:.*?\n", re.MULTILINE)


def checked(kind: str) -> list[Any]:
    """The blocks that a page marks as checked in a way, each with its page as the test's name."""
    pattern = re.compile(rf"<!-- checked: {kind} -->\n```\w+\n(.*?)```", re.DOTALL)
    return [
        pytest.param(block, id=f"{page.name}-{number}")
        for page in PAGES
        for number, block in enumerate(pattern.findall(page.read_text(encoding="utf-8")))
    ]


def lines(block: str) -> Iterator[list[str]]:
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0] != "export":
            yield words


@pytest.mark.parametrize("block", checked("config"))
def test_a_configuration_passes_the_check_without_a_warning(block: str) -> None:
    result = look(block, SECRETS)

    assert [str(problem) for problem in (*result.problems, *result.warnings)] == []
    assert result.settings is not None


@pytest.mark.parametrize("block", checked("section"))
def test_a_destination_passes_the_check(block: str) -> None:
    result = look(SECTION.sub(lambda _: block, VALID), SECRETS)

    assert [str(problem) for problem in result.problems] == []


@pytest.mark.parametrize("block", checked("gitops"))
def test_a_gitops_section_passes_the_check(block: str) -> None:
    result = look(GITOPS.sub(lambda _: block, VALID), SECRETS)

    assert [str(problem) for problem in result.problems] == []


@pytest.mark.parametrize("block", checked("build"))
def test_the_build_of_an_app_passes_the_check(block: str) -> None:
    result = look(BUILD.sub(lambda _: indent(block, "    "), VALID), SECRETS)

    assert [str(problem) for problem in result.problems] == []


@pytest.mark.parametrize("block", checked("commands"))
def test_a_command_is_one_that_the_program_understands(block: str) -> None:
    for words in lines(block):
        assert words[0] == "pilotage", words
        _parse(words[1:])


def _parse(words: list[str]) -> None:
    """Parse as the program would, without running anything."""
    context = command().make_context("pilotage", list(words), resilient_parsing=False)
    group, rest = context.command, [*context._protected_args, *context.args]
    while hasattr(group, "resolve_command"):
        _, group, rest = group.resolve_command(context, rest)
        if hasattr(group, "commands"):
            context = group.make_context("group", rest)
            rest = [*context._protected_args, *context.args]
    group.make_context("command", rest)


def test_database_addresses_are_written_as_the_tools_of_postgresql_read_them() -> None:
    examples = [*PAGES, *ROOT.glob("charts/pilotage/*.md"), ROOT / "pilotage.example.yaml", ROOT / ".env.example"]
    texts = {page.name: page.read_text(encoding="utf-8") for page in examples}

    assert any("postgresql://" in text for text in texts.values())
    assert [name for name, text in texts.items() if re.search(r"postgresql\+\w+://\w", text)] == []


@pytest.mark.parametrize("block", checked("callback"))
def test_the_check_of_a_callback_takes_ours_and_no_other(block: str) -> None:
    names: dict[str, Any] = {}
    exec(block, names)
    stamp, secret = str(int(time.time())), "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
    headers = {
        "webhook-id": "run-1",
        "webhook-timestamp": stamp,
        "webhook-signature": sign(secret, "run-1", stamp, b"{}"),
    }

    assert names["is_genuine"](secret, headers, b"{}")
    assert names["is_genuine"]("plain", {**headers, "webhook-signature": sign("plain", "run-1", stamp, b"{}")}, b"{}")
    assert not names["is_genuine"](secret, headers, b"{ }")
    assert not names["is_genuine"](secret, {**headers, "webhook-timestamp": "1"}, b"{}")


@pytest.mark.parametrize("block", checked("curl"))
def test_a_curl_example_names_a_call_of_the_api(block: str) -> None:
    from orchestrator.web.openapi import document

    calls = document()["paths"]
    for words in lines(block):
        path = next(word for word in words if word.startswith("http://")).split(":8480", 1)[1]
        found = [rule for rule in calls if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", rule), path)]
        method = words[words.index("-X") + 1].lower() if "-X" in words else "get"
        assert any(method in calls[rule] for rule in found), words


def test_the_excerpt_of_the_demo_goes_through_every_stage() -> None:
    text = (
        (ROOT / "README.md").read_text(encoding="utf-8").partition("<!-- demo-excerpt -->")[2].partition("```\n")[0]
    )
    pushes = text.split("── git push")[1:]

    assert len(pushes) == 2
    for push in pushes:
        told = re.findall(r"^   (.) (\w+) +\w+", push, re.MULTILINE)
        assert [name for _, name in told if name in tuple(StageName)] == list(StageName)
        assert {sign for sign, name in told if name in tuple(StageName)} <= {"✓", "✗"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(file: Path) -> set[str]:
    """The anchors that forges give to headings."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
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
