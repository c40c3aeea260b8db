"""Where Helm values name images: the forms that charts use, several files, and what is none."""

import pytest

from workers.gitops.image_keys import holds, image_keys, merged, read_values


def found(*files: str) -> list[tuple[str, str, str]]:
    values = merged(read_values(file.encode()) for file in files)
    return [(one.key, one.value, f"{one.image.name}:{one.image.tag}") for one in image_keys(values)]


FORMS = {
    "the usual one": ("image: {repository: h.io/p/web, tag: '1'}", [("image.tag", "tag", "h.io/p/web:1")]),
    "deeper": ("web: {image: {repository: h.io/p/web, tag: '1'}}", [("web.image.tag", "tag", "h.io/p/web:1")]),
    "at the top": ("repository: h.io/p/web\ntag: v1", [("tag", "tag", "h.io/p/web:v1")]),
    "with a registry": (
        "image: {registry: h.io, repository: p/web, tag: v1}",
        [("image.tag", "tag", "h.io/p/web:v1")],
    ),
    "with a registry for all": (
        "global: {imageRegistry: h.io}\nimage: {repository: p/web, tag: v1}",
        [("image.tag", "tag", "h.io/p/web:v1")],
    ),
    "by name": ("image: {name: h.io/p/web, tag: v1}", [("image.tag", "tag", "h.io/p/web:v1")]),
    "as a number": ("image: {repository: h.io/p/web, tag: 12}", [("image.tag", "tag", "h.io/p/web:12")]),
    "in a list": (
        "jobs: [{image: {repository: h.io/p/a, tag: v1}}, {image: {repository: h.io/p/b, tag: v2}}]",
        [("jobs[0].image.tag", "tag", "h.io/p/a:v1"), ("jobs[1].image.tag", "tag", "h.io/p/b:v2")],
    ),
    "as a whole": ("sidecarImage: h.io/p/side:v3", [("sidecarImage", "image", "h.io/p/side:v3")]),
    "behind a key with a dot": (
        "apps: {a.b: {image: {repository: h.io/p/web, tag: v1}}}",
        [('apps."a.b".image.tag', "tag", "h.io/p/web:v1")],
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_image_is_found(form: str) -> None:
    text, images = FORMS[form]
    assert found(text) == images


def test_a_later_file_wins_key_by_key() -> None:
    assert found("image: {repository: h.io/p/web, tag: v1}", "image: {tag: v2}") == [
        ("image.tag", "tag", "h.io/p/web:v2")
    ]
    assert found("image: {repository: h.io/p/web, tag: v1}", "image: null") == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1",
        "a: [",
        "a: 1\n---\nb: 2",
        "tag: v1",
        "image: {tag: {a: b}, repository: x}",
        "image: web",
        "endpoint: redis.svc:6379",
        "database: {host: db.internal:5432}",
        "base: h.io/p/base:v1",
        "at: 2024-13-41",
        "1: {image: x}",
    ],
)
def test_what_names_no_image_is_nothing(text: str) -> None:
    assert found(text) == []


def test_aliases_do_not_multiply() -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12))
    assert found(f"l0: &l0 {{repository: h.io/p/web, tag: v1}}\n{levels}") == [("l0.tag", "tag", "h.io/p/web:v1")]


@pytest.mark.parametrize(
    ("key", "there"),
    [
        ("image.tag", True),
        ("jobs[0].tag", True),
        ("jobs[1].tag", False),
        ("image.x.y", False),
        ("side.tag", False),
        ("none.tag", False),
        ("jobs.tag", False),
    ],
)
def test_a_file_holds_what_stands_in_it(key: str, there: bool) -> None:
    assert holds(read_values(b"image: {tag: v1}\njobs: [{tag: v2}]\nside: web:tag-1\nnone: null"), key) is there
