"""The configuration with which Pilotage serves the stand-ins."""

import yaml

from orchestrator.sandbox import wiring


def test_pushes_go_to_the_first_environment_and_to_prod_by_a_persons_word() -> None:
    url = "http://127.0.0.1:1"
    names = [wiring.STAGING, "eu", wiring.PRODUCTION]
    text = wiring.configuration(forge=url, harbor=url, argocd=url, environments=names, more={})
    triggers = ("branch", "promote_from", "approval")
    (app,) = yaml.safe_load(text)["apps"]
    assert [{name: one[name] for name in triggers if name in one} for one in app["environments"]] == [
        {"branch": "main"},
        {"branch": "deploy/eu"},
        {"promote_from": "stg", "approval": "required"},
    ]
