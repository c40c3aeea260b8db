"""Use cases, one transaction each; web, webhooks, workers and command line share them."""
