"""One automaton for many patterns, against regular expressions."""

import re

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.globs import Loop, Patterns, Token

NOT_A = re.compile("[^a]")
_WORDS: dict[Loop, str] = {Loop.SEGMENT: "[^/]*", Loop.ANY: ".*", Loop.FOLDERS: "(?:.*/)?"}


def expression(pattern: list[Token]) -> str:
    return "".join(
        _WORDS[one] if isinstance(one, Loop) else one.pattern if isinstance(one, re.Pattern) else re.escape(one)
        for one in pattern
    )


loops = st.sampled_from([[], [], [], [Loop.SEGMENT], [Loop.ANY], [Loop.FOLDERS], [Loop.FOLDERS, Loop.SEGMENT]])
fixed: st.SearchStrategy[Token] = st.sampled_from(["a", "b", "/", NOT_A])
pattern = st.builds(
    lambda parts, end: [one for loop, token in parts for one in (*loop, token)] + end,
    st.lists(st.tuples(loops, fixed), max_size=5),
    loops,
)


@given(patterns=st.lists(pattern, max_size=4), name=st.text("ab/", max_size=8), above=st.booleans())
def test_patterns_fit_what_their_expressions_do(patterns: list[list[Token]], name: str, above: bool) -> None:
    folders = [name[:at] for at, char in enumerate(name) if char == "/"] if above else []
    fits = [
        number
        for number, one in enumerate(patterns)
        if any(re.fullmatch(expression(one), text, re.DOTALL) for text in (name, *folders))
    ]
    assert Patterns(patterns).last(name, above=above) == (fits[-1] if fits else None)
