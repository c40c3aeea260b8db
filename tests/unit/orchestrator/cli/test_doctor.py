"""``pilotage doctor`` before the first start, after it, and on a database of another version."""

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from orchestrator.cli import doctor
from orchestrator.cli.findings import Check, Doubt
from orchestrator.domain.apps import ButtonRules, Channel, Hook, Scan, Secret
from orchestrator.domain.errors import Refused
from orchestrator.domain.events import Delivery, DeliveryOutcome
from orchestrator.domain.masking import Mask
from orchestrator.domain.reasons import Reason
from orchestrator.store import deliveries, environments, migrate
from orchestrator.store.database import Database
from tests.support.configs import VALID, look
from tests.support.databases import sqlite_database
from tests.support.deploying import HEAD, FakeArgo, FakeMirror, application
from tests.support.factories import make_app, make_environment, make_settings
from workers.clients.git import Signing
from workers.clients.harbor import Harbor


def ask(folder: Path) -> str:
    settings = look(VALID, {"PILOTAGE_STATE_DIR": str(folder)}).settings
    assert settings is not None
    return doctor._database(settings)


def test_an_empty_database_is_no_mistake_before_the_first_start(tmp_path: Path) -> None:
    assert ask(tmp_path) == "empty; `pilotage up` or `pilotage migrate` makes the tables"


def test_the_schema_of_this_version_is_named(tmp_path: Path) -> None:
    sqlite_database(tmp_path).close()

    assert ask(tmp_path) == f"schema {migrate.expected()}"


@pytest.mark.parametrize(
    ("revision", "reason"), [("0001", Reason.DATABASE_OUTDATED), ("9999", Reason.DATABASE_NEWER)]
)
def test_the_schema_of_another_version_is_a_mistake(tmp_path: Path, revision: str, reason: Reason) -> None:
    database = sqlite_database(tmp_path)
    with database.write() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))
    database.close()

    with pytest.raises(Refused) as caught:
        ask(tmp_path)

    assert caught.value.reason is reason
    assert revision in caught.value.evidence


@pytest.mark.parametrize(
    ("free", "said"),
    [
        (2**30, []),
        (300 * 2**20 + 5, ["only 300 MiB are free below {root}: make room before Pilotage can take no more pushes"]),
    ],
)
def test_a_disk_that_is_nearly_full_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, said: list[str]
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    assert list(doctor._full(tmp_path)) == [one.format(root=tmp_path) for one in said]


def test_of_a_folder_that_is_not_there_nothing_is_said(tmp_path: Path) -> None:
    assert list(doctor._full(tmp_path / "nowhere")) == []


class Watched(FakeMirror):
    """Is read by a command, which a person at the keyboard may stop at any time."""

    def fetch_branch(self, branch: str, **_: Any) -> str:
        return super().fetch_branch(branch, checkpoint=lambda: None)


@pytest.mark.parametrize("named", [{}, {"digest_key": "image.sum"}, {"repository_key": "image.name"}])
def test_every_key_that_a_deploy_changes_is_looked_at(tmp_path: Path, named: dict[str, str]) -> None:
    gitops = Watched(files={"web/values-stg.yaml": b"image:\n  tag: old\n"})
    settings, argocd, place = make_settings(str(tmp_path)), FakeArgo([application()]), make_environment(**named)

    if not named:
        assert (
            doctor._environment(settings, gitops, argocd, settings.apps[0], place)
            == "image.tag is 'old', plate-web-stg reads it"
        )
        return
    with pytest.raises(Refused, match=next(iter(named.values()))) as caught:
        doctor._environment(settings, gitops, argocd, settings.apps[0], place)
    assert caught.value.reason is Reason.VALUES_KEY_REFUSED


@pytest.mark.parametrize(("named", "asked"), [("", 0), ("ssh", 1), ("openpgp", 1)])
def test_a_signature_is_tried_where_commits_are_signed(tmp_path: Path, named: str, asked: int) -> None:
    settings = make_settings(str(tmp_path))
    settings = replace(settings, gitops=replace(settings.gitops, signing_format=named, signing_key="/key"))
    assert [check.name for check in doctor._checks(settings)].count("signatures of commits") == asked


def test_the_key_that_signs_is_the_configured_one_and_named(tmp_path: Path) -> None:
    tried: list[tuple[object, ...]] = []
    mirror = SimpleNamespace(
        fetch_branch=lambda branch: f"head of {branch}", try_sign=lambda *what: tried.append(what)
    )
    settings = make_settings(str(tmp_path))
    settings = replace(settings, gitops=replace(settings.gitops, signing_format="ssh", signing_key="/key"))
    assert doctor._signs(mirror, settings) == "the ssh key /key can sign"
    assert tried == [("head of main", settings.gitops.author, Signing(format="ssh", key="/key"))]


def test_what_fails_is_one_sentence_as_everywhere_and_a_next_step(tmp_path: Path) -> None:
    check = Check("plate-web/stg", lambda: "")
    error = Refused(Reason.APPLICATION_MISSING, "plate-web-stg does not exist")
    found = doctor._failure(make_settings(str(tmp_path)), check, error, Mask([]))
    assert list(found.lines()) == [
        "FAIL  plate-web/stg: Argo CD has no such application: plate-web-stg does not exist.",
        "      Create it or correct `argocd`.",
    ]


NO_RUN = "      No push starts a run there: push that branch, or correct `branch`, unless it is meant so."


@dataclass(frozen=True)
class Remote:
    """A source repository that has branches and a tag."""

    branches: tuple[str, ...]

    def ls_remote(self, _refs: None) -> dict[str, str]:
        return {"HEAD": HEAD, "refs/tags/mane": HEAD} | {f"refs/heads/{name}": HEAD for name in self.branches}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (("main",), ["ok    source: 2 branches"]),
        (("main", "rel/*"), ["ok    source: 2 branches"]),
        (("mane", "main"), ["note  source: 2 branches; but none is called `mane`", NO_RUN]),
        (("mane", "mein"), ["note  source: 2 branches; but none is called `mane` or `mein`", NO_RUN]),
    ],
)
def test_a_branch_that_the_source_does_not_have_is_a_doubt(
    tmp_path: Path, rules: tuple[str, ...], said: list[str]
) -> None:
    places = tuple(make_environment(name=f"env{n}", branch=rule) for n, rule in enumerate(rules))
    check = Check("source", lambda: doctor._heads(Remote(("main", "dev")), make_app(environments=places)))
    assert list(doctor._asked(make_settings(str(tmp_path)), check, Mask([]), {}).lines()) == said


@pytest.mark.parametrize(
    ("harbor", "gate", "asked"), [(True, "high", True), (True, "", False), (False, "high", False)]
)
def test_the_right_to_scan_is_asked_for_where_there_is_a_gate(
    tmp_path: Path, harbor: bool, gate: str, asked: bool
) -> None:
    settings = make_settings(str(tmp_path))
    apps = tuple(replace(app, scan=Scan(fail_on=gate)) for app in settings.apps)
    settings = replace(settings, apps=apps, registry=replace(settings.registry, harbor=harbor))
    assert any("scans of" in check.name for check in doctor._checks(settings)) is asked


@pytest.mark.parametrize(
    ("named", "word"), [(True, "allowed"), (False, "allowed; findings are counted but not named")]
)
def test_without_the_names_of_findings_the_gate_still_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool, word: str
) -> None:
    settings = make_settings(str(tmp_path))
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(Harbor, "check_scan", lambda _, *place: asked.append(place) or named)
    assert doctor._scan(settings, settings.apps[0]).startswith(word)
    assert asked == [tuple(settings.apps[0].image.split("/", 1))]


@pytest.mark.parametrize(("namespace", "name"), [("", "plate-web-stg"), ("team", "team/plate-web-stg")])
@pytest.mark.parametrize("sync", [False, True])
def test_the_right_to_sync_is_asked_for_where_it_is_needed(
    tmp_path: Path, sync: bool, namespace: str, name: str
) -> None:
    gitops = Watched(files={"web/values-stg.yaml": b"image:\n  tag: old\n"})
    place = make_environment(sync=sync, app_namespace=namespace)
    settings, argocd = make_settings(str(tmp_path)), FakeArgo([application()], may=frozenset({"get"}))

    if not sync:
        doctor._environment(settings, gitops, argocd, settings.apps[0], place)
        return
    with pytest.raises(Refused, match=f"sync of default/{name}") as caught:
        doctor._environment(settings, gitops, argocd, settings.apps[0], place)
    assert caught.value.reason is Reason.ARGOCD_FORBIDDEN
    argocd.may = frozenset({"get", "sync"})
    doctor._environment(settings, gitops, argocd, settings.apps[0], place)


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (40.0, "; but this machine's clock is 40 s behind that of the database"),
        (-3600.0, "; but this machine's clock is 3600 s ahead of that of the database"),
    ],
)
def test_a_clock_that_is_wrong_is_a_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float, said: str
) -> None:
    sqlite_database(tmp_path).close()
    monkeypatch.setattr(Database, "ahead", lambda _: ahead)
    with pytest.raises(Doubt) as caught:
        ask(tmp_path)
    assert (str(caught.value), "NTP" in caught.value.next_step) == (f"schema {migrate.expected()}{said}", True)


def test_of_a_clock_that_is_nearly_right_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite_database(tmp_path).close()
    monkeypatch.setattr(Database, "ahead", lambda _: 4.0)
    assert ask(tmp_path) == f"schema {migrate.expected()}"


@pytest.mark.parametrize(
    ("hours", "outcomes", "told"),
    [
        (1, ["accepted", "refused"], True),
        (1, ["refused", "accepted"], False),
        (30, ["refused"], False),
        (1, [], False),
    ],
)
def test_a_hook_whose_newest_delivery_was_refused_is_named(
    tmp_path: Path, hours: float, outcomes: list[str], told: bool
) -> None:
    hooks = (Hook(forge="github", secret=Secret("x")), Hook(forge="gitlab", secret=Secret("y")))
    settings = replace(make_settings(str(tmp_path)), hooks=hooks)
    delivery = Delivery(hook="github", key="", remote="192.0.2.1")
    row = partial(
        deliveries.row_of, delivery, time.time() - hours * 3600, reason="signature", detail="does not match."
    )
    database = sqlite_database(tmp_path)
    with database.write() as connection:
        deliveries.add(connection, [row(DeliveryOutcome(one)) | {"key": one} for one in outcomes])
    database.close()

    found = doctor._refused(settings)

    assert set(found) == ({"github"} if told else set())
    for one in found.values():
        first, *steps = one.lines()
        assert (
            first
            == "note  github: the newest delivery, 1h00m ago from 192.0.2.1, was refused (signature: does not match)"
        )
        assert steps == [
            "      `pilotage delivery list --hook github --outcome refused` shows the last ones.",
            "      Set the same secret on both sides, restart, and have the forge deliver again.",
        ]


PAGES = {"external_url": "https://p.example.com"}
UNDER_A_PATH = {"external_url": "https://t.example.com/pilotage"}


@pytest.mark.parametrize(
    ("addresses", "base", "steps"),
    [
        ({"webhook_url": "https://hooks.example.com", **PAGES}, "https://hooks.example.com", 0),
        (PAGES, "https://p.example.com", 0),
        (UNDER_A_PATH, "https://t.example.com/pilotage", 0),
        ({"webhook_url": "https://hooks.example.com", **UNDER_A_PATH}, "https://hooks.example.com", 0),
        ({"webhook_url": "https://hooks.example.com/ci", **PAGES}, "https://hooks.example.com/ci", 0),
        ({}, "http://127.0.0.1:8480", 1),
    ],
)
def test_where_nobody_has_named_our_address_the_hook_s_is_doubted(
    tmp_path: Path, addresses: dict[str, str], base: str, steps: int
) -> None:
    settings = replace(make_settings(str(tmp_path)), **addresses)
    first, *rest = doctor._address(settings, "github").lines()
    assert first == f"hook  github: paste this address into the forge: {base}/webhooks/github"
    assert ["server.external_url" in step for step in rest] == [True] * steps


def test_before_the_first_start_no_delivery_was_refused(tmp_path: Path) -> None:
    hooks = (Hook(forge="github", secret=Secret("x")),)
    assert doctor._refused(replace(make_settings(str(tmp_path)), hooks=hooks)) == {}


def test_a_chat_with_buttons_has_an_address_to_paste(tmp_path: Path) -> None:
    rules = ButtonRules(secret=Secret("s3cret"), team="T1", people=frozenset({"U1"}))
    bot = Channel(name="team", kind="slack-api", secret=Secret("x"))
    settings = replace(make_settings(str(tmp_path)), channels=(bot,), external_url="https://p.example.com")
    assert doctor._chats(settings) == []

    asking = replace(settings, channels=(bot, replace(bot, name="ops", buttons=rules)))
    [chat] = doctor._chats(asking)
    assert doctor._address(asking, chat).detail.endswith("https://p.example.com/webhooks/slack")
    assert [check.name for channel in asking.channels for check in doctor._channel(asking, channel)] == [
        "messages to team",
        "messages to ops",
    ]


def test_what_the_configuration_has_left_behind_is_named(tmp_path: Path) -> None:
    settings = make_settings(str(tmp_path / "state"))
    assert doctor._orphans(settings) == [], "before the first start"
    database = sqlite_database(tmp_path / "state")
    with database.write() as connection:
        environments.set_hold(connection, "gone", "stg", "a fair", "mina", 1.0)
    database.close()
    assert [said.partition(",")[0] for said in doctor._orphans(settings)] == ["gone/stg is on hold by mina (a fair)"]
