"""A payload is read strictly, and what is wrong is named."""

import json
import tracemalloc
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.events import Malformed
from webhooks.headers import Headers
from webhooks.payload import FORM, MAX_FIELDS, MAX_NAME, MAX_PLAIN, MAX_TEXT, PIECE, Record, decode, json_bytes

RECORD = Record(
    {
        "text": "x",
        "empty": "",
        "null": None,
        "number": 1,
        "yes": True,
        "sha": "a" * 40,
        "zero": "0" * 40,
        "object": {"inner": {"deep": 1}},
        "objects": [{"n": 1}, {"n": "x"}],
        "texts": ["a", "b"],
        "mixed": ["a", 1],
    },
    "top",
)


def test_each_kind_of_field_is_read() -> None:
    assert RECORD.text("text") == "x"
    assert RECORD.note("text") == "x"
    assert RECORD.flag("yes") is True
    assert RECORD.sha("sha") == "a" * 40
    assert RECORD.sha("zero") is None
    assert RECORD.texts("texts") == ("a", "b")
    assert list(RECORD.records("objects"))[1].text("n") == "x"


@pytest.mark.parametrize(
    "name", ["x" * (MAX_NAME + 1), "a\x00b", "a\ud800b"], ids=["too long", "zero", "half a sign"]
)
def test_a_name_that_no_database_holds_is_refused_as_such(name: str) -> None:
    assert Record({"name": "한" * MAX_NAME}).text("name") == "한" * MAX_NAME
    with pytest.raises(Malformed, match="field name is too long or holds characters that no name can have"):
        Record({"name": name}).text("name")


@pytest.mark.parametrize("name", ["absent", "null"])
def test_an_absent_field_and_null_are_the_same(name: str) -> None:
    assert RECORD.note(name) == ""
    assert RECORD.flag(name) is None
    assert RECORD.optional_sha(name) is None
    assert RECORD.record(name) is None
    assert list(RECORD.records(name)) == []
    assert RECORD.texts(name) == ()


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda: RECORD.text("empty"), "field top.empty is not a text"),
        (lambda: RECORD.text("absent"), "field top.absent is missing"),
        (lambda: RECORD.note("number"), "field top.number is not a text"),
        (lambda: RECORD.flag("text"), "field top.text is not true or false"),
        (lambda: RECORD.sha("text"), "field top.text is not a full object id"),
        (lambda: RECORD.record("text"), "field top.text is not an object"),
        (lambda: RECORD.need("absent"), "field top.absent is missing"),
        (lambda: RECORD.records("mixed"), "field top.mixed is not a list of objects"),
        (lambda: RECORD.texts("mixed"), "field top.mixed is not a list of texts"),
        (lambda: RECORD.texts("text"), "field top.text is not a list"),
        (lambda: RECORD.need("object").need("inner").text("deep"), "field top.object.inner.deep is not a text"),
        (lambda: next(iter(RECORD.records("objects"))).text("n"), r"field top.objects\[0\].n is not a text"),
    ],
)
def test_a_wrong_field_is_named(read: object, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read()  # type: ignore[operator]


def test_the_texts_of_many_objects_are_read_at_once() -> None:
    commits = Record({"commits": [{"added": ["a", "b"], "removed": ["c"]}, {"added": None}, {}]}).records("commits")
    assert commits.texts("added", "removed") == [["a", "b", "c"], [], []]


@pytest.mark.parametrize("odd", ["a\x00b", "a\ud800b", "a" + "x" * MAX_TEXT])
def test_the_texts_of_many_objects_are_cleaned_like_those_of_one(odd: str) -> None:
    record = Record({"commits": [{"added": ["a", odd]}]})
    assert record.records("commits").texts("added") == [["a", *Record({"added": [odd]}).texts("added")]]


@pytest.mark.parametrize(
    ("commit", "said"),
    [
        ({"added": ["a", 1]}, "is not a list of texts"),
        ({"added": "a"}, "is not a list"),
        ({"added": False}, "is not a list"),
    ],
)
def test_among_many_objects_the_wrong_one_is_named(commit: dict[str, object], said: str) -> None:
    with pytest.raises(Malformed, match=rf"field commits\[1\].added {said}\Z"):
        Record({"commits": [{"added": ["b"]}, commit]}).records("commits").texts("removed", "added")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, True),
        ("true", True),
        ("1", True),
        (1, True),
        (None, False),
        (False, False),
        ("", False),
        ("false", False),
    ],
)
def test_a_wish_may_be_worded_in_many_ways(value: object, said: bool) -> None:
    assert Record({"skip": value}).says("skip") is said


def test_a_free_text_is_cleaned_for_the_database() -> None:
    assert Record({"message": "a\x00b\ud800c"}).note("message") == "a\ufffdb?c"


def test_a_long_free_text_keeps_its_beginning_and_its_end() -> None:
    message = Record({"message": "title\n" + "x" * MAX_TEXT + "\nPilotage-Run: 1"}).note("message")
    assert len(message) <= MAX_TEXT + 5
    assert message.startswith("title\n")
    assert message.endswith("\nPilotage-Run: 1")


WORDS = st.sampled_from([*"ab", "é", "\\", "/", "\n", "\x7f", "\ud800"]) | st.text(max_size=3)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """JSON of any shape in one of the ways of writing it, in which an object may have a key twice."""
    ascii_only, colon, comma = (
        draw(st.booleans()),
        draw(st.sampled_from([":", ": "])),
        draw(st.sampled_from([",", ", "])),
    )
    texts = SCALARS.map(lambda value: json.dumps(value, ensure_ascii=ascii_only))
    keys = WORDS.map(lambda value: json.dumps(value, ensure_ascii=ascii_only))

    def written(pairs: list[tuple[str, str]]) -> str:
        return "{" + comma.join(f"{key}{colon}{value}" for key, value in pairs) + "}"

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        many = st.lists(inner, max_size=3).map(lambda values: "[" + comma.join(values) + "]")
        return many | st.lists(st.tuples(keys, inner), max_size=3).map(written)

    values = st.recursive(texts, larger, max_leaves=8)
    return written(draw(st.lists(st.tuples(keys, values), max_size=3))).encode("utf-8", "surrogatepass")


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), "the same key twice"
    return dict(pairs)


@given(documents())
def test_json_is_read_as_the_standard_library_does_however_it_is_written(document: bytes) -> None:
    try:
        expected = json.loads(document.decode(), object_pairs_hook=distinct)
    except AssertionError:
        with pytest.raises(Malformed, match="the same key twice"):
            decode(document)
    except UnicodeDecodeError:
        with pytest.raises(Malformed, match="not UTF-8"):
            decode(document)
    else:
        assert repr(decode(document)) == repr(expected)


@pytest.mark.parametrize("levels", [252, 253, 254, 255, 500])
def test_what_is_nested_is_read_even_where_orjson_would_not_write_it(levels: int) -> None:
    document = b'{"a":' + b"[" * levels + b"]" * levels + b"}"
    assert decode(document) == json.loads(document)


def test_in_a_large_document_no_key_is_twice_either() -> None:
    with pytest.raises(Malformed, match="the same key twice"):
        decode(b'{"a":1,"b":"' + b"x" * MAX_PLAIN + b'","a":1}')


def test_an_error_names_the_place_and_not_the_content() -> None:
    with pytest.raises(Malformed) as caught:
        decode(b'{"password": hunter2}')
    assert "character 13" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b'{"a":1,"a":2}', "the same key twice"),
        (b'{"a":[{"b":1,"b":1}]}', "the same key twice"),
        (b'{"a":NaN}', "holds NaN"),
        (b'{"a":Infinity}', "holds Infinity"),
        (b'{"a":-Infinity}', "holds -Infinity"),
        (b'{"a":"\xff"}', "not UTF-8 at byte 6"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"a":01}', "not JSON"),
        (b'{"a":' + b"1" * 5_000 + b"}", "a number that is too long"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "not a JSON object"),
    ],
)
def test_what_is_not_strictly_json_is_told(document: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        decode(document)


@pytest.mark.parametrize("gap", ["", " ", "\t", "\n", "\r", " \n\t "])
@pytest.mark.parametrize("text", ["", r"\":", r" \" :", "a: b", r"\\", "한글"])
@pytest.mark.parametrize("levels", [0, 1, 3])
def test_two_equal_keys_are_found_whatever_stands_around_them(gap: str, text: str, levels: int) -> None:
    def document(second: str) -> bytes:
        inner = f'{{"t"{gap}:{gap}"{text}","a"{gap}:[[1]],"{second}"{gap}:{gap}{{"a":1}}}}'
        return ('{"a":[' * levels + inner + "]}" * levels).encode()

    assert decode(document("b"))
    with pytest.raises(Malformed, match="the same key twice"):
        decode(document("a"))


AS_FORM = Headers([("Content-Type", FORM)])


@pytest.mark.parametrize("text", ['{"a": "b+c&d=%"}', "한글 😀", "%%%41%4", "x" * (PIECE - 1) + "한글" * 9000])
@pytest.mark.parametrize("shift", range(4))
def test_a_form_is_decoded_wherever_its_pieces_end(text: str, shift: int) -> None:
    text = "y" * shift + text
    for form in (
        f"payload={quote_plus(text)}",
        f"a=1&payload={quote_plus(text)}&b",
        f"b=&payload={quote_plus(text)}",
    ):
        assert json_bytes(AS_FORM, form.encode()) == text.encode()


@pytest.mark.parametrize("shift", range(4))
def test_what_is_no_escape_stays_wherever_a_piece_ends(shift: int) -> None:
    form = b"payload=" + b"y" * (PIECE - 4 + shift) + b"%%41%zz%4%31%"
    assert json_bytes(AS_FORM, form) == b"y" * (PIECE - 4 + shift) + b"%A%zz%41%"


@pytest.mark.parametrize(
    "form", [b"", b"payload", b"a=payload=", b"payload=1&payload=2", b"&" * MAX_FIELDS + b"payload=1"]
)
def test_a_form_has_one_payload(form: bytes) -> None:
    with pytest.raises(Malformed, match="exactly one field"):
        json_bytes(AS_FORM, form)


def test_a_form_takes_no_more_than_itself_to_decode() -> None:
    form = b"payload=" + b"%41" * 100_000
    tracemalloc.start()
    try:
        assert json_bytes(AS_FORM, form) == b"A" * 100_000
        assert tracemalloc.get_traced_memory()[1] < 6_000_000
    finally:
        tracemalloc.stop()
