"""How wide a worker is."""

from typing import Any

import pytest

from orchestrator.cli import everything, main, serve
from orchestrator.cli.assembly import Parts
from orchestrator.cli.broker import Broker
from tests.support.factories import make_settings


@pytest.mark.parametrize(("more", "width"), [((), 7), (("--concurrency", "3"), 3)])
def test_a_worker_is_as_wide_as_the_configuration_says_or_the_option(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, more: tuple[str, ...], width: int
) -> None:
    parts = Parts(make_settings(str(tmp_path), concurrency=7), Broker("redis://127.0.0.1:1"))
    seen: list[dict[str, int]] = []
    monkeypatch.setattr(serve, "_start", lambda *_: parts)
    monkeypatch.setattr(everything, "run_worker", lambda _parts, lanes: seen.append(dict(lanes)))

    with pytest.raises(SystemExit):
        main(["worker", "--queue", "deploy", *more])

    assert seen == [{"deploy": width}]
