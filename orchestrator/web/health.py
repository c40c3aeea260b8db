"""Whether we are alive, and whether we can work."""

from flask import Response

from orchestrator.web.calls import Asked, to_json
from orchestrator.web.problems import Problem


def get_health(asked: Asked) -> Response:
    """Answer that the process answers; nothing else is looked at, so that nothing else can get us restarted."""
    return to_json({"status": "ok"})


def get_readiness(asked: Asked) -> Response:
    """Answer whether database, schema, broker and workers are there. :raises Problem: 503, with each part missing."""
    missing = asked.site.queries.missing(asked.site.bell)
    if missing:
        errors = [{"in": "service", "field": part, "message": text} for part, text in missing.items()]
        raise Problem(503, "not-ready", f"Not ready: {', '.join(missing)}.", errors=errors)
    return to_json({"status": "ready"})
