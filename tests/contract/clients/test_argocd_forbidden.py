"""What the Argo CD client makes of a 403, which says little."""

from collections.abc import Callable

import pytest

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.argocd_client import client, error
from tests.support.loopback import Asked, Reply, loopback


def forbidden(can_i: str) -> Callable[[Asked], Reply]:
    def script(asked: Asked) -> Reply:
        if "/can-i/" in asked.path:
            return Reply(body={"value": can_i})
        return Reply(403, error(7, "permission denied"))

    return script


@pytest.mark.parametrize(
    ("project", "can_i", "kind", "reason", "words"),
    [
        ("shop", "no", Refused, Reason.ARGOCD_FORBIDDEN, "whether the application exists is not told"),
        ("shop", "yes", Unavailable, Reason.ARGOCD_UNAVAILABLE, "although our account may get it"),
        ("", "yes", Refused, Reason.APPLICATION_MISSING, "does not exist or our account may not get it"),
    ],
)
def test_a_bare_403_is_looked_into_because_it_may_mean_three_things(project, can_i, kind, reason, words):
    with loopback(forbidden(can_i)) as server, pytest.raises(kind) as caught:
        client(server.url).get("shop-api", project=project)
    assert caught.value.reason is reason
    assert words in caught.value.evidence


@pytest.mark.parametrize("project", ["shop", ""])
@pytest.mark.parametrize("right", ["applications, get", "logs, get"])
def test_a_403_that_names_the_right_is_told_as_it_is(project: str, right: str) -> None:
    said = f"permission denied: {right}, shop/shop-api, sub: pilotage, iat: 2026-08-01T00:00:00Z"
    with loopback(lambda _: Reply(403, error(7, said))) as server, pytest.raises(Refused) as caught:
        client(server.url).logs("shop-api", "web-1", "shop", project=project)
    assert (caught.value.reason, caught.value.evidence) == (Reason.ARGOCD_FORBIDDEN, said)
    assert len(server.asked) == 1


CALLS = {
    "get": lambda argo, **place: argo.get("shop-api", **place),
    "sync": lambda argo, **place: argo.sync("shop-api", **place),
    "resource_tree": lambda argo, **place: argo.resource_tree("shop-api", **place),
    "events": lambda argo, **place: argo.events("shop-api", **place),
    "logs": lambda argo, **place: argo.logs("shop-api", "web-1", "shop", **place),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("namespace", ["", "teams"])
def test_the_right_to_an_application_in_a_namespace_of_its_own_is_asked_for_by_both_names(call, namespace):
    name = "teams/shop-api" if namespace else "shop-api"

    def script(asked: Asked) -> Reply:
        if "/can-i/" in asked.path:
            return Reply(body={"value": "yes" if asked.path.endswith(f"/get/shop/{name}") else "no"})
        return Reply(403, error(7, "permission denied"))

    with loopback(script) as server, pytest.raises(Unavailable, match=f"403 for {name} ") as caught:
        call(client(server.url), project="shop", app_namespace=namespace)
    assert caught.value.reason is Reason.ARGOCD_UNAVAILABLE
    with loopback(forbidden("no")) as server, pytest.raises(Refused, match=f"applications, get, shop/{name}`"):
        call(client(server.url), project="shop", app_namespace=namespace)
