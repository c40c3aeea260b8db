"""Editing scalars: what changes, what stays, what is refused."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.changes import Edit
from tests.support.yaml_types import reads_as_text
from workers.gitops.locate import MAX_DEPTH
from workers.gitops.values import MAX_BYTES, MAX_VALUE, EditRefused, Found, edit, inspect, overridden


def bump(source, path, value="sha-1"):
    """Edit one value of a text and return the text."""
    return edit(source.encode(), [Edit(path=path, value=value)]).raw.decode()


FILE = """\
# 쇼핑몰 배포 값 (운영) \U0001f680
image:  # the image
  repository: harbor.example.com/shop/api   # 저장소
  tag: "71ab02c"  # CI가 바꿉니다


podAnnotations: {rollback-tag: '71ab02c'}
sidecars:
- {name: proxy, image: {tag: v1}}
-   name: log
    image:
        tag:   # fill in
"""


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("image.tag", '"71ab02c"  # CI', '"sha-1"  # CI'),
        ("podAnnotations.rollback-tag", "'71ab02c'", "'sha-1'"),
        ("sidecars.0.image.tag", "{tag: v1}", "{tag: sha-1}"),
        ("sidecars[0].image.tag", "{tag: v1}", "{tag: sha-1}"),
        ("sidecars[name=log].image.tag", "tag:   # fill in", "tag: sha-1   # fill in"),
        ("image.repository", "harbor.example.com/shop/api ", "sha-1 "),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_only_the_bytes_of_the_value_change(path, before, after, newline, mark, end):
    source = mark + FILE.rstrip("\n").replace("\n", newline) + end
    assert bump(source, path) == source.replace(before, after, 1)


def test_several_values_change_at_once_and_the_old_ones_are_told():
    edits = [Edit(path="sidecars.0.image.tag", value="v2"), Edit(path="image.tag", value="v2")]
    edited = edit(FILE.encode(), edits)
    assert edited.raw.decode() == FILE.replace('"71ab02c"', '"v2"').replace("{tag: v1}", "{tag: v2}")
    assert (edited.previous, edited.lines, edited.changed) == (("v1", "71ab02c"), (9, 4), True)


def test_the_same_text_again_changes_nothing():
    raw = FILE.encode()
    edited = edit(raw, [Edit(path="image.tag", value="71ab02c"), Edit(path="sidecars.0.image.tag", value="v1")])
    assert edited.raw is raw
    assert (edited.changed, edited.previous) == (False, ("71ab02c", "v1"))


def test_old_and_new_are_compared_as_text():
    assert bump("tag: 1.10\n", "tag", "1.10") == "tag: 1.10\n"
    assert bump("tag: 1.10\n", "tag", "1.1") == 'tag: "1.1"\n'


def test_no_edits_change_nothing():
    assert edit(b"a: 1\n", []).changed is False


@pytest.mark.parametrize(
    ("source", "path", "result"),
    [
        ("a:\n", "a", "a: sha-1\n"),
        ("a: \n", "a", "a: sha-1\n"),
        ("a:   \n", "a", "a: sha-1  \n"),
        ("a:", "a", "a: sha-1"),
        ("a: # c\n", "a", "a: sha-1 # c\n"),
        ("a:\t# c\n", "a", "a: sha-1\t# c\n"),
        ("a: null # c\n", "a", "a: sha-1 # c\n"),
        ("a: ~\n", "a", "a: sha-1\n"),
        ("a: &x # c\n", "a", "a: &x sha-1 # c\n"),
        ("a: !!str\nb: 1\n", "a", "a: !!str sha-1\nb: 1\n"),
        ("a: &x !!str  v\n", "a", "a: &x !!str  sha-1\n"),
        ('a: &x "v" # c\nb: *x\n', "a", 'a: &x "sha-1" # c\nb: *x\n'),
        ("a: ! v\n", "a", "a: ! sha-1\n"),
        ("a: v\t# c\n", "a", "a: sha-1\t# c\n"),
        ("a: {}\t\nb: v\t\n", "b", "a: {}\t\nb: sha-1\t\n"),
        ("a:\n  # below\n  v\n", "a", "a:\n  # below\n  sha-1\n"),
        ('{"a":}', "a", '{"a": sha-1}'),
        ("{a: , b: 1}", "a", "{a: sha-1 , b: 1}"),
        ("- \n- b\n", "0", "- sha-1\n- b\n"),
        ("- a\n- b\n", "1", "- a\n- sha-1\n"),
        ("--- {a: b}\n", "a", "--- {a: sha-1}\n"),
        ("%YAML 1.1\n---\na: b\n...\n", "a", "%YAML 1.1\n---\na: sha-1\n...\n"),
        ("? {x: y}\n: z\na: b\n", "a", "? {x: y}\n: z\na: sha-1\n"),
        ("? a\n: b\n", "a", "? a\n: sha-1\n"),
        ("*x : 1\na: b\n", "a", "*x : 1\na: sha-1\n"),
        ("x: &x {t: 1}\na: {<<: *x, t: 2}\n", "a.t", "x: &x {t: 1}\na: {<<: *x, t: sha-1}\n"),
        ("a: [[x], [y, z]]\n", "a[1][0]", "a: [[x], [sha-1, z]]\n"),
        ("a: 1\n---\nb: {c: 2}\n", "b.c", "a: 1\n---\nb: {c: sha-1}\n"),
        ("a: 1\n---\na: 2\n---\na: 3\n", "$2:a", "a: 1\n---\na: sha-1\n---\na: 3\n"),
        ("l:\n- t: 1\n  name: x\n- name: y\n  t: 2\n- just\n- [text]\n- *z\n", "l[name=x].t", None),
    ],
)
def test_values_of_every_shape(source, path, result):
    expected = result or source.replace("t: 1", "t: sha-1")
    assert bump(source, path) == expected


@pytest.mark.parametrize(
    "value",
    [
        *(
            "1234567",
            "12e4567",
            "12345e7",
            "1.10",
            "0x1f",
            "0o17",
            "017",
            "1_000",
            ".5",
            "+1",
            "-1",
            "1.2",
            "8f3e1e7",
        ),
        *("yes", "No", "on", "OFF", "y", "n", "true", "False", "null", "Null", "~", "", ".inf", "NaN", "infinity"),
        *("12:30:45", "2026-08-22", "*a", "&a", "!a", "%a", "@a", "`a", "a #b", "a: b", "- a", "a:", "[a]", "{a}"),
        *("8f3e1e7", "가나다", 'a"b', "a\\b", "a b"),
    ],
)
def test_what_a_reader_may_not_take_for_a_text_gets_quotes(value):
    written = bump("tag: v1 # c\n", "tag", value)
    assert written == f'tag: "{value}" # c\n'.replace('a"b', 'a\\"b').replace("a\\b", "a\\\\b")
    assert yaml.safe_load(written) == {"tag": value}


@pytest.mark.parametrize(
    "value", ["v1", "sha-0123456789ab", "1.27.3", "1.2.3-rc.1", "latest", "harbor.io:5000/a/b:1.0"]
)
def test_an_obvious_text_stays_without_quotes(value):
    assert bump("tag: old\n", "tag", value) == f"tag: {value}\n"
    assert reads_as_text(value)


def test_inside_braces_a_colon_needs_quotes():
    assert bump("{image: old}", "image", "host/a:1") == '{image: "host/a:1"}'


def test_single_quotes_are_kept_and_doubled():
    assert bump("tag: 'old'\n", "tag", "it's") == "tag: 'it''s'\n"


def test_a_whole_image_reference_is_replaced():
    source = "image: h.example.com:8443/shop/both:v1@sha256:4b8c\n"
    assert bump(source, "image", "h.example.com:8443/shop/both:v2") == "image: h.example.com:8443/shop/both:v2\n"


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


def test_aliases_that_multiply_are_never_followed():
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 60))
    assert bump(bomb + "tag: v1\n", "tag") == bomb + "tag: sha-1\n"  # following the aliases would never end


def test_one_value_of_a_large_file_changes():
    block = (
        "app-{n}:\n  # of app {n}\n  image: {{repository: h/app-{n}, tag: sha-{n}}} # keep\n  limits:\n    cpu: 1\n"
    )
    large = "".join(block.format(n=n) for n in range(14_000))
    assert bump(large, "app-7000.image.tag") == large.replace("tag: sha-7000}", "tag: sha-1}")


def test_a_value_can_be_looked_at_beforehand():
    assert inspect(FILE.encode(), "image.tag") == Found(line=4, text="71ab02c")
    assert inspect(FILE.encode(), "sidecars.1.image.tag") == Found(line=12, text="")
    with pytest.raises(EditRefused, match=r"line 3: image\.digest is missing in this map"):
        inspect(FILE.encode(), "image.digest")


@pytest.mark.parametrize(
    ("source", "path", "warning"),
    [
        (
            "image: {tag: v1, digest: sha256:aa}\n",
            "image.tag",
            "image.digest (line 1) is not empty; most charts let it",
        ),
        ("image:\n  tag: v1\n  sha: aa\n", "image.tag", "image.sha (line 3) is not empty"),
        ("images:\n- name: a\n  newTag: 1\n  digest: x\n", "images[name=a].newTag", "images[name=a].digest (line 4)"),
        ("image: {tag: v1, digest: ''}\n", "image.tag", ""),
        ("image: {tag: v1, digest: ~}\n", "image.tag", ""),
        ("image: {tag: v1, digest: {x: y}}\n", "image.tag", ""),
        ("image: {digest: x}\n", "image.digest", ""),
        ("tag: v1\n", "tag", ""),
    ],
)
def test_a_digest_beside_the_tag_is_warned_of(source, path, warning):
    assert overridden(source.encode(), path).startswith(warning)
    assert bool(overridden(source.encode(), path)) == bool(warning)


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
    assert inspect(result.encode(), dotted).text == value
    expected, found = yaml.load(source, yaml.CBaseLoader), yaml.load(result, yaml.CBaseLoader)
    there = expected
    for key in path[:-1]:
        there = there[key]
    there[path[-1]] = value
    assert found == expected
