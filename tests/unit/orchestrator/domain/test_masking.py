"""Secrets are taken out of text in every form in which they appear, and nothing else is."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.apps import Build, Channel, GitAccess, Secret
from orchestrator.domain.masking import Mask
from orchestrator.domain.secrets import secrets_in
from tests.support.factories import make_app, make_settings

SECRET = "robot$ecret+/한글"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        "robot%24ecret%2B%2F%ED%95%9C%EA%B8%80",
    ],
)
def test_each_form_of_a_secret_is_masked(form: str) -> None:
    assert Mask([SECRET])(f"before {form} after") == "before *** after"


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_a_secret_inside_longer_base64_is_masked(before: bytes, after: bytes) -> None:
    encoded = base64.b64encode(before + b"user:" + SECRET.encode() + after).decode()
    assert "***" in Mask([SECRET])(encoded)


@pytest.mark.parametrize("form", ["pass word/7", "pass%20word%2F7", "pass+word%2F7"])
def test_a_blank_of_a_secret_has_two_forms_in_addresses(form: str) -> None:
    assert Mask(["pass word/7"])(f"?key={form}&x") == "?key=***&x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[32mok\x1b[0m hun\x1b[1mter-\x1b[0mtwo", "ok ***"),
        ("hunX\bter-two", "***"),
        ("\x1b[32mok\x1b[0m hunter", "\x1b[32mok\x1b[0m hunter"),
    ],
    ids=["cut in two by a colour", "typed with a slip", "none"],
)
def test_a_secret_that_a_terminal_would_show_is_masked_and_else_colours_stay(text: str, shown: str) -> None:
    assert Mask(["hunter-two"])(text) == shown


def test_the_longer_secret_goes_first() -> None:
    assert Mask(["secret", "secret-and-more"])("x secret-and-more y") == "x *** y"


@pytest.mark.parametrize("short", ["", "a", "12345", " 12345", "     "])
def test_short_values_are_no_secrets_worth_masking(short: str) -> None:
    assert Mask([short])("a 12345 b") == "a 12345 b"
    assert Mask(["123456"])("a 123456 b") == "a *** b"


def test_every_secret_of_the_configuration_is_found() -> None:
    channel = Channel(name="ops", kind="slack", secret=Secret("slack-url"))
    app = make_app(source=GitAccess(url="https://git.example.com/x.git", token=Secret("app-token")))
    found = secrets_in(make_settings("/tmp", channels=(channel,), apps=(app,)))
    assert found == {"slack-url", "app-token", "s3cret-harbor"}
    assert secrets_in({"a": [Secret("in-a-map"), 1]}) == {"in-a-map"}


def test_the_passwords_of_database_and_broker_are_found_as_written_and_as_meant() -> None:
    settings = make_settings(
        "/tmp",
        database="postgresql+psycopg://pilotage:p%40ss-1@db/pilotage",
        broker="redis://:red%2Fis-1@redis:6379/0",
    )
    assert secrets_in(settings) >= {"p%40ss-1", "p@ss-1", "red%2Fis-1", "red/is-1"}


def test_a_secret_with_blanks_around_it_is_masked_without_them_too() -> None:
    assert Mask([" hunter2 "])("password=hunter2;") == "password=***;"


def test_the_lines_of_a_key_are_masked_one_by_one() -> None:
    begin, end = (f"-----{word} OPENSSH PRIVATE KEY-----" for word in ("BEGIN", "END"))
    body = ["b3BlbnNzaC1rZXktdjEAAAAABG5vbmU", "AAAAEbm9uZQAAAAA", "short=="]
    mask = Mask(["\r\n".join([begin, *body, end, ""])])
    shown = [mask(f"+ {line}") for line in (begin, *body, end)]
    assert shown == [f"+ {begin}", "+ ***", "+ ***", "+ short==", f"+ {end}"]


FILES = {
    "netrc": "machine git.example.org\nlogin ci\npassword hunter-two\n",
    "one line": "machine git.example.org login ci password hunter-two",
    "npmrc": "registry=https://npm.example.org/\n//npm.example.org/:_authToken=hunter-two\n",
    "pip.conf": "[global]\nindex-url = https://ci:hunter-two@pypi.example.org/simple\n",
    "json": '{"auths": {"h.io": {"password": "hunter-two"}}}',
    "environment": "NPM_TOKEN='hunter-two'",
    "a word": "npm hunter-two-2 x",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_what_a_program_shows_of_a_file_that_is_a_secret_of_a_build_is_masked(text: str) -> None:
    """As pip does: "Looking in indexes: https://ci:TOKEN@pypi.example.org/simple"."""
    mask = Mask(secrets_in(make_app(build=Build(secrets=(("file", Secret(text)),)))))
    word = "hunter-two-2" if "two-2" in text else "hunter-two"
    shown = mask(f"fatal: https://ci:{word}@git.example.org/acme/lib.git/")
    assert shown == "fatal: https://ci:***@git.example.org/acme/lib.git/"
    assert mask("ci machine login npm.example.org registry") == "ci machine login npm.example.org registry"
