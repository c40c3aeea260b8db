"""How a run's state reads in a chat."""

from dataclasses import replace

import pytest

from tests.support.messages import ALL, CANCELLED, FAILED, NASTY, STARTED, SUCCEEDED, WAITING
from workers.notifiers import wording


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (STARTED, "▶ Deploying: plate-web to stg"),
        (replace(STARTED, state="waiting"), "⏳ Waiting: plate-web to stg"),
        (replace(STARTED, state="queued"), "○ Queued: plate-web to stg"),
        (SUCCEEDED, "✅ Deployed: plate-web to stg"),
        (FAILED, "❌ Deploy failed: plate-web to stg"),
        (CANCELLED, "⏭ Superseded: plate-web to stg"),
        (replace(CANCELLED, reason="cancelled"), "⏹ Cancelled: plate-web to stg"),
        (replace(STARTED, state="of-tomorrow"), "• of-tomorrow: plate-web to stg"),
    ],
)
def test_a_state_is_told_by_a_word_and_a_glyph(message, said):
    assert wording.headline(message) == said


def test_a_failure_says_where_why_what_next_and_who():
    assert wording.text(FAILED).splitlines() == [
        "❌ Deploy failed: plate-web to stg",
        "`8f3e1e7` Show the plate's weight by Kim Min-ji",
        "*health*: The application is unhealthy with this commit. ImagePullBackOff in pod plate-web-7d9f",
        "*Next* (developer): Read the evidence, correct and push.",
        "took 1m15s · trigger push · <https://pilotage.example.com/runs/42|Run 42>",
    ]


def test_a_success_is_quiet():
    assert wording.text(SUCCEEDED).splitlines() == [
        "✅ Deployed: plate-web to stg",
        "`8f3e1e7` Show the plate's weight by Kim Min-ji",
        "took 2m10s · trigger push · <https://pilotage.example.com/runs/42|Run 42>",
    ]


def test_waiting_is_told_apart_from_work():
    waited = replace(SUCCEEDED, seconds=2032.0, waited_seconds=1902.0)
    assert "took 2m10s, waited 31m42s · " in wording.text(waited)


def test_a_failure_takes_more_room_than_a_success():
    assert [block["type"] for block in wording.blocks(FAILED)] == ["header", "section", "section", "context"]
    assert [block["type"] for block in wording.blocks(SUCCEEDED)] == ["section", "context"]


def test_stages_are_told_by_glyph_name_and_time():
    context = wording.blocks(FAILED)[-1]["elements"]

    assert context[0]["text"] == "✔ check 0.4 s  ✔ build 1m00s  ✖ health 8.0 s"


def test_a_waiting_run_says_what_it_waits_for_and_what_to_do():
    assert wording.text(WAITING).splitlines() == [
        "⏳ Waiting: plate-web to stg",
        "`8f3e1e7` Show the plate's weight by Kim Min-ji",
        "The run waits for approval.",
        "*Next* (developer): Approve it with `pilotage run approve 42`.",
        "trigger manual · started by hana · <https://pilotage.example.com/runs/42|Run 42>",
    ]
    patient = replace(WAITING, sentence="Behind run 3.", next_step="Nothing to do.", who_acts="nobody")
    assert "Behind run 3." in wording.text(patient)
    assert "Next" not in wording.text(patient)


def test_whoever_acted_is_named_beside_what_that_person_did():
    assert "trigger push · approved by m&amp;m ·" in wording.text(replace(STARTED, actor="m&m", action="approved"))
    cancelled = replace(CANCELLED, reason="cancelled", actor="mina", action="cancelled")
    assert wording.text(cancelled).count("cancelled by mina") == 1
    said = replace(cancelled, sentence="Cancelled by mina.")
    assert wording.text(said).lower().count("cancelled by mina") == 1


def test_a_later_attempt_says_so():
    assert "attempt 2" in wording.text(replace(STARTED, attempt=2))


@pytest.mark.parametrize("message", ALL, ids=lambda message: message.type)
def test_what_is_not_known_is_left_out(message):
    bare = replace(
        message,
        **dict.fromkeys(("commit", "title", "author", "image", "gitops_commit", "trigger", "url", "sentence"), ""),
        next_step="",
        stages=(),
    )

    assert "Run 42" in wording.text(bare)
    assert "``" not in str(wording.blocks(bare))


def test_a_manual_run_without_a_commit_names_its_title():
    assert "Roll back by Kim" in wording.text(replace(STARTED, commit="", title="Roll back", author="Kim"))


@pytest.mark.parametrize(
    ("text", "limit", "clipped"),
    [
        ("plain", 10, "plain"),
        ("a < b & c > d", 50, "a &lt; b &amp; c &gt; d"),
        ("<!channel> hi", 50, "&lt;!channel&gt; hi"),
        ("@here @channel @heresy", 50, "@\u200bhere @\u200bchannel @heresy"),
        ("@channel_ @all_x @ALL. @channels", 50, "@\u200bchannel_ @\u200ball_x @\u200bALL. @channels"),
        ("[log in](https://x) ![](https://y)", 50, "[log in]\u200b(https://x) ![]\u200b(https://y)"),
        ("a [b] (c) d]", 50, "a [b] (c) d]"),
        ("a&&&&", 10, "a&amp;…"),
        ("배포했습니다 😀😀😀", 9, "배포했습니다 😀…"),
        ("two\nlines\tand \x00 more", 50, "two lines and more"),
        ("half \ud83d emoji", 50, "half \ufffd emoji"),
        ("\u202efdp.exe", 50, "fdp.exe"),
        ("", 5, ""),
    ],
)
def test_text_of_users_is_made_harmless_and_short(text, limit, clipped):
    assert wording.clip(text, limit) == clipped
    assert len(wording.clip(text, limit)) <= limit


@pytest.mark.parametrize("limit", range(2, 60))
def test_no_escape_is_ever_cut(limit):
    clipped = wording.clip("<&>" * 30, limit)

    assert clipped.replace("&lt;", "").replace("&amp;", "").replace("&gt;", "") in ("…",)


def test_the_link_cannot_be_ended_early_by_its_address():
    message = replace(STARTED, url="https://pilotage.example.com/?a=1&b=<|>")

    assert "<https://pilotage.example.com/?a=1&amp;b=%3C%7C%3E|Run 42>" in wording.text(message)


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "https://x/" + "y" * 4000])
def test_an_address_that_is_none_is_not_linked(url):
    assert wording.text(replace(STARTED, url=url)).endswith("· Run 42")


def test_what_goes_into_json_is_valid_and_short():
    assert wording.plain(NASTY + "x" * 100, 40).endswith("…")
    assert "\ud800" not in wording.plain(NASTY)
