"""The grammar of paths, by example."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.paths import MAX_LENGTH, MAX_STEPS, Index, Key, Named, parse_path


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("tag", (Key("tag"),)),
        ("image.tag", (Key("image"), Key("tag"))),
        ("images.0.newTag", (Key("images"), Key("0"), Key("newTag"))),
        ("images[0].newTag", (Key("images"), Index(0), Key("newTag"))),
        ("images[name=web].newTag", (Key("images"), Named("name", "web"), Key("newTag"))),
        (
            'spec.source.helm.parameters[name="image.tag"].value',
            (Key("spec"), Key("source"), Key("helm"), Key("parameters"), Named("name", "image.tag"), Key("value")),
        ),
        ("p[name=image.tag].value", (Key("p"), Named("name", "image.tag"), Key("value"))),
        ("p[name='a b'].v", (Key("p"), Named("name", "a b"), Key("v"))),
        ("m[0][1]", (Key("m"), Index(0), Index(1))),
        ('"a.b".c', (Key("a.b"), Key("c"))),
        ("'a.b'.c", (Key("a.b"), Key("c"))),
        (r"a\.b.c", (Key("a.b"), Key("c"))),
        (r'"say \"hi\" \\".c', (Key('say "hi" \\'), Key("c"))),
        (r"a\[0\]", (Key("a[0]"),)),
        ("app.kubernetes_io/x-y", (Key("app"), Key("kubernetes_io/x-y"))),
        ("my key.tag", (Key("my key"), Key("tag"))),
        ("이미지.태그", (Key("이미지"), Key("태그"))),
        (".".join("x" * MAX_STEPS), (Key("x"),) * MAX_STEPS),
    ],
)
def test_a_path_is_a_row_of_steps(text, steps):
    assert parse_path(text).steps == steps
    assert parse_path(text).document is None
    assert str(parse_path(text)) == text


def test_a_path_can_name_the_document_of_the_file():
    path = parse_path("$2:spec.image")
    assert (path.document, path.steps) == (2, (Key("spec"), Key("image")))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no key at character 1"),
        (".tag", "has no key at character 1"),
        ("image.", "has no key at character 7"),
        ("image..tag", "has no key at character 7"),
        ("image tag ", "has ' ' at character 10 where a dot or the end is expected"),
        (" image", "has no key at character 1"),
        ('""', "has an empty name at character 1"),
        ("''.a", "has an empty name at character 1"),
        ('"a', "has no key at character 1"),
        ('"a"b', "has 'b' at character 4 where a dot or the end is expected"),
        ("a[", "has neither [number] nor [name=value] at character 2"),
        ("a[x]", "has neither [number] nor [name=value] at character 2"),
        ("a[-1]", "has neither [number] nor [name=value] at character 2"),
        ("a[name=", "has no closing ] for the [ at character 2"),
        ("a[name=web", "has no closing ] for the [ at character 2"),
        ('a[name="web"x]', "has no closing ] for the [ at character 2"),
        ("a[name=web]", "ends with [name=value], which chooses a map and not a value in it"),
        ("[0].a", "has no key at character 1"),
        ("$1:", "has no key at character 4"),
        ("a\\", "has '\\\\' at character 2 where a dot or the end is expected"),
        ("x" * (MAX_LENGTH + 1), f"is longer than {MAX_LENGTH} characters"),
        (".".join("x" * (MAX_STEPS + 1)), f"has more than {MAX_STEPS} steps"),
    ],
)
def test_what_is_no_path_is_told_in_a_sentence(text, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        parse_path(text)


@given(st.text(max_size=60))
def test_any_text_is_a_path_or_told_in_a_sentence(text):
    try:
        path = parse_path(text)
    except ValueError as error:
        sentence = str(error)
    else:
        sentence = f"has {len(path.steps)} steps"
    assert sentence.startswith(("has", "is", "ends"))


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6))
def test_every_key_can_be_written_in_quotes(keys):
    quoted = ('"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"' for key in keys)
    path = parse_path(".".join(quoted))
    assert path.steps == tuple(Key(key) for key in keys)
    assert parse_path(path.beginning(len(keys))).steps == path.steps


@pytest.mark.parametrize(
    ("text", "count", "beginning"),
    [
        ("image.tag", 1, "image"),
        ("image.tag", 2, "image.tag"),
        ("image.tag", 0, ""),
        ("images[0][name=web].tag", 3, "images[0][name=web]"),
        ("p[name='a]b'].v", 2, 'p[name="a]b"]'),
        (r'"a.b".\".c', 2, r'"a.b"."\""'),
    ],
)
def test_the_beginning_of_a_path_can_be_told(text, count, beginning):
    assert parse_path(text).beginning(count) == beginning


@pytest.mark.parametrize(
    ("text", "sibling"),
    [
        ("image.tag", "image.digest"),
        ("tag", "digest"),
        ("my own key.tag", "my own key.digest"),
        ("$2:images[name=web].tag", "$2:images[name=web].digest"),
        ('"a.b".tag', '"a.b".digest'),
    ],
)
def test_a_path_knows_its_neighbours(text, sibling):
    assert str(parse_path(text).sibling("digest")) == sibling
