"""Base images whose names the engine fills in, against the real Docker engine and a registry that wants a login."""

import pytest

from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Actor, explain
from tests.support.yard import Yard, base, engine, network, own_base, registry, yard

__all__ = ["base", "engine", "own_base", "registry", "yard"]
pytestmark = [pytest.mark.engine, pytest.mark.slow]


def test_a_base_image_that_is_named_by_the_platform_is_pulled_with_our_login(yard: Yard, own_base: str) -> None:
    """A stage may be chosen so, too: nobody names its base image otherwise."""
    stages = f"FROM {own_base} AS on-amd64\nFROM {own_base} AS on-arm64\nFROM on-${{TARGETARCH}}\n"
    image = yard.build({"Dockerfile": f"{stages}RUN echo hello > /greeting\n"}, network("buildkit"))
    assert image == yard.engine.image_id(f"{yard.name}:1")


@pytest.mark.parametrize("builder", ["buildkit", "classic"])
@pytest.mark.parametrize(
    "line",
    ["FROM MyBase:1", "FROM scratch\nCOPY --from=Nowhere /a /b", "FROM a@sha256:12", "FROM -x", "FROM ../images"],
)
def test_a_name_that_no_image_can_have_is_the_developers_to_mend(yard: Yard, line: str, builder: str) -> None:
    """The last one names another question of the engine's API."""
    with pytest.raises(Refused, match=r"invalid \w+ format") as caught:
        yard.build({"Dockerfile": f"{line}\n"}, network(builder, platform="linux/amd64"))
    assert explain(caught.value.reason).actor is Actor.DEVELOPER
