"""Requests that we make, and requests that we answer."""

import pytest

from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.loopback import Reply, loopback
from tests.support.metering import Site
from workers.clients.http import Http


@pytest.mark.parametrize(("status", "result"), [(200, "ok"), (404, "refused"), (503, "unavailable")])
def test_a_request_is_counted_by_its_answer(site: Site, status: int, result: str) -> None:
    with loopback(lambda _: Reply(status)) as server:
        http = Http(server.url, Reason.ARGOCD_UNAVAILABLE, observe=site.database.counts.requests_to("argocd"))
        try:
            http.request("GET", "/")
        except Unavailable:
            assert status == 503
        http.close()
    told = site.metrics()
    assert told[f'pilotage_requests_total{{result="{result}",service="argocd"}}'] == 1
    assert told['pilotage_request_seconds_count{service="argocd"}'] == 1


def test_our_own_answers_are_counted_by_call_and_status(site: Site) -> None:
    site.client("viewer").get("/api/v1/runs/7")
    site.client("").get("/no/such/page")
    told = site.metrics()
    assert told['pilotage_http_requests_total{route="api.get_run",server="web",status="404"}'] == 1
    assert told['pilotage_http_requests_total{route="none",server="web",status="404"}'] == 1
    assert told['pilotage_http_request_seconds_count{server="web"}'] == 2
