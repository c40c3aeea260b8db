"""``pilotage.yaml`` and the environment become frozen settings; everything that is wrong is named at once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.config.problems import ConfigInvalid, ConfigProblem, dotted
from orchestrator.domain.apps import Settings

if TYPE_CHECKING:
    from orchestrator.config.document import Document

__all__ = [
    "Checked",
    "ConfigInvalid",
    "ConfigProblem",
    "StoreSettings",
    "check",
    "default_path",
    "load",
    "load_store",
]

MAX_SIZE = 16 * 1024 * 1024
"""Bytes of a configuration file; ten thousand apps are about 4 MiB."""
_OF_STORE = ("", "server", "server.database", "server.state_dir")
"""Places of the file without which nobody knows where the database is."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where the database is. ``database``: its address, "" = SQLite in ``state_dir``."""

    database: str
    state_dir: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The result of a check: the settings (None when there are problems), problems and warnings.

    ``store`` is known, too, where all that is wrong are variables or files that are empty or not there, for other
    keys. So are ``bind``, where the web is to listen, ``external_url``, and ``state_dir`` ("": not known); of a file
    that is empty or not there they are the defaults.
    """

    settings: Settings | None
    problems: tuple[ConfigProblem, ...]
    warnings: tuple[ConfigProblem, ...]
    store: StoreSettings | None = None
    bind: str = "127.0.0.1:8480"
    external_url: str = ""
    state_dir: str = ""


def default_path(environ: Mapping[str, str]) -> Path:
    """Return where the configuration is: ``PILOTAGE_CONFIG``, or ``pilotage.yaml`` in the current folder."""
    return Path(environ.get("PILOTAGE_CONFIG") or "pilotage.yaml")


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """Read the configuration.

    :raises ConfigInvalid: the file cannot be used; it names every problem with key and line.
    """
    checked = check(path, environ)
    return _usable(checked.settings, checked, path)


def load_store(path: Path, environ: Mapping[str, str]) -> StoreSettings:
    """Read where the database is, for commands that need nothing else, and so none of the service's secrets.

    :raises ConfigInvalid: the file cannot be used; it names every problem with key and line.
    """
    checked = check(path, environ)
    return _usable(checked.store, checked, path)


def check(path: Path, environ: Mapping[str, str]) -> Checked:
    """Look the configuration through and raise nothing: settings if it can be used, and all problems and warnings."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
        if len(data) > MAX_SIZE:
            return _unreadable(f"is larger than {MAX_SIZE} bytes")
        return check_text(data.decode("utf-8-sig"), environ, path.parent)
    except FileNotFoundError as error:
        from orchestrator.config.settings import state_dir

        missing = _unreadable(f"cannot be read: {error.strerror}; name the file with --config or PILOTAGE_CONFIG")
        return replace(missing, state_dir=state_dir("", path.parent, environ))
    except OSError as error:
        return _unreadable(f"cannot be read: {error.strerror}; name the file with --config or PILOTAGE_CONFIG")
    except UnicodeDecodeError as error:
        return _unreadable(f"is not UTF-8 text (byte {error.start})")


def check_text(text: str, environ: Mapping[str, str], folder: Path) -> Checked:
    """Do what `check` does for a text; `folder` is where its relative paths start."""
    from orchestrator.config import advice, checks, shape
    from orchestrator.config.document import read
    from orchestrator.config.settings import settings, state_dir

    document = read(text, environ, folder)
    empty = document.tree is None and not document.problems
    if empty:
        document.add((), "is empty; see pilotage.example.yaml")
    config = shape.fit(document, folder) if document.tree is not None else None
    checks.check(document)
    checks.check_environment(document, environ)
    warnings = tuple(sorted(advice.warnings(document, config), key=_order)) if config else ()
    problems = tuple(sorted(set(document.problems), key=_order))
    store = None
    if all(_is_elsewhere(problem, document) for problem in problems):
        server = document.tree.get("server", {})
        state = state_dir(server.get("state_dir", ""), folder, environ)
        store = StoreSettings(database=server.get("database", ""), state_dir=state)
    if config is None or problems:
        unusable = Checked(settings=None, problems=problems, warnings=warnings, store=store)
        if store is None and not empty:
            return unusable
        state = store.state_dir if store else state_dir("", folder, environ)
        bind, url = (_server(document.tree, key) for key in ("bind", "external_url"))
        return replace(unusable, state_dir=state, bind=bind or unusable.bind, external_url=url)
    words = tuple(str(warning) for warning in warnings)
    origins = {dotted(path): names for path, names in document.filled.items()}
    found = settings(config, folder, environ, words, origins)
    return Checked(settings=found, problems=(), warnings=warnings, store=store)


def _is_elsewhere(problem: ConfigProblem, document: "Document") -> bool:
    """Tell whether a problem is about a variable or file that is empty or not there, and not of the database."""
    missing = problem in document.unfilled or problem.path in map(dotted, document.blank)
    return missing and problem.path not in _OF_STORE


def _server(tree: Any, key: str) -> str:
    """Read a key of `server` from a file in which only variables and files are missing, or that is empty."""
    server = tree.get("server", {}) if isinstance(tree, dict) else {}
    return str(server.get(key) or "")


def _usable(found: _T | None, checked: Checked, path: Path) -> _T:
    if found is None:
        raise ConfigInvalid(checked.problems, str(path))
    return found


def _order(problem: ConfigProblem) -> tuple[int, str, str]:
    return problem.line, problem.path, problem.message


def _unreadable(message: str) -> Checked:
    return Checked(settings=None, problems=(ConfigProblem(path="", line=0, message=message),), warnings=())
