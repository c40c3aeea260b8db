"""What a Dockerfile needs from outside."""

import pytest

from workers.clients.dockerfile import automatic_args, read_recipe


def images(text: str, target: str = "", args: dict[str, str] | None = None, *, all_before: bool = False) -> list[str]:
    found = read_recipe(text.encode(), args).images(target, all_before=all_before)
    return [f"{name}@{platform}" if platform else name for name, platform in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM python:3.12\n", ["python:3.12"]),
        ("from\tpython:3.12\n", ["python:3.12"]),
        ("\ufeffFROM python:3.12", ["python:3.12"]),
        ("FROM scratch\n", []),
        ("# FROM no\nFROM a:1 AS x\nFROM X\n", ["a:1"]),
        ("FROM a:1 AS x\nFROM b:1\nCOPY --from=x / /\nCOPY --chown=1 --from=c:1 / /\n", ["a:1", "b:1", "c:1"]),
        ("FROM a:1\nFROM b:1\nCOPY --from=0 / /\n", ["a:1", "b:1"]),
        ("FROM --platform=linux/arm64 a:1\n", ["a:1@linux/arm64"]),
        ("FROM --platform=$BUILDPLATFORM a:1 AS x\nFROM x\n", ["a:1@$BUILDPLATFORM"]),
        ("FROM a@sha256:" + "0" * 64 + "\n", ["a@sha256:" + "0" * 64]),
        ("ARG V=1\nFROM a:$V\n", ["a:1"]),
        ("ARG V=1\nFROM a:${V}\n", ["a:1"]),
        ('ARG V="1"\nFROM a:${V}\n', ["a:1"]),
        ("ARG R=reg.io\nARG B=$R/base\nFROM ${B}:1\n", ["reg.io/base:1"]),
        ("FROM a:${V:-9}\n", ["a:9"]),
        ("ARG V\nFROM a${V:+:2}\n", ["a"]),
        ("ARG V=1\nFROM a:${V:-9\n", []),
        ("ARG V=1\nFROM a:${V\n", []),
        ("ARG V=x\nFROM a${V:+:2}\n", ["a:2"]),
        ("FROM $UNKNOWN\n", []),
        ("FROM a:1\nRUN --mount=type=bind,from=tools:1,target=/t t\n", ["a:1", "tools:1"]),
        (
            "FROM a:1\nRUN echo \\\n  FROM b:1 \\\n# a comment between\n\n  && true\nCOPY --from=c:1 / /\n",
            ["a:1", "c:1"],
        ),
        ("FROM a:1\nRUN <<EOF\nFROM b:1\nEOF\nCOPY --from=c:1 / /\n", ["a:1", "c:1"]),
        (
            "FROM a:1\nCOPY <<-'X' <<Y /to/\n\tFROM b:1\n\tX\nCOPY --from=d:1 / /\nY\nCOPY --from=c:1 / /\n",
            ["a:1", "c:1"],
        ),
        ("FROM a:1\nRUN cat <<EOF\nCOPY --from=c:1 / /\n", ["a:1", "c:1"]),
        ("FROM a:1\nRUN <<A <<B\nA\nCOPY --from=c:1 / /\n", ["a:1", "c:1"]),
        ("FROM a:1\nRUN <<A\nCOPY --from=c:1 / /\nA\nRUN <<A\nCOPY --from=d:1 / /\n", ["a:1", "d:1"]),
        ("# escape=`\nFROM a:1\nRUN echo `\n FROM b:1\n", ["a:1"]),
        ("FROM a:1 AS a\nFROM a\n", ["a:1"]),
        ("FROM a:1\n# read\u2028FROM b:1\x0cFROM c:1\x85FROM d:1\n", ["a:1"]),
        ("FROM a:1\r\nRUN <<EOF\r\nFROM b:1\r\nEOF\r\nCOPY --from=c:1 / /\r\n", ["a:1", "c:1"]),
        ("nonsense\n", []),
        ("", []),
    ],
)
def test_base_images_are_found(text: str, expected: list[str]) -> None:
    assert images(text) == expected


def test_build_arguments_replace_defaults() -> None:
    assert images("ARG BASE=a:1\nFROM $BASE\n", args={"BASE": "b:2"}) == ["b:2"]
    assert images("ARG BASE\nFROM $BASE\n", args={"BASE": "b:2"}) == ["b:2"]
    assert images("FROM ${BASE:-a:1}\n", args={"BASE": "not declared"}) == ["a:1"]


PLATFORMS = [
    ("", "linux/amd64", ["linux-amd64-", "linux-amd64-"]),
    ("linux/arm64/v8", "linux/amd64", ["linux-amd64-", "linux-arm64-"]),
    ("linux/arm/v7", "linux/arm64", ["linux-arm64-", "linux-arm-v7"]),
    ("", "/", []),
]


@pytest.mark.parametrize(("target", "own", "expected"), PLATFORMS)
def test_a_base_image_may_be_named_by_the_platform(target: str, own: str, expected: list[str]) -> None:
    """Without any ARG line, as BuildKit has it."""
    parts = [f"FROM x:${{{kind}OS}}-${kind}ARCH-${{{kind}VARIANT}}\n" for kind in ("BUILD", "TARGET")]
    recipe = read_recipe("".join(parts).encode() + b"COPY --from=0 / /\n", {}, automatic_args(target, own))
    assert [name for name, _ in recipe.images()] == list(dict.fromkeys(f"x:{tag}" for tag in expected))


def test_a_stage_may_be_chosen_by_the_platform() -> None:
    text = b"FROM a:1 AS on-amd64\nFROM b:1 AS on-arm64\nFROM on-${TARGETARCH}\n"
    assert read_recipe(text, {}, automatic_args("", "linux/arm64")).images() == (("b:1", ""),)
    given = read_recipe(text, {"TARGETARCH": "amd64"}, automatic_args("", "linux/arm64"))
    assert given.images() == (("a:1", ""),)


STAGES = "FROM a:1 AS one\nFROM b:1 AS two\nFROM c:1 AS three\nCOPY --from=one / /\nFROM d:1\n"


@pytest.mark.parametrize(
    ("target", "all_before", "expected"),
    [
        ("three", False, ["a:1", "c:1"]),
        ("three", True, ["a:1", "b:1", "c:1"]),
        ("", False, ["d:1"]),
        ("0", False, ["a:1"]),
        ("nosuch", False, ["a:1", "b:1", "c:1", "d:1"]),
    ],
)
def test_only_what_the_target_needs_counts(target: str, all_before: bool, expected: list[str]) -> None:
    assert images(STAGES, target, all_before=all_before) == expected


@pytest.mark.parametrize(
    ("text", "syntax"),
    [
        ("# syntax=docker/dockerfile:1\nFROM a\n", "docker/dockerfile:1"),
        ("#syntax = docker/dockerfile:1 \nFROM a\n", "docker/dockerfile:1"),
        ("# a comment\n# syntax=docker/dockerfile:1\nFROM a\n", ""),
        ("FROM a\n# syntax=docker/dockerfile:1\n", ""),
    ],
)
def test_the_frontend_is_named_at_the_very_top(text: str, syntax: str) -> None:
    assert read_recipe(text.encode()).syntax == syntax


def test_mounts_are_listed_with_their_lines() -> None:
    text = (
        "FROM a\nRUN --mount=type=cache,target=/c \\\n  --mount=type=secret,id=x make\n"
        "RUN --network=none --mount=target=/x x\n"
    )
    mounts = read_recipe(text.encode()).mounts()
    assert [(mount.kind, mount.line) for mount in mounts] == [("cache", 2), ("secret", 2), ("bind", 4)]


def test_a_circle_of_stages_ends() -> None:
    assert images("FROM two AS one\nFROM one AS two\n") == ["two"]


SIZE = 128 * 1024
TANGLES = {
    "a brace without its end": "FROM " + "${A:-" * (SIZE // 5),
    "words without an end": "FROM " + "${A:-x} ${A:-" * (SIZE // 13),
    "here-documents without an end": "FROM a\n" + "RUN <<A\n" * (SIZE // 8),
    "here-documents of one line": "FROM a\nRUN " + "<<A " * (SIZE // 4),
    "stages": "FROM a\n" * (SIZE // 7),
    "stages with one name": "FROM a AS a\n" * (SIZE // 12),
    "copies": "FROM a AS b\n" * 6_000 + "COPY --from=b . .\n" * 5_000,
    "blanks in a directive": "# a=b" + " " * (SIZE - 6) + "c",
    "flags": "FROM " + "--a" * (SIZE // 3),
    "continued lines": "RUN a\\\n" * (SIZE // 7),
    "values that double": "ARG A=abc\n" + "ARG A=$A$A\n" * 11_000 + "FROM $A",
    "many long values": "ARG A="
    + "a" * 1000
    + "\nARG "
    + "".join(f"a{n}=$A$A " for n in range(40_000))
    + "\nFROM $A",
    "a number without an end": "FROM a\nCOPY --from=" + "1" * (SIZE - 20) + " . .",
}


@pytest.mark.parametrize("tangle", TANGLES)
def test_a_tangled_dockerfile_does_not_take_forever(tangle: str) -> None:
    text = TANGLES[tangle]
    images(text)
    images(text, target="b", all_before=True)


def test_a_value_is_cut_where_no_name_of_an_image_is_as_long() -> None:
    assert images("ARG A=" + "a" * 2000 + "\nFROM $A:1\n") == ["a" * 1024]


@pytest.mark.parametrize(
    ("mount", "name", "required"),
    [
        ("type=secret,id=npm", "npm", False),
        ("type=secret,id=npm,target=/root/.npmrc,required=true", "npm", True),
        ("type=secret,target=/root/.npmrc,required", ".npmrc", True),
        ("type=secret,dst=/run/pip.conf,required=false", "pip.conf", False),
        ('type=secret,"id=npm",required=TRUE', "npm", True),
        ("type=secret,id=npm,env=NPM_TOKEN", "npm", False),
        ("type=SECRET", "", False),
        ("type=secret,source=npm,target=/tmp/x", "npm", False),
        ("type=secret,src=npm,destination=/tmp/x,required=1", "npm", True),
        ("type=secret,destination=/etc/pip.conf,required=0", "pip.conf", False),
        ("type=secret,id=npm,required=f", "npm", False),
    ],
)
def test_a_secret_has_an_id_and_may_be_required(mount: str, name: str, required: bool) -> None:
    (found,) = read_recipe(f"FROM a\nRUN --mount={mount} make\n".encode()).mounts()
    assert (found.kind, found.name, found.required) == ("secret", name, required)
