"""Where the contract data is: what the real services say, kept beside the repository and optional."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = Path(os.environ.get("PILOTAGE_CONTRACTS", ROOT.parent / "shared" / "contracts"))


def contract_files(pattern: str) -> list[Path]:
    """List the contract files that match; empty where the data is not there."""
    return sorted(CONTRACTS.glob(pattern)) if CONTRACTS.is_dir() else []
