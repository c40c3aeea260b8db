"""What Slack accepts: the shape and the limits of a message, as its reference of blocks and methods gives them."""

from collections.abc import Iterator
from typing import Any

TEXT_HARD = 40_000
"""Characters of ``text`` after which the Web API refuses (``msg_too_long``)."""
BLOCKS = 50
_SECTION_TEXT, _FIELDS, _FIELD_TEXT, _HEADER, _ELEMENTS, _ACTIONS, _BUTTON = 3000, 10, 2000, 150, 10, 25, 75
_ID, _VALUE = 255, 2000
_CONFIRM = {"title": 100, "text": 300, "confirm": 30, "deny": 30}
_TEXT_TYPES = frozenset({"mrkdwn", "plain_text"})
_PLAIN = frozenset({"plain_text"})


def block_problems(blocks: Any) -> list[str]:
    """Return what is wrong with ``blocks``, in Slack's own way of pointing at it; empty when nothing is."""
    if not isinstance(blocks, list):
        return ["[ERROR] must be an array [json-pointer:/blocks]"]
    if len(blocks) > BLOCKS:
        return [f"[ERROR] no more than {BLOCKS} items allowed [json-pointer:/blocks]"]
    return [problem for number, block in enumerate(blocks) for problem in _block(block, f"/blocks/{number}")]


def _block(block: Any, at: str) -> Iterator[str]:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind and not 1 <= len(str(block.get("block_id", "-"))) <= _ID:
        yield f"[ERROR] must have between 1 and {_ID} characters [json-pointer:{at}/block_id]"
    if kind == "section":
        yield from _section(block, at)
    elif kind == "header":
        yield from _text(block.get("text"), f"{at}/text", _HEADER, _PLAIN)
    elif kind == "context":
        yield from _each(block.get("elements"), f"{at}/elements", _ELEMENTS, _SECTION_TEXT)
    elif kind == "actions":
        yield from _buttons(block.get("elements"), f"{at}/elements")
    elif kind != "divider":
        yield f"[ERROR] unsupported type: {kind} [json-pointer:{at}/type]"


def _section(block: dict[str, Any], at: str) -> Iterator[str]:
    if "text" not in block and "fields" not in block:
        yield f"[ERROR] missing required field: text [json-pointer:{at}]"
    if "text" in block:
        yield from _text(block["text"], f"{at}/text", _SECTION_TEXT, _TEXT_TYPES)
    if "fields" in block:
        yield from _each(block["fields"], f"{at}/fields", _FIELDS, _FIELD_TEXT)


def _each(items: Any, at: str, most: int, length: int) -> Iterator[str]:
    if not isinstance(items, list) or not 1 <= len(items) <= most:
        yield f"[ERROR] must have between 1 and {most} items [json-pointer:{at}]"
        return
    for number, item in enumerate(items):
        yield from _text(item, f"{at}/{number}", length, _TEXT_TYPES)


def _buttons(items: Any, at: str) -> Iterator[str]:
    if not isinstance(items, list) or not 1 <= len(items) <= _ACTIONS:
        yield f"[ERROR] must have between 1 and {_ACTIONS} items [json-pointer:{at}]"
        return
    named = [item.get("action_id") for item in items if isinstance(item, dict)]
    if len(set(map(str, named))) < len(named):
        yield f"[ERROR] action_id must be unique [json-pointer:{at}]"
    for number, item in enumerate(items):
        yield from _one_button(item if isinstance(item, dict) else {}, f"{at}/{number}")


def _one_button(button: dict[str, Any], at: str) -> Iterator[str]:
    if button.get("type") != "button":
        yield f"[ERROR] unsupported type: {button.get('type')} [json-pointer:{at}/type]"
    yield from _text(button.get("text"), f"{at}/text", _BUTTON, _PLAIN)
    for name, most in (("action_id", _ID), ("value", _VALUE)):
        value = button.get(name, "-")
        if not isinstance(value, str) or not 1 <= len(value) <= most:
            yield f"[ERROR] must have between 1 and {most} characters [json-pointer:{at}/{name}]"
    if button.get("style", "primary") not in ("primary", "danger"):
        yield f"[ERROR] unsupported style [json-pointer:{at}/style]"
    for name, most in _CONFIRM.items() if "confirm" in button else ():
        asked = button["confirm"]
        text = asked.get(name) if isinstance(asked, dict) else None
        yield from _text(text, f"{at}/confirm/{name}", most, _TEXT_TYPES if name == "text" else _PLAIN)


def _text(value: Any, at: str, most: int, types: frozenset[str]) -> Iterator[str]:
    if not isinstance(value, dict) or value.get("type") not in types:
        yield f"[ERROR] missing required field: type [json-pointer:{at}]"
        return
    text = value.get("text")
    if not isinstance(text, str) or not text:
        yield f"[ERROR] must be more than 0 characters [json-pointer:{at}/text]"
    elif len(text) > most:
        yield f"[ERROR] must be less than {most + 1} characters [json-pointer:{at}/text]"
