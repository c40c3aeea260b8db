"""Where the contract data is: what the real services say, kept beside the repository and optional."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = Path(os.environ.get("PILOTAGE_CONTRACTS", ROOT.parent / "shared" / "contracts"))
needs_contract = pytest.mark.skipif(not CONTRACTS.is_dir(), reason="the contract data is not here")


def contract(name: str) -> Any:
    """Read a contract file that is JSON; for tests that `needs_contract`."""
    return json.loads((CONTRACTS / name).read_text(encoding="utf-8"))


def contract_files(pattern: str) -> list[Path]:
    """List the contract files that match; empty where the data is not there."""
    return sorted(CONTRACTS.glob(pattern)) if CONTRACTS.is_dir() else []
