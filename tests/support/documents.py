"""The pages as data: their blocks of code, the commands in these, and the words that are set as code."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.cli import reference

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("charts/**/*.md"), *(ROOT / "docs").rglob("*.md")],
    key=lambda page: page.as_posix(),
)
_MADE = {ROOT / reference.FOLDER / name for name in reference.PAGES}
WRITTEN = [page for page in PAGES if page not in _MADE]
"""The pages that people write; the others are made from the code."""
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_MADE_PART = re.compile(r"<!-- values: made by .*?<!-- /values -->", re.DOTALL)
_HERE_DOCUMENT = re.compile(r"(<<-?'?(\w+)'?[^\n]*)\n.*?^\s*\2$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"(?:^|(?<=\s))#[^\n]*", re.MULTILINE)
_PUNCTUATION = ";<>|&()\n"
_BEFORE = frozenset({"do", "then", "until", "while", "if", "exec"})
"""Words of a shell before a command."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    place: str
    language: str
    text: str

    def __str__(self) -> str:
        return self.place


def place(page: Path, text: str, at: int) -> str:
    """Name a place of a page: its path and the line."""
    return f"{page.relative_to(ROOT).as_posix()}:{text.count(chr(10), 0, at) + 1}"


def blocks(*languages: str) -> list[Block]:
    """Return the blocks in these languages, of all pages that people write; in all languages without any."""
    found = []
    for page in WRITTEN:
        text = page.read_text(encoding="utf-8")
        for fence in _FENCE.finditer(text):
            inner = re.sub(rf"^{fence['indent']}", "", fence["text"], flags=re.MULTILINE)
            found.append(Block(place(page, text, fence.start()), fence["language"], inner))
    return [block for block in found if not languages or block.language in languages]


def prose(page: Path) -> str:
    """Return a page with its blocks, and what is made from the code, emptied: each line where it was."""
    text = page.read_text(encoding="utf-8")
    for made in (_FENCE, _MADE_PART):
        text = made.sub(lambda found: "\n" * found[0].count("\n"), text)
    return text


def code_words(page: Path) -> Iterator[tuple[str, str]]:
    """Yield (place, word) of each word or phrase that the texts of a page set as code."""
    text = prose(page)
    for word in re.finditer(r"`([^`\n]+)`", text):
        yield place(page, text, word.start()), word[1].replace("\\|", "|")


def commands(text: str) -> list[list[str]]:
    """Split what a shell would be given into simple commands; what is only input of one is left out.

    Of a block in the language `console` give the lines behind the prompt alone.
    """
    text = _COMMENT.sub("", _HERE_DOCUMENT.sub(r"\1", text.replace("\\\n", " ")))
    lexer = shlex.shlex(text, posix=True, punctuation_chars=_PUNCTUATION)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    found: list[list[str]] = [[]]
    for word in lexer:
        if word and not word.strip(_PUNCTUATION):
            found.append([])
        else:
            found[-1].append(word)
    return [called for words in found if (called := _called(words))]


def _called(words: list[str]) -> list[str]:
    """Take off what stands before the program: words of the shell, `sudo` and variables."""
    while words and (words[0] in _BEFORE or re.match(r"\w+=", words[0])):
        words = words[1:]
    if words[:2] == ["sudo", "-u"]:
        return words[3:]
    return words[1:] if words[:1] == ["sudo"] else words
