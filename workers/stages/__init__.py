"""One file per stage: ``run(order, tools) -> Outcome``; retries, timeouts and intervals are data in `table`."""
