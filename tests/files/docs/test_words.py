"""Each word that a page sets as code is there: commands, keys, variables, routes, files, events, values of the chart.

What is neither in the product nor in a block of the pages has to be in foreign_words.txt.
"""

import re
from pathlib import Path

import pytest

from tests.support.documents import ROOT, WRITTEN, code_words
from tests.support.page_words import fault

FOREIGN = frozenset(
    line
    for line in (Path(__file__).parent / "foreign_words.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("# ")
)
READ = [page for page in WRITTEN if page.relative_to(ROOT).parts[:2] != ("docs", "ko")]
"""The Korean pages have the words of the English ones (see test_documents.py)."""
RULES = (ROOT / "charts/pilotage/rules/pilotage.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", READ, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_sets_as_code_is_there(page: Path) -> None:
    wrong = [(place, word, said) for place, word in code_words(page) if word not in FOREIGN and (said := fault(word))]

    assert wrong == []


@pytest.mark.parametrize("page", READ, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_an_alert_that_a_page_names_is_one_of_the_rules(page: Path) -> None:
    named = set(re.findall(r"\bPilotage[A-Z]\w+", page.read_text(encoding="utf-8")))

    assert [alert for alert in named if f"alert: {alert}\n" not in RULES] == []


def test_no_foreign_word_is_in_the_list_for_nothing() -> None:
    named = {word for page in READ for _, word in code_words(page)}

    assert {word for word in FOREIGN if word not in named or not fault(word)} == set()


@pytest.mark.parametrize("word", [
    "pilotage run lst",
    "pilotage run list --status failed",
    "pilotage run list --state broken",
    "kubectl -n pilotage exec deploy/pilotage-web -- pilotage tokens",
    "kubectl -n pilotage logs deploy/pilotage-workers",
    "docker compose exec web pilotage doctr",
    "docker compose logs webb",
    "docker compose run --rm --no-deps migrate config chek",
    "docker compose --profile demos up",
    "worker --queues build",
    "make tests",
    "helm install pilotage charts/pilot",
    "server.poll_intervall",
    "apps[].build.secret",
    "webhooks.<forge>.past",
    "approval: always",
    "builder.dind.imagery",
    "config.registry.pass",
    "PILOTAGE_TOKENS",
    "${GITOPS_TOKENS}",
    "GET /api/v1/run",
    "DELETE /api/v1/runs",
    "/webhooks/bitbucket",
    "https://pilotage.example.com/webhooks/jira",
    "docs/how-to/nowhere.md",
    "orchestrator/config.py",
    "orchestrator.engines",
    'event: "request answerd"',
    'event: "run over" and result: "failed"',
    '{"application": "plate-web", "environmental": "stg"}',
    "click turned off",
    "state_dir/mirrored",
    "pilotage_queue_run",
    "registry_unauthorised",
])  # fmt: skip
def test_a_word_that_is_not_there_is_found(word: str) -> None:
    assert fault(word)
