"""What cannot be edited without a guess is refused with its line."""

import pytest

from orchestrator.domain.changes import Edit
from tests.support.bumping import bump
from workers.gitops.locate import MAX_DEPTH, MAX_DOCUMENTS
from workers.gitops.values import MAX_BYTES, MAX_VALUE, EditRefused, edit


@pytest.mark.parametrize(
    ("source", "path", "line", "detail"),
    [
        ("b: x\n", "a", 1, "a is missing in this map"),
        ("image:\n  x: 1\n", "image.tag", 2, "image.tag is missing in this map"),
        ("a: [1]\n", "a.5", 1, "a.5 is missing in this list"),
        ("a: [1]\n", "a.b", 1, "a.b is missing in this list"),
        ("a: {b: 1}\n", "a[0]", 1, "a[0] is missing in this map"),
        ("a: {b: 1}\n", "a[name=x].y", 1, "a[name=x] is missing in this map"),
        ("l:\n- name: w\n", "l[name=x].t", 2, "l[name=x] is missing: no item of this list has name: x"),
        ("l:\n- name: w\n", "l[name=w].t", 2, "l[name=w].t is missing in this map"),
        ("a: b\n", "a.c", 1, "a.c is missing: a is a single value, not a map or list"),
        ("a:\n", "a.c", 1, "a.c is missing: a is a single value, not a map or list"),
        ("text\n", "a", 1, "a is missing: the document is a single value, not a map or list"),
        ("", "a", None, "a is missing: the file has no document"),
        ("# only\n# comments\n", "a", None, "a is missing: the file has no document"),
        ("a: 1\n", "$2:a", None, "$2:a is missing: the file has no document 2"),
        ("a: {b: 1}\n", "a", 1, "a is a map, not a single value"),
        ("a: [1]\n", "a", 1, "a is a list, not a single value"),
        (
            "a: &t v\nb: *t\n",
            "b",
            2,
            "b is an alias (*t): name the path of its anchor, which changes every user of it",
        ),
        (
            "a: &t {v: 1}\nb: *t\n",
            "b.v",
            2,
            "b is an alias (*t): name the path of its anchor, which changes every user",
        ),
        (
            "a: &t {v: 1}\nb:\n  <<: *t\n",
            "b.v",
            3,
            "b.v is missing: this map does not write it out (a merge, <<, may",
        ),
        ("a: 1\na: 2\n", "a", 2, "a is there 2 times, in lines 1, 2"),
        ("a: {b: 1}\na: {b: 2}\n", "a.b", 2, "a is there 2 times, in lines 1, 2"),
        ("l:\n- n: w\n  t: 1\n- t: 2\n  n: w\n", "l[n=w].t", 4, "l[n=w] is there 2 times, in lines 2, 4"),
        ("a: |\n  x\n", "a", 1, "a is a block of text (|), not a value on one line"),
        ("a: >-\n  x\n", "a", 1, "a is a block of text (>), not a value on one line"),
        ("a: |\n  b: c\n", "a.b", 1, "a is a block of text (|), and a.b would lead into it"),
        ('a: "x\n  y"\n', "a", 1, "a is written over several lines (1 to 2)"),
        ("a: x\n  y\n", "a", 1, "a is written over several lines (1 to 2)"),
        ("a: !!int 3\n", "a", 1, "a has the tag tag:yaml.org,2002:int, which says that it is not a text"),
        ("a: '{{ .Values.x }}'\n", "a", 1, "a is Helm template text ({{ }}), which only Helm can read"),
        ("a: {{ .Values.x }}\n", "a", 1, "a is Helm template text ({{ }}), which only Helm can read"),
        ("{{- if .x }}\na: b\n{{- end }}\n", "a", 1, "the file is not YAML here; it looks like Helm template text"),
        ("a: ENC[AES256_GCM,data:eA==]\n", "a", 1, "a is encrypted (SOPS)"),
        ("{a}", "a", 1, "a is empty and has no colon behind which a value could stand"),
        ("? a\n", "a", 2, "a is empty and has no colon behind which a value could stand"),
        ("a: 1\n---\na: 2\n", "a", 3, "a is in 2 documents of the file (lines 1 and 3); name one, such as $1:a"),
        ("a: b\n c: d\n", "a", 2, "the file is not YAML here: mapping values are not allowed in this context"),
        ("\t# c\na: b\n", "a", 1, "the file is not YAML here: found character that cannot start any token (a tab"),
        ("a: b\nc: \x01\n", "a", 2, "the file has the control character U+0001, which YAML forbids"),
        ("a: [1\n", "a", 2, "the file is not YAML here: did not find expected"),
        ("a: [" + "[" * 2 * MAX_DEPTH, "a[0]", 1, f"the file nests more than {MAX_DEPTH} maps and lists"),
        ("b: [" + "[" * 20_000, "a", 1, f"the file nests more than {MAX_DEPTH} maps and lists"),
        ("---\na: b\n" + "---\n" * MAX_DOCUMENTS, "a", 1002, f"the file has more than {MAX_DOCUMENTS} documents"),
        ("a: b\n", "a..b", None, "the path 'a..b' has no key at character 3"),
        ("a: b\n" + "#" * MAX_BYTES, "a", None, f"the file has {MAX_BYTES + 5} bytes; more than {MAX_BYTES} are not"),
    ],
)
def test_what_cannot_be_edited_without_a_guess_is_refused(source, path, line, detail):
    with pytest.raises(EditRefused) as caught:
        bump(source, path)
    assert caught.value.line == line
    assert caught.value.detail.startswith(detail)
    assert str(caught.value).endswith(caught.value.detail)


def test_every_step_of_a_deep_path_is_bounded():
    deep = "a:\n" + "".join(" " * depth + "a:\n" for depth in range(1, 60)) + " " * 60 + "a: 1\n"
    assert bump(deep, ".".join("a" * 61)).endswith("a: sha-1\n")


def test_what_is_not_utf_8_is_refused_with_its_line():
    with pytest.raises(EditRefused, match="line 2: the file is not UTF-8 here"):
        edit(b"a: b\nc: \xb0\xa1\n", [Edit(path="a", value="x")])


@pytest.mark.parametrize("value", ["x\ny", "a\tb", "\x00", "\ud800", "a\u2028b", "x" * (MAX_VALUE + 1)])
def test_a_value_that_cannot_be_one_line_is_refused(value):
    with pytest.raises(EditRefused, match="the new value for a is too long or has characters that cannot be printed"):
        edit(b"a: b\n", [Edit(path="a", value=value)])


def test_two_edits_of_one_value_are_refused():
    with pytest.raises(EditRefused, match=r"line 1: a.0 and a\[0\] name the same value"):
        edit(b"a: [1]\n", [Edit(path="a.0", value="x"), Edit(path="a[0]", value="y")])
