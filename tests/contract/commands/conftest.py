"""The command line, and an API that answers it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.cli import main
from tests.support.commands import Said
from tests.support.fake_api import FakeApi, fake_api


@pytest.fixture
def pilotage(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Said]:
    monkeypatch.setenv("PILOTAGE_STATE_DIR", str(tmp_path))
    for name in ("PILOTAGE_URL", "PILOTAGE_TOKEN", "PILOTAGE_TOKEN_FILE", "PILOTAGE_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capsys.readouterr()
        return Said(int(ended.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as fake:
        yield fake
