"""What a run's image is called: by the configuration of now, which may be another one than that of its ``check``."""

import re
from dataclasses import replace

from orchestrator.domain.refs import Reference, image_tag, is_image_tag
from orchestrator.domain.runs import StageName
from workers.stages.order import Order


def image_of(order: Order, commit: str) -> str:
    """Name the image of the run with host and tag (or digest).

    A re-run from ``build`` gets a name of its own; one from elsewhere goes on with the image of the run that it
    repeats, unless images of the commit are named otherwise by now (other build options).
    """
    base = f"{order.settings.registry.host}/{order.app.image}"
    given = order.run.image
    if given.startswith("sha256:"):
        return f"{base}@{given}"
    if given and is_image_tag(given):
        return f"{base}:{given}"
    if given and order.prebuilt:
        return _in_our_registry(order, given)
    own = f"{base}:{image_tag(commit, order.app.build.inputs)}"
    if given and re.fullmatch(f"{re.escape(own)}(-r[0-9]+)?", given):
        return given
    return f"{own}-r{order.run.id}" if order.run.from_stage == StageName.BUILD else own


def as_configured(order: Order) -> Order:
    """Name the image anew: another registry must not get our login, nor a tag what other build options give."""
    return replace(order, run=replace(order.run, image=image_of(order, order.run.commit)))


def in_registry_of_now(order: Order) -> Order:
    """Name a pushed image under the address that the registry has by now; what follows the host stays as it was."""
    given, host = order.run.image, order.settings.registry.host
    if given.startswith(f"{host}/"):
        return order
    named = given.removeprefix(f"{Reference.parse(given).host}/")
    return replace(order, run=replace(order.run, image=f"{host}/{named}"))


def _in_our_registry(order: Order, given: str) -> str:
    """Look for what was proven in the registry of now, which may have another address: a digest stays what it is."""
    host = Reference.parse(given).host
    if not host or not order.run.digest:
        return given
    return in_registry_of_now(order).run.image
