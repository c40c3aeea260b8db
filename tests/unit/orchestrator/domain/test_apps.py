"""Configured values: what they derive, and that secrets never show."""

import pytest

from orchestrator.domain.apps import Build, Hook, Registry, Secret
from orchestrator.domain.errors import Cancelled, LeaseLost, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.factories import make_app, make_environment, make_settings


def test_a_secret_shows_nowhere_but_where_it_is_asked_for() -> None:
    secret = Secret("hunter2!")
    assert "hunter2" not in f"{secret!r} {secret} {Registry(url='https://h', password=secret)!r}"
    assert secret.reveal() == "hunter2!"
    assert (bool(secret), bool(Secret(""))) == (True, False)
    assert repr(Secret("")) == "Secret('')"


def test_an_empty_secret_is_never_one_to_try() -> None:
    assert Hook(forge="github", secret=Secret("")).secrets == ()
    assert Hook(forge="github", secret=Secret("new"), previous=Secret("old")).secrets == ("new", "old")


@pytest.mark.parametrize(("value", "has_place"), [("tag", False), ("digest", True), ("image", True)])
@pytest.mark.parametrize("image", ["sha256:" + "0" * 64, "h/p@sha256:" + "0" * 64, "h/p:v1@sha256:" + "0" * 64])
def test_where_a_tag_is_written_a_digest_has_no_place(value: str, has_place: bool, image: str) -> None:
    place = make_environment(value=value, digest_key="image.digest")
    assert place.fault_of("v1") == place.fault_of("h:5000/p:v1") == place.fault_of("") == ""
    assert (place.fault_of(image) == "") is has_place


@pytest.mark.parametrize(
    ("url", "host"),
    [("https://harbor.example.com/", "harbor.example.com"), ("http://127.0.0.1:5000", "127.0.0.1:5000")],
)
def test_the_host_of_a_registry(url: str, host: str) -> None:
    assert Registry(url=url).host == host


def test_build_options_that_change_the_image_are_told_apart_and_the_default_has_none() -> None:
    assert Build().inputs == ""
    assert Build(timeout=5, paths=("x",), builder="classic").inputs == ""
    assert Build(context="web").inputs == "('web', 'Dockerfile', '', (), '')", "which names images that are out there"
    variants = [Build(target="a"), Build(args=(("A", "1"),)), Build(context="web"), Build(platform="linux/arm64")]
    variants += [Build(submodules=True), Build(context="web", submodules=True)]
    assert len({build.inputs for build in variants} - {""}) == len(variants)


def test_what_is_configured_is_found_by_its_name() -> None:
    settings = make_settings("/nonexistent")
    app = settings.app("plate-web")
    assert app == make_app()
    assert settings.app("other") is None
    assert (make_app().environment("stg"), make_app().environment("prod")) == (make_environment(), None)


TOOLS, HOOKS = "https://tools.example.com/pilotage", "https://hooks.example.com"


@pytest.mark.parametrize(
    ("external", "webhook", "root", "hook_root"),
    [
        ("", "", "", ""),
        ("https://pilotage.example.com", "", "", ""),
        (TOOLS, "", "/pilotage", "/pilotage"),
        (TOOLS, HOOKS, "/pilotage", ""),
        (TOOLS, f"{HOOKS}/ci", "/pilotage", "/ci"),
        ("", f"{HOOKS}/ci", "", "/ci"),
    ],
)
def test_the_path_under_which_we_are_served_is_that_of_the_address(
    external: str, webhook: str, root: str, hook_root: str
) -> None:
    settings = make_settings("/state", external_url=external, webhook_url=webhook)
    assert (settings.root, settings.hook_root) == (root, hook_root)


def test_errors_carry_their_reason_and_evidence() -> None:
    error = Unavailable(Reason.REGISTRY_UNAVAILABLE, "HTTP 503", retry_after=5)
    assert (str(error), error.retry_after) == ("registry_unavailable: HTTP 503", 5)
    assert str(Cancelled()) == "cancelled"
    assert LeaseLost("run 7").reason is Reason.LEASE_LOST


RENAMED = make_settings(
    "/state",
    apps=(
        make_app(
            "web", former_names=("plate-web",), environments=(make_environment("live", former_names=("prod",)),)
        ),
    ),
)


@pytest.mark.parametrize(
    ("given", "present"),
    [
        (("web", "live"), ("web", "live")),
        (("plate-web", "live"), ("web", "live")),
        (("web", "prod"), ("web", "live")),
        (("plate-web", "prod"), ("web", "live")),
        (("plate-web", "gone"), ("web", "gone")),
        (("other", "prod"), ("other", "prod")),
    ],
)
def test_former_names_lead_to_the_present_ones(given: tuple[str, str], present: tuple[str, str]) -> None:
    assert RENAMED.name_of(*given) == present
    assert RENAMED.has(*given) == (given == ("web", "live"))
