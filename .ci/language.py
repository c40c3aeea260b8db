"""Keeps the languages of the pages up to date with what the pages say in English.

    python .ci/language.py            adds what is new to each catalogue, takes out what is gone, and compiles it
    python .ci/language.py --check    writes nothing; exits 1 when a catalogue is not up to date or not complete

A translator fills in `msgstr` in orchestrator/web/languages/<code>/LC_MESSAGES/pilotage.po, in any editor of gettext
files, and runs this once more.
"""

import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from orchestrator.domain import wording
from orchestrator.domain.events import DeliveryOutcome
from orchestrator.domain.reasons import CATALOGUE
from orchestrator.domain.runs import RunState, StageState, Trigger
from orchestrator.services import glance_views
from orchestrator.web import environment_actions, language, pages, problems, words

ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT / "orchestrator/web/templates"
MODULES = ("orchestrator/services", "orchestrator/web")
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2)}
NEVER = datetime(2026, 1, 1, tzinfo=UTC)
"""When every catalogue was made: the history of the file says it better."""


def english() -> Catalog:
    """Collect what the pages say."""
    catalogue = Catalog(charset="utf-8", fuzzy=False)
    options = {"trimmed": "true", "newstyle_gettext": "true"}
    for template in sorted(TEMPLATES.glob("*.html")):
        found = extract_from_file("jinja2.ext:babel_extract", template, keywords=KEYWORDS, options=options)
        for _, message, _, _ in found:
            catalogue.add(message, locations=[(template.name, 0)])
    for module in sorted(path for folder in MODULES for path in (ROOT / folder).glob("*.py")):
        for _, message, _, _ in extract_from_file("python", module, keywords={"worded": (1,)}):
            catalogue.add(message, locations=[(module.name, 0)])
    for place, text in _tables():
        catalogue.add(text, locations=[(place, 0)])
    return catalogue


def _tables() -> Iterator[tuple[str, str]]:
    """Yield what stands in tables: the place and the text."""
    for reason, explanation in CATALOGUE.items():
        yield reason.value, explanation.text
        yield reason.value, explanation.next_step
    for place, texts in (
        ("wording", wording.AFTER_GOING_BACK),
        ("glances", (glance_views.NOT_YET, glance_views.NO_MORE)),
        ("scripts", language.IN_SCRIPTS),
        ("states", (*RunState, *StageState, *DeliveryOutcome, *words.ENDINGS.values())),
        ("notifications", (*words.MESSAGES.values(), *words.TOLD.values())),
        ("triggers", tuple(Trigger)),
        ("actions", (*pages.ACTIONS.values(), *environment_actions.ACTIONS.values(), *words.HEADLINES.values())),
        ("problems", problems.TITLES),
    ):
        yield from ((place, str(text)) for text in texts)


def renewed(path: Path, code: str, found: Catalog) -> Catalog:
    """Return the catalogue of a language with exactly the messages that there are."""
    catalogue = Catalog(locale=code)
    if path.exists():
        with path.open("rb") as file:
            catalogue = read_po(file, locale=code)
    catalogue.update(found, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    catalogue.project, catalogue.fuzzy = "Pilotage", False
    catalogue.version = catalogue.last_translator = catalogue.language_team = catalogue.msgid_bugs_address = ""
    catalogue.header_comment = "# What the pages say. Run `make docs` after a change."
    catalogue.creation_date = catalogue.revision_date = NEVER
    return catalogue


def missing(catalogue: Catalog) -> list[str]:
    """Return what is not translated, and what a translation does not fill in as the English text does."""
    wrong = [str(message.id) for message in catalogue if message.id and not any(message.string or ())]
    checked = ((message, errors) for message, errors in catalogue.check() if any(message.string or ()))
    return wrong + [f"{message.id}: {error}" for message, errors in checked for error in errors]


def written(catalogue: Catalog) -> tuple[bytes, bytes]:
    """Return a catalogue as its two files: for people, and as the program reads it."""
    source, compiled = io.BytesIO(), io.BytesIO()
    write_po(source, catalogue, width=118, include_lineno=False)
    write_mo(compiled, catalogue)
    return source.getvalue(), compiled.getvalue()


def renew(code: str, found: Catalog, *, check: bool) -> list[str]:
    """Bring one language up to date, or only say what is wrong with it."""
    path = language.FOLDER / code / "LC_MESSAGES" / f"{language.DOMAIN}.po"
    catalogue = renewed(path, code, found)
    faults = [f"not translated: {text}" for text in missing(catalogue)]
    for file, content in zip((path, path.with_suffix(".mo")), written(catalogue), strict=True):
        if not check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        elif not file.exists() or file.read_bytes() != content:
            faults.append(f"{file.relative_to(ROOT)} is not up to date: run `make docs`")
    return faults


def main() -> int:
    """Do what the arguments ask for."""
    found, check = english(), "--check" in sys.argv
    others = [code for code in language.LANGUAGES if code != language.ENGLISH]
    faults = [f"{code}: {fault}\n" for code in others for fault in renew(code, found, check=check)]
    sys.stderr.writelines(faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
