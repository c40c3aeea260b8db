"""``python -m orchestrator.cli`` is the same as ``pilotage``."""

from orchestrator.cli import main

main()
