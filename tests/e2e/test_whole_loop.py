"""From a developer's push to a healthy, proven deployment, with real parts all the way."""

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from orchestrator.sandbox import samples
from orchestrator.sandbox.faults import HttpFault
from orchestrator.sandbox.forge_hooks import HookFault
from orchestrator.sandbox.githttp import Fault
from orchestrator.sandbox.platform import GITOPS, ROBOT_SECRET, SOURCE
from tests.support.waiting import until
from tests.support.whole_loop import KOREAN_BRANCH, Loop, containers, stage_of, succeeded

pytestmark = pytest.mark.slow

Event = tuple[int, str]


def test_a_push_is_deployed_and_the_receipt_proves_it(loop: Loop) -> None:
    commit = loop.push(message="Say hello")
    run = succeeded(loop.end(loop.run_of(commit)))
    receipt = run["receipt"]
    assert receipt["source_commit"] == commit
    assert loop.gitops_commits(run["id"]) == [receipt["gitops_commit"]]
    values = loop.git(GITOPS, "show", f"main:{samples.CHART}/values-stg.yaml")
    assert receipt["image"].rpartition(":")[2] in values
    assert receipt["digest"].removeprefix("sha256:") in loop.manifests()
    assert receipt["live_images"] == [receipt["image"]]
    assert containers(loop.platform, receipt["image"])
    assert (run["title"], run["author"], run["trigger"]) == ("Say hello", "Dev Eloper", "push")
    assert [stage["state"] for stage in run["stages"]] == ["succeeded"] * 7
    loop.told(run["id"])
    status = loop.platform.forge.statuses.of(SOURCE, commit)["pilotage/plate-web/stg"]
    assert (status.state, status.description) == ("success", run["sentence"])
    assert status.url.endswith(f"/runs/{run['id']}")


def test_a_push_of_several_commits_deploys_the_last(loop: Loop) -> None:
    for number in range(3):
        last = loop.push(branch="work/many", message=f"Step {number}")
    loop.platform.forge.push_refs(SOURCE, {"refs/heads/deploy/many": last})
    run = succeeded(loop.end(loop.run_of(last, "many")))
    assert run["title"] == "Step 2"
    assert [one["commit"] for one in loop.runs(environment="many")] == [last]
    assert stage_of(run, "build")["reused"] is False


def test_a_container_that_cannot_start_fails_the_run_with_its_own_words(loop: Loop) -> None:
    run = loop.deploy(loop.broken(), branch="deploy/broken")
    assert (run["state"], run["reason"], run["who_acts"]) == ("failed", "degraded", "developer")
    assert "cannot open /etc/plate/config.yaml" in run["sentence"]
    assert "\n" not in run["sentence"]


def test_a_failed_deploy_is_taken_back_where_its_environment_wants_it(loop: Loop) -> None:
    good = succeeded(loop.deploy(branch="deploy/back"))
    bad = loop.deploy(loop.broken(), branch="deploy/back")
    assert bad["reason"] == "degraded"
    back = loop.runs(environment="back")[0]
    assert (back["trigger"], back["actor"]) == ("rollback", f"run {bad['id']}")
    assert (bad["taken_back_by"], f"Run {back['id']} goes back." in bad["next_step"]) == (back["id"], True)
    receipt = succeeded(loop.end(back["id"]))["receipt"]
    assert (receipt["image"], receipt["digest"]) == (good["receipt"]["image"], good["receipt"]["digest"])
    assert loop.gitops_commits(back["id"]) == [receipt["gitops_commit"]]
    waits = loop.run_of(loop.push(branch="deploy/back"))
    loop.until_run(waits, lambda run: run["reason"] == "on_hold", "on hold")
    loop.api.post(f"/apps/{samples.APP}/environments/back/release")
    succeeded(loop.end(waits))


def test_a_fix_does_not_wait_for_the_broken_deploy_before_it(loop: Loop) -> None:
    broken = loop.run_of(loop.push(loop.broken(), branch="deploy/fix"))
    loop.waiting_at(broken, "health")
    fix = succeeded(loop.deploy(branch="deploy/fix"))
    ended = loop.end(broken)
    if ended["state"] == "cancelled":
        assert (ended["reason"], ended["superseded_by"]) == ("superseded", fix["id"])
    else:
        assert ended["reason"] == "degraded", "the machine was too slow to be overtaken"


def test_a_rerun_over_http_says_what_it_reused(loop: Loop) -> None:
    first = succeeded(loop.deploy(branch="deploy/twice"))
    pushed = loop.manifests()
    again = succeeded(loop.end(int(loop.api.post(f"/runs/{first['id']}/rerun", {})["id"])))
    assert (again["rerun_of"], again["attempt"]) == (first["id"], 2)
    assert [one["name"] for one in again["stages"] if one["reused"]] == ["build", "push", "commit"]
    assert again["receipt"]["gitops_commit"] == first["receipt"]["gitops_commit"]
    assert loop.manifests() == pushed


def test_a_manual_run_deploys_a_ref_a_commit_or_an_image(loop: Loop) -> None:
    first, second = (loop.push(branch="work/manual") for _ in range(2))
    by_ref = succeeded(loop.end(loop.start(environment="manual", ref="work/manual")))
    by_commit = succeeded(loop.end(loop.start(environment="manual", commit=first)))
    tag = by_ref["receipt"]["image"].rpartition(":")[2]
    by_image = succeeded(loop.end(loop.start(environment="manual", image=tag)))
    assert (by_ref["commit"], by_commit["commit"]) == (second, first)
    assert by_image["receipt"]["image"] == by_ref["receipt"]["image"]
    assert stage_of(by_image, "build")["reused"]
    assert {run["trigger"] for run in (by_ref, by_commit, by_image)} == {"manual"}


def test_the_same_request_with_the_same_key_is_one_run(loop: Loop) -> None:
    commit = loop.push(branch="work/key")
    wish = {"environment": "manual", "commit": commit}
    assert loop.start("key-1", **wish) == loop.start("key-1", **wish)
    assert len(loop.runs_of(commit)) == 1
    succeeded(loop.end(loop.runs_of(commit)[0]["id"]))


def test_cancel_stops_a_build_in_the_middle(loop: Loop) -> None:
    run = loop.run_of(loop.push(loop.dockerfile("RUN echo begun && sleep 50"), branch="deploy/slow"))
    until(lambda: "begun" in loop.log(run, "build").replace("RUN echo begun", ""), "the slow step")
    loop.api.post(f"/runs/{run}/cancel")
    ended = loop.end(run, seconds=20)
    assert (ended["state"], ended["reason"]) == ("cancelled", "cancelled")
    assert not loop.gitops_commits(run)
    succeeded(loop.deploy(branch="deploy/slow"))


def test_cancel_ends_a_wait_at_once(loop: Loop) -> None:
    run = loop.run_of(loop.push(loop.broken(), branch="deploy/slow"))
    loop.waiting_at(run, "health")
    loop.api.post(f"/runs/{run}/cancel")
    assert loop.end(run, seconds=5)["reason"] == "cancelled"


def test_what_concerns_no_app_is_ignored_and_can_be_looked_up(loop: Loop) -> None:
    other = loop.push(branch="work/other")
    loop.platform.forge.push_refs(SOURCE, {"refs/heads/work/other": ""})
    skipped = loop.push(branch="deploy/cli", message="Correct a word [skip ci]")
    assert loop.delivery(other)["outcome"] == "ignored"
    gone = [one for one in loop.platform.forge.settle() if b'"deleted":true' in one.body.replace(b" ", b"")]
    assert [one.status for one in gone] == [200]
    assert loop.delivery(skipped)["reason"] == "skip"
    assert not loop.runs_of(other)
    assert not loop.runs_of(skipped)


def test_our_own_gitops_commit_starts_nothing(loop: Loop) -> None:
    run = succeeded(loop.deploy(branch="deploy/twice"))
    seen = loop.delivery(run["receipt"]["gitops_commit"])
    assert (seen["outcome"], seen["runs"]) == ("ignored", [])


def test_a_delivery_that_comes_again_leads_to_the_same_run(loop: Loop) -> None:
    commit = loop.push(branch="deploy/twice")
    run = loop.run_of(commit)
    delivery = next(one for one in loop.platform.forge.settle() if commit.encode() in one.body)
    loop.platform.forge.redeliver(delivery.id)
    answers = [json.loads(one.answer) for one in loop.platform.forge.settle() if one.id == delivery.id]
    assert [answer.get("duplicate", False) for answer in answers] == [False, True]
    assert [answer["runs"] for answer in answers] == [[run], [run]]
    succeeded(loop.end(run))
    assert len(loop.runs_of(commit)) == 1


def test_a_push_whose_hook_was_lost_is_found_by_the_poll(loop: Loop) -> None:
    loop.platform.forge.fault(HookFault(lose=True))
    commit = loop.push()
    run = succeeded(loop.end(loop.run_of(commit)))
    assert run["trigger"] == "poll"
    assert run["receipt"]["source_commit"] == commit


def test_people_are_told_twice_of_each_run(loop: Loop) -> None:
    run = succeeded(loop.deploy(branch="deploy/twice"))
    loop.told(run["id"])
    assert loop.in_chat(run["id"]) == ["▶ Deploying: plate-web to twice", "✅ Deployed: plate-web to twice"]
    callbacks = loop.callbacks(run["id"])
    assert callbacks[0].type == "run.started"
    assert callbacks[-1].type == "run.succeeded"
    assert [one.repeats for one in callbacks] == [0] * len(callbacks)


def test_a_log_is_followed_over_a_broken_connection_without_gap_or_repeat(loop: Loop) -> None:
    counting = "RUN for i in 1 2 3 4 5 6 7 8 9; do echo line $i; sleep 0.3; done"
    run = loop.run_of(loop.push(loop.dockerfile(counting), branch="deploy/cli"))
    first = events(loop, run, last=0, stop=lambda seen: "line 3" in seen[-1][1])
    rest = events(loop, run, last=first[-1][0], stop=lambda _: False)
    numbers = [number for number, _ in first + rest]
    assert numbers == list(range(1, len(numbers) + 1))
    text = [line for _, line in first + rest if "line " in line and "RUN" not in line]
    assert [line.rpartition("line ")[2] for line in text] == [str(number) for number in range(1, 10)]
    assert [line for _, line in first + rest] == loop.log(run).splitlines()
    succeeded(loop.end(run))


def test_a_secret_is_nowhere_to_be_read(loop: Loop) -> None:
    plain = ROBOT_SECRET
    encoded = base64.b64encode(plain.encode()).decode()
    half = len(plain) // 2
    files = loop.dockerfile(
        "ARG LEAK",
        "RUN echo plain $LEAK",
        f"RUN printf 'parts {plain[:half]}'; sleep 0.3; echo {plain[half:]}",
        "RUN printf %s $LEAK | base64",
        "RUN --mount=type=secret,id=leak,mode=0444 cat /run/secrets/leak && echo of a mount",
        f"RUN echo literal {plain} {encoded}",
    )
    run = succeeded(loop.deploy(files, branch="deploy/leak", message=f"Use {plain}"))
    loop.told(run["id"])
    secrets = (*(value for name, value in loop.platform.environ().items() if name != "SLACK_WEBHOOK"), encoded)
    state = loop.product.state_dir
    places = {
        "log": loop.log(run["id"]),
        "API": json.dumps([loop.api.run(run["id"]), loop.api.get("/apps"), loop.api.get("/deliveries")]),
        "product log": loop.product.log.read_text(errors="replace"),
        "database": b"".join(file.read_bytes() for file in state.glob("pilotage.db*")).decode("latin-1"),
        "chat": "".join(f"{one.body!r}" for one in loop.platform.chat.arrived),
    }
    assert "parts" in places["log"]
    assert "***of a mount" in places["log"]
    found = [(place, secret[:4]) for place, text in places.items() for secret in secrets if secret in text]
    assert found == []


def test_argo_cd_that_is_away_for_some_seconds_fails_nothing(loop: Loop) -> None:
    run = loop.run_of(loop.push(loop.dockerfile("RUN sleep 2"), branch="deploy/argo"))
    loop.until_run(run, lambda seen: stage_of(seen, "build")["state"] == "running", "the build")
    faults = loop.platform.argocd.faults
    faults.set("unavailable", value=503)
    try:
        seen = loop.until_run(run, lambda one: "503" in one["sentence"], "the unknown state")
        assert (seen["state"], seen["reason"]) == ("waiting", "retrying")
        faults.set("unavailable", value=429)
        loop.until_run(run, lambda one: "429" in one["sentence"], "the other answer")
    finally:
        faults.lift("unavailable")
    succeeded(loop.end(run))


def test_harbor_that_stumbles_during_a_push_is_asked_again(loop: Loop) -> None:
    loop.platform.harbor.faults.add(HttpFault(where="/manifests/", method="PUT", status=502))
    run = succeeded(loop.deploy(branch="deploy/harbor"))
    assert stage_of(run, "push")["attempt"] > 1
    assert "will be tried again" in loop.log(run["id"], "push")


def test_a_foreign_commit_in_between_is_kept(loop: Loop) -> None:
    forge = loop.platform.forge
    commit = loop.push(branch="work/race")
    pushes = len(loop.receives())
    forge.git_fault(Fault(service="receive", delay=2.0))
    run = loop.start(environment="race", commit=commit)
    until(lambda: len(loop.receives()) > pushes, "our push to be under way")
    foreign = forge.commit(GITOPS, "main", {"OWNERS": f"team {run}\n"}, "Name the owners")
    ended = succeeded(loop.end(run))
    ours = ended["receipt"]["gitops_commit"]
    assert loop.git(GITOPS, "merge-base", "--is-ancestor", foreign, ours) == ""
    assert loop.gitops_commits(run) == [ours]


def test_korean_names_go_all_the_way(loop: Loop) -> None:
    run = succeeded(loop.deploy(branch=KOREAN_BRANCH, message="접시 인사말을 바꿉니다\n\n둘째 줄"))
    assert (run["title"], run["ref"]) == ("접시 인사말을 바꿉니다", f"refs/heads/{KOREAN_BRANCH}")
    assert "접시 인사말을 바꿉니다" in loop.git(GITOPS, "show", "-s", "--format=%B", run["receipt"]["gitops_commit"])
    loop.told(run["id"])
    assert "접시" in "".join(one.text for one in loop.platform.chat.slack.shown)


def test_doctor_finds_nothing_wrong_and_tells_no_secret(loop: Loop) -> None:
    done = loop.cli("doctor")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    assert not [value for value in loop.platform.environ().values() if value in done.stdout]


def test_doctor_names_the_variable_that_holds_a_wrong_secret_and_not_the_secret(loop: Loop) -> None:
    secrets = ("HARBOR_PASSWORD", "GITOPS_TOKEN", "ARGOCD_TOKEN")
    wrong = {name: f"wrong-{name.lower()}" for name in secrets}
    done = loop.cli("doctor", environ=wrong)
    assert done.returncode == 1
    named = [line.strip() for line in done.stdout.splitlines() if " comes from " in line]
    keys = ("registry.password", "gitops.token", "argocd.token")
    assert set(named) >= {f"`{key}` comes from ${{{name}}}." for key, name in zip(keys, secrets, strict=True)}
    assert not [value for value in wrong.values() if value in done.stdout + done.stderr]
    places = [line for line in done.stdout.splitlines() if "values file and application" in line]
    assert {line.partition(" application: ")[2] for line in places} == {
        "not checked, since this failed: GitOps repository, branch main; Argo CD"
    }


def test_discover_finds_what_is_deployed_and_the_configuration_takes_it(loop: Loop, tmp_path: Path) -> None:
    succeeded(loop.deploy(branch="deploy/cli"))
    whole = yaml.safe_load((loop.product.folder / "pilotage.yaml").read_text())
    file = tmp_path / "pilotage.yaml"

    def run(*command: str, apps: object) -> "subprocess.CompletedProcess[str]":
        file.write_text(yaml.safe_dump(whole | {"apps": apps}))
        return loop.cli(*command, environ={"PILOTAGE_CONFIG": str(file)})

    done = run("discover", apps=[])
    assert done.returncode == 0, done.stderr
    found = yaml.safe_load(done.stdout)["apps"]
    (app,) = [one for one in found if one["name"] == samples.APP]
    (known,) = [one for one in whole["apps"] if one["name"] == samples.APP]
    assert (app["repo"], app["image"]) == (known["repo"], known["image"])
    places = [{(one["values"], one["argocd"]) for one in each["environments"]} for each in (app, known)]
    assert places[0] == places[1]
    for place in app["environments"]:
        place.setdefault("branch", f"deploy/{place['name']}")
    assert run("config", "check", apps=found).returncode == 0
    again = run("discover", "-o", "json", apps=found)
    assert json.loads(again.stdout)["apps"] == []


def test_the_command_line_waits_and_exits_with_the_result(loop: Loop) -> None:
    good = loop.push(branch="work/cli")
    bad = loop.push(loop.dockerfile("RUN exit 7"), branch="work/cli")
    slow = loop.push(loop.dockerfile("RUN sleep 40"), branch="work/cli")
    start = ("run", "start", samples.APP, "cli", "--wait", "--commit")
    assert loop.cli(*start, good).returncode == 0
    failed = loop.cli(*start, bad)
    assert failed.returncode == 1
    assert "exit code" in failed.stdout + failed.stderr
    assert loop.cli(*start, slow, "--timeout", "2s").returncode == 4
    run = loop.runs_of(slow)[0]["id"]
    assert loop.cli("run", "cancel", str(run), "--wait").returncode == 5
    assert loop.cli("run", "start", "no-such-app").returncode == 2


def events(
    loop: Loop, run: int, *, last: int, stop: Callable[[list[tuple[int, str]]], bool]
) -> list[tuple[int, str]]:
    """Read server-sent events, number and text, until `stop` says so or the server ends the stream."""
    stream = loop.api.stream(f"/runs/{run}/logs", "text/event-stream", {"follow": 1}, last=last)
    seen: list[Event] = []
    number = kind = ""
    for raw in stream:
        name, _, value = raw.decode().partition(": ")
        if name == "id":
            number = value
        elif name == "event":
            kind = value
        elif name == "data" and kind == "line":
            seen.append((int(number), str(json.loads(value)["text"])))
            if stop(seen):
                break
        elif name == "data" and kind == "end":
            break
    stream.close()
    return seen
