"""In which language the pages speak to a person: that of their choice, else the first of their browser that we have.

Logs, evidence, the API, messages and the command line stay English: people search and paste them.
"""

import gettext as catalogues
from functools import cache
from pathlib import Path

from flask import Flask, g, request
from werkzeug.wrappers import Response

LANGUAGES = {"en": "English", "ko": "한국어"}
"""Code -> its own name. English is what stands in the code; of each other there is a folder beside this module."""
COOKIE = "pilotage_language"
DOMAIN = "pilotage"
FOLDER = Path(__file__).with_name("languages")
_YEAR = 365 * 86400
ENGLISH = "en"

IN_SCRIPTS = (
    "just now",
    "%(n)s min ago",
    "%(n)s h ago",
    "%(n)s d ago",
    "earlier lines",
    "%(n)s new line, jump to end",
    "%(n)s new lines, jump to end",
    "logged out: reload",
    "reconnecting…",
    "live",
)
"""What the scripts say."""


def install(app: Flask) -> None:
    """Let the templates of `app` say things in the language of who asks."""
    environment = app.jinja_env
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(said, said_of, newstyle=True)  # type: ignore[attr-defined]
    environment.globals.update(language=language, languages=LANGUAGES, in_scripts=in_scripts)
    environment.filters["said"] = said


def language() -> str:
    """Return the code of the language in which this request is answered; found out once, as a page asks per word."""
    if "language" not in g:
        g.language = _language()
    return str(g.language)


def _language() -> str:
    chosen = request.cookies.get(COOKIE, "")
    # not best_match(): it takes "ko" of "en-GB, ko;q=0.9", for that is there as it stands
    asked = (tag.split("-")[0].lower() for tag, quality in request.accept_languages if quality)
    return chosen if chosen in LANGUAGES else next((code for code in asked if code in LANGUAGES), ENGLISH)


def choose(response: Response, code: str) -> None:
    """Have the browser remember which language a person has chosen; what we do not have changes nothing."""
    if code in LANGUAGES:
        path, secure = request.script_root or "/", request.is_secure
        response.set_cookie(COOKIE, code, max_age=_YEAR, path=path, httponly=True, samesite="Lax", secure=secure)


def said(text: str) -> str:
    """Say an English text of ours in the language of this request; what has no translation stays as it is."""
    return _catalogue(language()).gettext(text) if text else ""  # of "" it would return what heads the catalogue


def said_of(one: str, many: str, count: int) -> str:
    """The same of a text that differs by how many there are."""
    return _catalogue(language()).ngettext(one, many, count)


def in_scripts() -> dict[str, str]:
    """Return what the scripts of the pages say: English -> the language of this request; nothing for English."""
    return {} if language() == ENGLISH else {text: said(text) for text in IN_SCRIPTS}


@cache
def _catalogue(code: str) -> catalogues.NullTranslations:
    return catalogues.translation(DOMAIN, FOLDER, [code], fallback=code == ENGLISH)
