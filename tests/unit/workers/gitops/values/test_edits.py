"""One scalar changes, and no other byte."""

import pytest
import yaml

from orchestrator.domain.changes import Edit
from tests.support.bumping import bump
from tests.support.yaml_types import reads_as_text
from workers.gitops.values import EditRefused, edit, inspect, overridden

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
    assert (edited.previous, edited.changed) == (("v1", "71ab02c"), True)


def test_the_same_text_again_changes_nothing():
    raw = FILE.encode()
    edited = edit(raw, [Edit(path="image.tag", value="71ab02c"), Edit(path="sidecars.0.image.tag", value="v1")])
    assert edited.raw is raw
    assert (edited.changed, edited.previous) == (False, ("71ab02c", "v1"))


def test_old_and_new_are_compared_as_text():
    assert bump("tag: 1.10\n", "tag", "1.1") == 'tag: "1.1"\n'


@pytest.mark.parametrize(
    ("source", "value"), [("tag: 1.10\n", "1.10"), ("{tag: 1e10}\n", "1e10"), ("tag: on\n", "on")]
)
def test_a_value_that_is_there_but_not_as_a_text_gets_its_quotes(source, value):
    """Helm makes ``web:1.1`` of a plain 1.10, whatever the digits in the file are."""
    assert bump(source, "tag", value) == source.replace(value, f'"{value}"')


@pytest.mark.parametrize("source", ["tag: '1.10'\n", "{tag: 'on', image: h.io/a:1}\n", "tag: v1\n"])
def test_a_text_that_is_there_already_is_left_alone(source):
    for path, found in yaml.safe_load(source).items():
        assert bump(source, path, found) == source


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
        (
            "%TAG !e! tag:e,1:\n---\na: {b: c, d: !e!t e}\n",
            "a.b",
            "%TAG !e! tag:e,1:\n---\na: {b: sha-1, d: !e!t e}\n",
        ),
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
        *(
            "yes",
            "No",
            "on",
            "OFF",
            "y",
            "n",
            "true",
            "False",
            "null",
            "Null",
            "~",
            "",
            ".inf",
            "inf",
            "NaN",
            "infinity",
        ),
        *("12:30:45", "2026-08-22", "*a", "&a", "!a", "%a", "@a", "`a", "a #b", "a: b", "- a", "a:", "[a]", "{a}"),
        *("8f3e1e7", "가나다", 'a"b', "a\\b", "a b"),
    ],
)
def test_what_a_reader_may_not_take_for_a_text_gets_quotes(value):
    written = bump("tag: v1 # c\n", "tag", value)
    assert written == f'tag: "{value}" # c\n'.replace('a"b', 'a\\"b').replace("a\\b", "a\\\\b")
    assert yaml.safe_load(written) == {"tag": value}


@pytest.mark.parametrize(
    "value", ["v1", "sha-0123456789ab", "1.27.3", "1.27.10", "1.2.3-rc.1", "latest", "harbor.io:5000/a/b:1.0"]
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
    assert inspect(FILE.encode(), "image.tag") == "71ab02c"
    assert inspect(FILE.encode(), "sidecars.1.image.tag") == ""
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
        ("image: {tag: v1, digest: null}\n", "image.tag", ""),
        ("image: {tag: v1, digest: Null}\n", "image.tag", ""),
        ("image: {tag: v1, digest: NULL}\n", "image.tag", ""),
        ("image: {tag: v1, digest: 'null'}\n", "image.tag", "image.digest (line 1) is not empty"),
        ("image: {tag: v1, digest: nULL}\n", "image.tag", "image.digest (line 1) is not empty"),
        ("image: {tag: v1, digest: {x: y}}\n", "image.tag", ""),
        ("image: {digest: x}\n", "image.digest", ""),
        ("tag: v1\n", "tag", ""),
    ],
)
def test_a_digest_beside_the_tag_is_warned_of(source, path, warning):
    assert overridden(source.encode(), path).startswith(warning)
    assert bool(overridden(source.encode(), path)) == bool(warning)
