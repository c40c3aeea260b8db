"""Every link, form and script of the pages begins with the path under which we are served."""

import re

import pytest

from tests.support.charts import ROOT

TEMPLATES = {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob("orchestrator/web/templates/*.html")}
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob("orchestrator/web/static/*.js")}
STYLES = [path.read_text(encoding="utf-8") for path in ROOT.glob("orchestrator/web/static/*.css")]

ADDRESS = re.compile(r'\b(href|src|action|formaction|poster|srcset|data-[\w-]*url)="([^"]*)"')
ELSEWHERE = (
    "{{ env.argocd_url }}",
    "{{ git.commit_url }}",
    "{{ gitops_url }}",
    "{{ run.argocd_url }}",
    "{{ source_url }}",
)
"""Addresses of others."""
MADE = ("{{ asked.address(", "{{ first }}", "{{ older }}", "{{ there }}")
"""Addresses that are made with the path: the place in a list or a log, and the login by https."""
ALLOWED = ("{{ root }}/", "{{ root }}{{ request.path }}", "{{ root }}{{ path }}", "?", "#", *ELSEWHERE, *MADE)


def addresses(text: str) -> list[str]:
    """Every address of a template, as it is written."""
    return [value for _, value in ADDRESS.findall(text)]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_address_begins_with_the_path_under_which_we_are_served(name: str) -> None:
    assert [one for one in addresses(TEMPLATES[name]) if not one.startswith(ALLOWED)] == []


def test_no_address_is_written_in_another_way() -> None:
    everything = "".join(TEMPLATES.values())
    assert len(addresses(everything)) > 50
    assert re.findall(r"""\b(?:href|src|action)=(?!["])""", everything, re.IGNORECASE) == [], "others are not seen"
    assert "url_for" not in everything
    assert everything.count('name="next"') == everything.count('name="next" value="{{ root }}{{ request.') + 1


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_know_no_path_of_ours(name: str) -> None:
    assert re.findall(r"""["'`]/[a-z][^"'`]*""", SCRIPTS[name]) == []


def test_styles_load_nothing() -> None:
    assert [text for text in STYLES if "url(" in text or "@import" in text] == []
