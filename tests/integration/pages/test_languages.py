"""The pages speak the language of who reads them; what people search and paste stays as it is."""

import pytest
from playwright.sync_api import Browser, Page, expect

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState
from orchestrator.web.language import COOKIE, LANGUAGES
from tests.support.browsers import log_in
from tests.support.pages import OURS
from tests.support.web import Web, served

KOREAN = {"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.8"}


@pytest.mark.parametrize(
    ("asked", "code", "heading"),
    [
        ("ko-KR", "ko", "<h1>실행</h1>"),
        ("ko-KR,ko;q=0.9,en-US;q=0.8", "ko", "<h1>실행</h1>"),
        ("ja, ko;q=0.5", "ko", "<h1>실행</h1>"),
        ("en-GB, ko;q=0.9", "en", "<h1>Runs</h1>"),
        ("ko;q=0, ja", "en", "<h1>Runs</h1>"),
        ("ja-JP", "en", "<h1>Runs</h1>"),
        ("*", "en", "<h1>Runs</h1>"),
        ("ko;q=x", "en", "<h1>Runs</h1>"),
        ("", "en", "<h1>Runs</h1>"),
    ],
)
def test_the_browser_says_which_language_is_wanted(web: Web, asked: str, code: str, heading: str) -> None:
    shown = web.browser().get("/runs", headers={"Accept-Language": asked}).text
    assert heading in shown
    assert f'<html lang="{code}"' in shown


def test_a_choice_goes_before_what_the_browser_says_and_is_remembered(web: Web) -> None:
    client = web.browser()
    answer = client.post("/language", data={"language": "ko", "next": "/apps?a=b"}, headers=OURS)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/apps?a=b")
    kept = client.get_cookie(COOKIE)
    assert kept
    assert (kept.value, kept.http_only, kept.same_site, kept.max_age) == ("ko", True, "Lax", 365 * 86400)
    assert "<h1>앱</h1>" in client.get("/apps", headers={"Accept-Language": "en"}).text
    client.post("/language", data={"language": "en"}, headers=OURS)
    assert "<h1>Apps</h1>" in client.get("/apps", headers=KOREAN).text


@pytest.mark.parametrize("data", [{}, {"language": "xx"}, {"language": "../ko"}])
def test_a_language_that_we_do_not_have_changes_nothing(web: Web, data: dict[str, str]) -> None:
    client = web.browser()
    assert client.post("/language", data=data, headers=OURS).status_code == 303
    assert client.get_cookie(COOKIE) is None
    client.set_cookie(COOKIE, "../../ko")
    assert "<h1>Runs</h1>" in client.get("/runs").text


def test_another_site_chooses_neither_the_language_nor_where_to_go(web: Web) -> None:
    client = web.browser()
    wrong = client.post("/language", data={"language": "ko"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert wrong.status_code == 403
    away = client.post("/language", data={"language": "ko", "next": "//evil.example"}, headers=OURS)
    assert away.headers["Location"] == "/runs"


def test_who_is_not_logged_in_reads_the_login_in_their_language(web: Web) -> None:
    shown = web.app.test_client().get("/login?next=/apps", headers=KOREAN)
    assert "<h1>로그인</h1>" in shown.text
    assert 'value="/login?next=/apps"' in shown.text
    assert "<h1>찾을 수 없음</h1>" in web.browser().get("/nothing", headers=KOREAN | {"Accept": "text/html"}).text


def test_why_is_said_in_the_readers_language_and_the_evidence_as_it_came(web: Web) -> None:
    run = web.run(RunState.FAILED, reason=Reason.BUILD_FAILED, detail="exit 3 at `RUN make`")
    web.log(run, "make: *** [all] Error 3")
    shown = web.browser().get(f"/runs/{run}", headers=KOREAN).text
    assert '<p class="sentence">이미지 빌드가 실패했습니다: exit 3 at <code>RUN make</code>.</p>' in shown
    assert "다음 할 일(개발자): 빌드 로그의 끝을 읽으십시오." in shown
    assert "make: *** [all] Error 3" in shown
    api = web.client().get(f"/api/v1/runs/{run}", headers=KOREAN).get_json()
    assert api["sentence"] == "The image build failed: exit 3 at `RUN make`."


@pytest.mark.parametrize(
    ("path", "korean", "english"),
    [
        ("/runs/1/cancel", "실행 1은(는) 이미 끝났습니다(성공).", "Run 1 is over: succeeded."),
        (
            "/runs/2/rerun",
            "실행 2이(가) 아직 끝나지 않았습니다(차례 기다림).",
            "Run 2 is still queued; cancel it first",
        ),
        ("/runs/77/cancel", "실행 77이(가) 없습니다.", "There is no run 77."),
        (
            "/apps/plate-web/xyz/hold",
            "설정에 환경 plate-web/xyz이(가) 없습니다.",
            "There is no environment plate-web/xyz",
        ),
        ("/nothing", "/nothing 페이지가 없습니다.", "There is no page /nothing here."),
    ],
)
def test_what_is_not_possible_is_said_in_the_readers_language(web: Web, path: str, korean: str, english: str) -> None:
    web.run(RunState.SUCCEEDED)
    web.run(RunState.QUEUED)
    client = web.browser()
    ask = client.post if path.startswith("/runs/") else client.get
    assert korean in ask(path, headers={**OURS, **KOREAN, "Accept": "text/html"}).text
    assert english in ask(path, headers={**OURS, "Accept": "text/html"}).text
    assert english in ask(path, headers={**OURS, **KOREAN, "Accept": "application/json"}).text, "for programs"


@pytest.mark.parametrize("code", LANGUAGES)
def test_what_others_wrote_is_never_taken_for_a_part_of_the_page(web: Web, code: str) -> None:
    nasty = "<script>alert(1)</script> %(name)s {actor}"
    web.client().post("/api/v1/apps/plate-web/environments/prod/hold", json={"reason": nasty})
    run = web.run(RunState.FAILED, reason=Reason.BUILD_FAILED, detail=nasty)
    for path in ("/apps", "/apps/plate-web/prod/release", "/apps/plate-web/prod/hold", "/runs", f"/runs/{run}"):
        shown = web.browser().get(path, headers={"Accept-Language": code}).text
        assert "&lt;script&gt;alert(1)&lt;/script&gt; %(name)s {actor}" in shown, path
        assert "<script>alert" not in shown


@pytest.mark.parametrize("path", ["/runs", "/apps", "/deliveries", "/runs/1", "/apps/plate-web/prod/deploy"])
def test_headings_and_buttons_are_translated(web: Web, path: str) -> None:
    """As far as the words of headings and buttons show; `tests/files/test_languages.py` tests the texts."""
    web.run(RunState.SUCCEEDED)
    client = web.browser()
    client.set_cookie(COOKIE, "ko")
    shown = client.get(path).text
    for word in (">Runs<", ">Apps<", ">Deliveries<", ">Log out<", ">Show<", ">State<", ">Environment<", ">Stages<"):
        assert word not in shown, path


def test_a_browser_in_seoul_reads_korean_and_its_own_time(web: Web, chromium: Browser) -> None:
    run = web.run(RunState.RUNNING)
    context = {"locale": "ko-KR", "timezone_id": "Asia/Seoul"}
    with served(web.app) as site, chromium.new_context(base_url=site, **context) as opened:  # type: ignore[arg-type]
        tab = log_in(opened, web.tokens["deployer"])
        expect(tab.locator("h1")).to_have_text("실행")
        tab.goto(f"/runs/{run}")
        expect(tab.locator("#live")).to_have_text("실시간")
        expect(tab.locator("#verdict")).to_contain_text("실행 중")
        assert "GMT+9" in (tab.locator("#verdict time").get_attribute("title") or "")
        web.change(run, RunState.FAILED, reason=Reason.BUILD_FAILED, detail="exit 3")
        expect(tab.locator("#verdict")).to_contain_text("이미지 빌드가 실패했습니다: exit 3.")
        _switch(tab)
        web.streams.close()


def _switch(tab: Page) -> None:
    tab.click("footer button[value=en]")
    expect(tab.locator("#verdict")).to_contain_text("The image build failed: exit 3.")
    expect(tab.locator("footer button")).to_have_text("한국어")
