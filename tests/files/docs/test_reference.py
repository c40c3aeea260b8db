"""The reference pages are what the code says, and the example configuration is one that works."""

from pathlib import Path

import pytest

from orchestrator.cli import main, reference
from orchestrator.cli.reference import FOLDER, PAGES
from orchestrator.config import check
from orchestrator.config.filling import shield

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_the_generated_one(name: str) -> None:
    committed = (ROOT / FOLDER / name).read_text(encoding="utf-8")

    assert committed == PAGES[name](), "run `make docs` and commit the result"


def test_pages_are_written_once_and_then_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = {"one.md": lambda: "one", "two.json": lambda: "{}"}
    monkeypatch.setattr(reference, "PAGES", pages)

    def docs(*arguments: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as ended:
            main(["docs", "--out", str(tmp_path / "pages"), *arguments])
        return ended.value.code or 0, capsys.readouterr().out

    assert docs("--check") == (1, "")
    assert docs() == (0, "".join(f"wrote {tmp_path}/pages/{name}\n" for name in pages))
    assert docs() == (0, "")
    assert docs("--check") == (0, "")


def test_the_example_passes_the_check_without_a_warning() -> None:
    file = ROOT / "pilotage.example.yaml"
    references = shield(file.read_text(encoding="utf-8")).references
    environ = {name.strip("${}"): "https://example.com/0123456789abcdef" for name in references}

    checked = check(file, environ)

    assert checked.problems == ()
    assert checked.warnings == ()
    assert checked.settings is not None
    assert len(checked.settings.apps) == 2
