"""Wrong use, an API that does not answer, and whose token is shown."""

from pathlib import Path

import pytest

from tests.support.commands import Pilotage
from tests.support.fake_api import FakeApi, problem, run
from tests.support.loopback import Reply, loopback


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "watch"),
        ("run", "watch", "0"),
        ("run", "wach", "42"),
        ("run", "list", "--state", "done"),
        ("delivery", "show", "abc"),
    ],
)
def test_wrong_use_exits_2(pilotage: Pilotage, arguments: tuple[str, ...]) -> None:
    assert pilotage(*arguments).code == 2


def test_a_run_that_is_not_there_exits_2_with_the_servers_sentence(pilotage: Pilotage, api: FakeApi) -> None:
    said = pilotage("run", "show", "7", "--url", api.url)

    assert (said.code, said.out) == (2, "")
    assert said.err == "pilotage: Not possible (HTTP 404): there is no /runs/7.\n"


def test_what_is_wrong_in_a_request_is_named(pilotage: Pilotage, api: FakeApi) -> None:
    wrong = [
        {"in": "query", "field": "cursor", "message": "Input should be a valid integer"},
        {"in": "query", "field": "", "message": "name exactly one of ref, commit or image"},
    ]
    body = {"detail": "The query is not what this call takes; see `errors`.", "errors": wrong}
    api.answers["GET /runs"] = Reply(status=422, body=body)

    said = pilotage("run", "list", "--cursor", "x", "--url", api.url)

    assert said.code == 2
    assert said.err == (
        "pilotage: Not possible (HTTP 422): The query is not what this call takes: cursor: Input should be a valid"
        " integer; name exactly one of ref, commit or image.\n"
    )


def test_an_api_that_does_not_answer_exits_3_and_says_what_to_do(pilotage: Pilotage) -> None:
    said = pilotage("run", "list", "--url", "http://127.0.0.1:1")

    assert (said.code, said.out) == (3, "")
    assert said.err == (
        "pilotage: Pilotage does not answer at http://127.0.0.1:1 ([Errno 111] Connection refused);"
        " start it with `pilotage up`, or name it with --url.\n"
    )


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (
            problem(401, "x"),
            "No token was given; set PILOTAGE_TOKEN to one made with `pilotage token create`, or name its file",
        ),
        (problem(403, "needs deployer."), "The token's role does not allow this: needs deployer."),
        (problem(503, "Start the database."), "cannot answer now: Start the database.\n"),
        (problem(500, "Report request 7."), "cannot answer now: Report request 7.\n"),
        (Reply(status=503, body="<html>"), "Pilotage does not answer at"),
        (Reply(status=302, headers={"Location": "/login"}), "answered HTTP 302, not like Pilotage; check --url."),
        (Reply(status=401, body={"error": "no session"}), "answered HTTP 401, not like Pilotage; check --url."),
        (Reply(status=404, body="<html>"), "answered HTTP 404, not like Pilotage; check --url."),
        (Reply(body="<html>"), "answered something that is not Pilotage's JSON; check --url."),
        (Reply(body="[]"), "answered something that is not Pilotage's JSON; check --url."),
    ],
)
def test_what_is_not_pilotage_or_refuses_the_token_exits_3(
    pilotage: Pilotage, api: FakeApi, reply: Reply, sentence: str
) -> None:
    api.answers["GET /runs"] = reply

    said = pilotage("run", "list", "--url", api.url)

    assert said.code == 3
    assert sentence in said.err


def test_a_token_that_is_not_accepted_exits_3(
    pilotage: Pilotage, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.token = "pt_secret"
    monkeypatch.setenv("PILOTAGE_TOKEN", "pt_other")

    said = pilotage("run", "list", "--url", api.url)

    assert (said.code, said.out) == (3, "")
    assert said.err == (
        "pilotage: Pilotage does not accept the token; set PILOTAGE_TOKEN to one made with `pilotage token create`.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("run", "list", "-o", "yaml"), "'--output' / '-o': 'yaml' is not one of 'text', 'json'."),
        (("run", "watch", "1", "--timeout", "xx"), "'--timeout': `xx` is not a length of time; write seconds"),
    ],
)
def test_a_value_that_is_not_taken_is_named(pilotage: Pilotage, arguments: tuple[str, ...], sentence: str) -> None:
    said = pilotage(*arguments)

    assert (said.code, said.out) == (2, "")
    assert f"Invalid value for {sentence}" in said.err


def test_the_token_comes_from_the_environment_or_a_private_file(
    pilotage: Pilotage, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.token = "pt_secret"
    api.runs[42] = run()
    show = ("run", "show", "42", "--url", api.url)
    assert pilotage(*show).code == 3

    (tmp_path / "token").write_text("pt_secret\n")
    (tmp_path / "token").chmod(0o600)
    assert pilotage(*show).code == 0

    (tmp_path / "token").chmod(0o644)
    said = pilotage(*show)
    assert said.code == 3
    assert said.err == f"pilotage: Others can read the token file {tmp_path}/token; run `chmod 600` on it.\n"

    (tmp_path / "token").chmod(0o440)  # as Kubernetes mounts a Secret for the group of a pod
    said = pilotage(*show)
    assert said.code == 0
    assert said.err == (
        f"The token file {tmp_path}/token is open to its group; run `chmod 600` on it unless that is meant.\n"
    )

    monkeypatch.setenv("PILOTAGE_TOKEN", "pt_secret")
    assert pilotage(*show).code == 0
    assert pilotage(*show, "--token-file", "/no/such").code == 0


def test_whose_certificate_is_not_trusted_is_told_what_a_command_reads(
    pilotage: Pilotage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with loopback(lambda _: Reply(body={"items": []}), tls=tmp_path) as server:
        said = pilotage("run", "list", "--url", server.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
        assert pilotage("run", "list", "--url", server.url).code == 0

    assert said.code == 3
    assert "(set REQUESTS_CA_BUNDLE to the CA bundle that signed it)" in said.err


def test_a_token_file_that_is_named_must_be_there(pilotage: Pilotage, api: FakeApi) -> None:
    said = pilotage("run", "list", "--token-file", "/no/such/token", "--url", api.url)

    assert said.code == 2
    assert said.err == (
        "pilotage: There is no token file /no/such/token; `pilotage up` writes one into its state folder, and"
        " `pilotage token create` makes more.\n"
    )


@pytest.mark.parametrize("url", ["127.0.0.1:8480", "ftp://x", "http://", "http://[::1", "http://127.0.0.1:abc"])
def test_an_address_that_is_none_exits_2(pilotage: Pilotage, url: str) -> None:
    said = pilotage("run", "list", "--url", url)

    assert said.code == 2
    assert said.err.endswith("is not an address; write it as in http://127.0.0.1:8480.\n")


@pytest.mark.parametrize("token", ["pt_\ud55c", "pt_one\npt_two"])
def test_what_no_header_could_carry_is_not_sent_as_a_token(
    pilotage: Pilotage, api: FakeApi, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("PILOTAGE_TOKEN", token)

    said = pilotage("run", "list", "--url", api.url)

    assert (said.code, said.err.partition(":")[0], len(said.err.splitlines())) == (3, "pilotage", 1)
    assert "This is not a token" in said.err
    assert "`pilotage token create`" in said.err
