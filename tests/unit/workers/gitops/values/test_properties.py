"""Any document differs only inside the value."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bumping import bump
from workers.gitops.values import inspect

KEYS = st.sampled_from(["image", "tag", "api", "x-y", "이름", "name", "0", "a b"])
PLAIN = st.sampled_from(["v1", "1.10", "true", "", "~", "'q'", '"d"', "'it''s'", "h.io/a:1", "[]", "{}", '"# no"'])
COMMENT = st.sampled_from(["", "", " # c", "  # 한글: {x}", "\t# tab"])
GAP = st.sampled_from(["", "", "\n", "# alone\n", "  # indented\n"])


@st.composite
def documents(draw):
    """Draw a block map of maps with quotes, comments and gaps, and the paths of its single values."""
    lines, paths = [], []

    def level(indent, prefix, depth):
        for key in draw(st.lists(KEYS, min_size=1, max_size=4, unique=True)):
            path = [*prefix, key]
            lines.append(draw(GAP))
            if depth and draw(st.booleans()):
                lines.append(f"{indent}{key}:{draw(COMMENT)}\n")
                level(indent + draw(st.sampled_from([" ", "  ", "    "])), path, depth - 1)
            else:
                value = draw(PLAIN)
                lines.append(f"{indent}{key}: {value}{draw(COMMENT)}\n")
                if value not in ("[]", "{}"):
                    paths.append(path)

    level("", [], 3)
    return "".join(lines), paths


VALUES = st.one_of(
    st.text(st.characters(categories=["L", "N", "P", "S"], include_characters=" "), max_size=20),
    st.from_regex(r"[0-9a-f]{7}", fullmatch=True),
    st.from_regex(r"[0-9]{1,4}[.:e_-][0-9]{1,4}", fullmatch=True),
    st.sampled_from(["yes", "null", "0x1f", "#", "a #b", "- x", "x: y", "'", '"', "\\", "{", "*a"]),
)


@given(documents(), VALUES, st.data(), st.sampled_from(["\n", "\r\n"]))
def test_any_document_differs_only_inside_the_value(document, value, data, newline):
    source, paths = document
    if not paths or not value.isprintable():
        return
    source = source.replace("\n", newline)
    path = data.draw(st.sampled_from(paths))
    dotted = ".".join(f'"{key}"' for key in path)
    result = bump(source, dotted, value)
    before, after = source.split(newline), result.split(newline)
    assert len(before) == len(after)
    assert sum(a != b for a, b in zip(before, after, strict=True)) <= 1
    assert bump(result, dotted, value) == result
    assert inspect(result.encode(), dotted) == value
    expected, found = yaml.load(source, yaml.CBaseLoader), yaml.load(result, yaml.CBaseLoader)
    there = expected
    for key in path[:-1]:
        there = there[key]
    there[path[-1]] = value
    assert found == expected
