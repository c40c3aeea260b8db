"""Real values files, manifests and kustomizations: every image location can be bumped, one line at a time."""

import json

import pytest
import yaml

from orchestrator.domain.changes import Edit
from tests.support.contracts import CONTRACTS, contract_files
from tests.support.yaml_types import reads_as_text
from workers.gitops.values import EditRefused, edit, inspect, overridden, shared

FILES = [
    path for path in contract_files("values/**/*") if path.name not in ("index.json", "NOTES.md") and path.is_file()
]
TAGS = ["v9.9.9-rc1", "sha-0123456789ab", "1234567", "12e4567", "1.10", "0x1f", "yes", "null", "12:30:45"]
# What the index lists as reached through an alias or a merge: there is nothing of its own to edit.
BORROWED = {
    "enterprise-logs.values.yaml": ["loki-distributed.loki.image.tag"],
    "syn-anchors.values.yaml": ["api.image.tag", "worker.image.tag", "beat.image.tag"],
}


def locations():
    """List every location of the index: file, path as text, line of the value, its text."""
    if not FILES:
        return []
    index = json.loads((CONTRACTS / "values" / "index.json").read_text())
    return [
        (entry["file"], written(place, entry["documents"]), place["line"], place["value"])
        for entry in index["files"]
        for place in entry["image_locations"]
    ]


def written(place, documents):
    """Write a path of the index in our grammar."""
    number = f"${place['doc'] + 1}:" if documents > 1 else ""
    steps = (str(step) if isinstance(step, int) else '"' + step.replace("\\", "\\\\") + '"' for step in place["path"])
    return number + ".".join(steps)


def borrowed(file, path):
    return path.replace('"', "") in BORROWED.get(file, [])


EDITABLE = [row for row in locations() if not borrowed(row[0], row[1])]
pytestmark = pytest.mark.skipif(not FILES, reason="the contract data is not here; tests/unit has samples of its own")


@pytest.mark.parametrize(("file", "path", "line", "value"), EDITABLE, ids=[f"{row[0]}:{row[1]}" for row in EDITABLE])
def test_a_bump_changes_one_line_inside_the_value(file, path, line, value):
    raw = (CONTRACTS / "values" / file).read_bytes()
    text = inspect(raw, path)
    for tag in TAGS:
        edited = edit(raw, [Edit(path=path, value=tag)])
        before, after = raw.split(b"\n"), edited.raw.split(b"\n")
        assert len(before) == len(after)
        differing = [number for number, pair in enumerate(zip(before, after, strict=True), 1) if pair[0] != pair[1]]
        assert len(differing) == edited.changed
        # for an empty value the index names the line of whatever comes next
        assert all(number == line or (not text and value is None and number < line) for number in differing)
        assert edited.previous == (text,)
        assert inspect(edited.raw, path) == tag
        assert edit(edited.raw, [Edit(path=path, value=tag)]).raw == edited.raw
        assert all(reads_as_text(value_on(before[number - 1], after[number - 1])) for number in differing)


def value_on(before, after):
    """Cut out of a changed line what is new, with its quotes."""
    old, new = before.decode(), after.decode()
    events = yaml.parse(f"v: {tail(old, new)}\n", Loader=yaml.CSafeLoader)
    scalar = [event for event in events if isinstance(event, yaml.ScalarEvent)][1]
    return f'"{scalar.value}"' if scalar.style else scalar.value


def tail(old, new):
    """Return the changed line from its value on: behind the common beginning, back to the last blank."""
    common = next(
        (n for n, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), min(len(old), len(new))
    )
    start = max(new.rfind(sign, 0, common + 1) for sign in " \t{[") + 1
    return new[start:].split(",")[0].split("}")[0].strip() or '""'


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_can_be_read_and_refuses_what_it_has_not(path):
    with pytest.raises(EditRefused):
        inspect(path.read_bytes(), "no.such.key.here")


@pytest.mark.parametrize(("file", "path"), [(file, path) for file, paths in BORROWED.items() for path in paths])
def test_what_an_alias_or_merge_provides_is_refused_with_the_line(file, path):
    raw = (CONTRACTS / "values" / file).read_bytes()
    with pytest.raises(EditRefused, match=r"is an alias|a merge, <<, may provide it") as caught:
        edit(raw, [Edit(path=path, value="v2")])
    assert caught.value.line


@pytest.mark.parametrize("file", ["syn-empty.values.yaml", "syn-only-comments.values.yaml"])
def test_a_file_without_a_document_is_refused(file):
    with pytest.raises(EditRefused, match="the file has no document"):
        inspect((CONTRACTS / "values" / file).read_bytes(), "image.tag")


def test_what_only_helm_was_said_to_read_is_edited_too():
    raw = (CONTRACTS / "values" / "helm-only" / "syn-tab-before-comment.values.yaml.txt").read_bytes()
    edited = edit(raw, [Edit(path="image.tag", value="v2")])
    assert edited.raw == raw.replace(b"v1.4.2\t# bumped", b"v2\t# bumped")


@pytest.mark.parametrize(
    ("file", "path", "old", "new"),
    [
        (
            "syn-multidoc.application.yaml",
            'spec.source.helm.parameters[name="image.tag"].value',
            b'"71ab02c"   #',
            b'"v2"   #',
        ),
        (
            "syn-list-of-images.values.yaml",
            "images[name=worker].tag",
            b"worker\n  tag: a1b2c3d",
            b"worker\n  tag: v2",
        ),
        (
            "kustomize-dev.kustomization.yaml",
            "images[1].newTag",
            b"docker.io/mng990/eco2:ext-authz-dev-2bb9cf",
            b"v2",
        ),
    ],
)
def test_items_of_lists_are_chosen_by_name(file, path, old, new):
    raw = (CONTRACTS / "values" / file).read_bytes()
    assert edit(raw, [Edit(path=path, value="v2")]).raw == raw.replace(old, new)


def test_the_digest_of_a_real_chart_is_warned_of():
    raw = (CONTRACTS / "values" / "ingress-nginx.values.yaml").read_bytes()
    assert "controller.image.digest (line " in overridden(raw, "controller.image.tag")


@pytest.mark.parametrize(
    ("file", "path", "others"),
    [
        ("syn-anchors.values.yaml", "x-image.tag", "line 6 (*img), line 9 (*img), line 14 (*tag), line 17 (*img)"),
        ("enterprise-logs.values.yaml", "image.tag", "(*image)"),
    ],
)
def test_the_users_of_an_anchor_are_warned_of(file, path, others):
    assert shared((CONTRACTS / "values" / file).read_bytes(), path).endswith(others)
