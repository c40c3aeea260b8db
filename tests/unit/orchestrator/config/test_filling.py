"""Variables and files are filled in after YAML was read; what they hold is never read as YAML."""

from pathlib import Path

import pytest

from orchestrator.config.document import read

NASTY = "a\"b'c: d # e\n{f}, [g] *h &i !j %k @l `m` \\n ${HOME} $$ $x 한글\t"


def value(text: str, environ: dict[str, str] | None = None, folder: Path = Path("/nowhere")) -> object:
    document = read(text, environ or {}, folder)
    assert document.problems == []
    return document.tree["a"]


def message(
    text: str, environ: dict[str, str] | None = None, folder: Path = Path("/nowhere")
) -> tuple[str, int, str]:
    document = read(text, environ or {}, folder)
    assert len(document.problems) == 1
    problem = document.problems[0]
    return problem.path, problem.line, problem.message


@pytest.mark.parametrize(
    "text",
    ["a: ${X}", "a: '${X}'", 'a: "${X}"', "{a: ${X}}", "{b: [${X}], a: ${X}, c: 1}", "a: |-\n  ${X}\n"],
)
def test_a_value_survives_whatever_it_holds(text: str) -> None:
    assert value(text, {"X": NASTY}) == NASTY


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: pre-${X}-post", "pre-x-post"),
        ("a: ${X}${Y}", "xy"),
        ("a: robot$plate+pilotage", "robot$plate+pilotage"),
        ("a: costs 5$", "costs 5$"),
        ("a: $$5", "$5"),
        ("a: $${X}", "${X}"),
        ("{a: $${X}}", "${X}"),
        ("{a: $${}}", "${}"),
        ("a: $$$${X}", "$${X}"),
        ("a: $$$X", "$$X"),
        ("a: $$${X}", "$x"),
        ("a: ${X:-other}", "x"),
        ("a: ${NO:-other, {thing}", "other, {thing"),
        ("a: ${EMPTY:-other}", "other"),
        ("a: ${EMPTY}", ""),
        ("a: 0123", "0123"),
        ("a: on", "on"),
        ("a: 1e3", "1e3"),
        ("# ${MISSING}\na: 1 # ${MISSING} $${", "1"),
    ],
)
def test_what_a_scalar_becomes(text: str, expected: str) -> None:
    assert value(text, {"X": "x", "Y": "y", "EMPTY": ""}) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"s3cret\n", "s3cret"), (b"s3cret\r\n", "s3cret"), (b"two\n\n", "two\n"), (b"$x ${Y}", "$x ${Y}"), (b"", "")],
)
def test_a_file_gives_its_text_without_its_last_newline(tmp_path: Path, data: bytes, expected: str) -> None:
    (tmp_path / "secret file").write_bytes(data)

    assert value(f"{{a: ${{file:{tmp_path}/secret file}}}}") == expected
    assert value("a: ${file:secret file}", folder=tmp_path) == expected


SET = "set it where this is started"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b: 1\na: [x, ${NO_SUCH}]", ("a[1]", 2, f"the environment variable NO_SUCH is not set; {SET}")),
        ("a: ${file:no}", ("a", 1, "cannot read the file /nowhere/no: No such file or directory")),
        ("a: ${X-other}", ("a", 1, "is neither `${NAME}` nor `${file:PATH}`; write `$$` for a plain dollar sign")),
        ("a: ${1X}", ("a", 1, "is neither `${NAME}` nor `${file:PATH}`; write `$$` for a plain dollar sign")),
        ("a: ${X", ("a", 1, "`${` has no closing `}`; write `$$` for a plain dollar sign")),
    ],
)
def test_a_reference_without_a_value_is_named(text: str, expected: tuple[str, int, str]) -> None:
    assert message(text) == expected


def test_of_a_file_that_is_closed_to_us_the_user_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root could read any file
    assert message("a: ${file:key}", folder=tmp_path)[2] == (
        f"cannot read the file {tmp_path}/key: Permission denied; let the user that runs this read it"
    )


def test_a_file_that_is_no_text_or_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff")
    (tmp_path / "large").write_bytes(b"x" * (1024 * 1024 + 1))

    assert message("a: ${file:binary}", folder=tmp_path)[2].endswith("is not UTF-8 text")
    assert message("a: ${file:large}", folder=tmp_path)[2].endswith("is larger than 1048576 bytes")


def test_private_use_characters_of_the_file_itself_stay() -> None:
    assert value("a: \ue0007\ue001") == "\ue0007\ue001"


TAGGED = "has a YAML tag; only plain values are read, and a text that begins with `!` needs quotes"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", ("a", 3, "is given twice, first on line 1")),
        ("a: {b: 1, b: 2}", ("a.b", 1, "is given twice, first on line 1")),
        ("b: x\na:\n", ("a", 2, "has no value; give one or delete the line")),
        ("a: ~", ("a", 1, "has no value; give one or delete the line")),
        ("a: {b: x, c:hunter2-hunter2}", ("a.c", 1, "needs a blank after its `:`")),
        ("a: !!python/object:os.system x", ("a", 1, TAGGED)),
        ("a: !hunter2-hunter2", ("a", 1, TAGGED)),  # a password that was meant is not repeated
        ("a: &x [*x]", ("a[0]", 1, "contains itself through an alias")),
        ("a: &x {<<: *x}", ("a", 1, "contains itself through an alias")),
        ("a: {<<: text}", ("a", 1, "merges (`<<`) something that is not a mapping")),
        ("a: {[1]: 2}", ("a", 1, "has a key that is not a text")),
        ("a: 'x\n", ("", 2, "is not YAML: while scanning a quoted scalar, found unexpected end of stream")),
        (
            "a: 1\n---\nb: 2\n",
            ("", 2, "is not YAML: expected a single document in the stream, but found another document"),
        ),
        ("b: 한글\na: \x07", ("", 2, "is not YAML: control characters are not allowed")),
    ],
)
def test_a_mistake_in_the_text_is_named(text: str, expected: tuple[str, int, str]) -> None:
    assert message(text) == expected


@pytest.mark.parametrize("pattern", ["*", "*-rc", "**/x"])
def test_a_pattern_that_yaml_takes_for_an_alias_needs_quotes(pattern: str) -> None:
    _, line, said = message(f"branch: main\ntag: {pattern}\n")
    assert (line, said.rpartition("; ")[2]) == (2, "a pattern that begins with `*` needs quotes")


def test_merged_keys_fill_the_gaps_and_keep_their_lines() -> None:
    document = read("x: &x {a: 1, b: 2}\ny: &y\n  b: 3\n  c: 4\nz:\n  <<: [*x, *y]\n  a: 0\n", {}, Path())

    assert document.tree["z"] == {"a": "0", "b": "2", "c": "4"}
    assert document.lines["z", "c"] == 4


def test_an_alias_bomb_is_stopped() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    problems = read("\n".join(lines), {}, Path()).problems

    assert [problem.message for problem in problems] == ["has more than 100000 values; look for aliases of aliases"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a: plain", None),
        ("a: $$5", None),
        ("a: ${X}", ("${X}",)),
        ("a: u:${X}@h/${Y:-hunter2}", ("${X}", "${Y}")),
        ("a: $$5 ${X}", ("${X}",)),
    ],
)
def test_where_a_value_comes_from_is_known_without_its_default(text: str, names: tuple[str, ...] | None) -> None:
    filled = read(text, {"X": "x", "Y": "y"}, Path()).filled
    assert filled == ({("a",): names} if names else {})
