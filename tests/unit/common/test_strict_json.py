"""JSON from strangers: exact, strict and bounded."""

import contextlib
import json
import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.common import strict_json
from shared.domain.common.errors import BadRequest
from shared.domain.common.limits import JSON_DEPTH_MAX, JSON_ITEM_CHARS_MAX
from shared.domain.common.strict_json import load_items, load_object, loads
from tests.unit.http.fuzzing import fuzz

REFUSED = {
    "empty": b"",
    "no JSON": b"leg=1",
    "two values": b"{} {}",
    "wrong UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"a": NaN}',
    "Infinity": b"[Infinity]",
    "minus Infinity": b"[-Infinity]",
    "bare nan": b'{"mos": nan}',
    "repeated key": b'{"a": 1, "a": 1}',
    "repeated key within": b'[{"b": {"a": 1, "a": 2}}]',
    "one level too deep": b"[" * (JSON_DEPTH_MAX + 1) + b"]" * (JSON_DEPTH_MAX + 1),
    "50,000 nested arrays": b"[" * 50_000 + b"]" * 50_000,
    "50,000 nested objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "unclosed nesting": b"[" * 1_000_000,
    "a long integer": b"9" * 41,
    "a very long integer": b"9" * 100_000,
    "a long integer in a large body": b"[" + b" " * 1_500_000 + b"9" * 2_000_000 + b"]",
    "more objects than a card has": b"[" + b"{}," * 1_500_000 + b"{}]",
    "more values than a card has": b"[" + b"1," * 8_000_001 + b"1]",
    "deep behind texts of brackets": b'["[[\\"]]", "\\\\", ' + b"[" * 65 + b"]" * 66,
    "a huge exponent": b"1e999999999",
    "a tiny exponent": b"1e-999999999",
    "half a surrogate pair": b'"\\ud83d"',
    "half a surrogate pair as key": b'{"\\udc00": 1}',
    "NUL": b'["a", {"b": "\\u0000"}]',
    "raw control character": b'"\x01"',
    "unterminated text": b'"\\' * 100_000,
    "trailing comma": b"[1,]",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_sound_json_is_refused_quickly_with_one_code(body: bytes) -> None:
    began = time.perf_counter()
    with pytest.raises(BadRequest) as caught:
        loads(body)
    assert caught.value.code == "json_invalid"
    assert time.perf_counter() - began < 2


def test_brackets_in_texts_are_no_nesting() -> None:
    """Whatever is escaped before them."""
    value = [
        "[" * 100,
        '"' + "[" * 100,
        "\\",
        "{" * 100,
        "\\" * 3 + '"' + "[" * 70,
        {"[": "]"},
    ] * 20

    assert loads(json.dumps(value).encode()) == value


@given(st.recursive(st.text('[]{}"\\a', max_size=6), lambda inner: st.lists(inner, max_size=4)))
def test_a_list_read_item_by_item_is_the_list(value: object) -> None:
    """The same values, and refused where the whole is refused."""
    body = json.dumps([value, value], indent=1).encode()

    assert [item for item, _ in load_items(body)] == [value, value]
    for broken in (body[:-1], body + b"]", body[:-1] + b",]", b"[," + body[1:], b"1"):
        with pytest.raises(BadRequest):
            list(load_items(broken))


@pytest.mark.parametrize(
    ("body", "items"), [(b"[]", []), (b" [ ] ", []), (b"[1]\n", [1]), (b"[1 , 2]", [1, 2])]
)
def test_short_lists_are_read_item_by_item(body: bytes, items: list[int]) -> None:
    assert [item for item, _ in load_items(body)] == items


@pytest.mark.parametrize(
    "body", [b"", b"[", b"[1", b"[1 2]", b"[1,]", b"{}", b"[] []", b'["\\ud800"]', b"[1]x"]
)
def test_what_is_no_list_is_refused_item_by_item(body: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        list(load_items(body))
    assert caught.value.code == "json_invalid"


_ITEMS = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text('ab\\\\"[{é\U0001f600,:')
    | st.sampled_from([Decimal("1.50"), Decimal("-0.07"), Decimal("1E+3")]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text('a"\\é', max_size=3), inner),
    max_leaves=12,
)  # fmt: skip


def _spelled(value: object, ascii_only: bool, indent: int | None) -> bytes:
    class Encoder(json.JSONEncoder):
        def default(self, o: object) -> object:
            return float(str(o))

    return json.dumps(value, ensure_ascii=ascii_only, indent=indent, cls=Encoder).encode()


@pytest.mark.extended
@given(
    st.lists(_ITEMS, max_size=4),
    st.booleans(),
    st.sampled_from([None, 1]),
    st.integers(min_value=1, max_value=40),
)
def test_an_item_is_the_same_wherever_a_window_cuts_the_text(
    items: list[object], ascii_only: bool, indent: int | None, window_bytes: int
) -> None:
    body = _spelled(items, ascii_only, indent)
    whole = _spelled({"a": 1, "items": items, "b": {"c": items}}, ascii_only, indent)
    taken: list[object] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(strict_json, "_WINDOW_BYTES", window_bytes)
        read = [item for item, _ in load_items(body)]
        found = load_object(whole, "items", lambda item, _: taken.append(item))
        for end in range(len(body)):
            with pytest.raises(BadRequest):
                list(load_items(body[:end]))

    assert read == taken == loads(body)
    assert found == {**loads(whole), "items": []}  # type: ignore[dict-item]


@pytest.mark.parametrize("before", [0, 1, 100_000, 131_000, 262_000])
@pytest.mark.parametrize("more", [-2, -1, 0, 1, 200_000])
def test_an_item_has_at_most_its_characters_wherever_it_stands(before: int, more: int) -> None:
    item = b'"' + b"a" * (JSON_ITEM_CHARS_MAX - 2 + more) + b'"'
    body = b'["' + b"b" * before + b'",' + item + b",1]"
    if more <= 0:
        assert len(list(load_items(body))) == 3
    else:
        with pytest.raises(BadRequest):
            list(load_items(body))


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"a"',
        b'{"a":',
        b'{"a":1',
        b'{"a":1,',
        b'{"a":1,}',
        b'{"a" 1}',
        b"{1:1}",
        b'{"a":1} {}',
        b'{"a":1,"a":1}',
        b'{"rates":[],"rates":[1]}',
        b'{"rates":[1 2]}',
        b'{"rates":[1}',
        b'{"rates":[NaN]}',
        b'{"\\ud800":1}',
        b'{"rates":["\\udc00"]}',
        b'{"rates":[1.2.3]}',
        b"nul",
        b"",
        b"\xff",
        b'{"rates":["' + b"a" * (JSON_ITEM_CHARS_MAX + 1) + b'"]}',
        b'{"' + b"a" * (JSON_ITEM_CHARS_MAX + 1) + b'":1}',
        b'{"rates":[' + b"[" * 64 + b"]" * 64 + b"]}",
        b'{"rates":[1,' + b" " * 600_000 + b"[" * 500_000,
    ],
)
def test_what_is_no_object_is_refused_member_by_member(body: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        load_object(body, "rates", lambda item, chars: None)
    assert caught.value.code == "json_invalid"


def test_what_is_no_object_is_returned_as_it_is() -> None:
    def refuse(item: object, chars: int) -> None:
        raise AssertionError("there is no list to take items of")

    members: dict[str, object] = {}
    load_object(b'{"a": 1, "rates": []}', "rates", refuse, members)
    assert members == {"a": 1, "rates": []}
    assert load_object(b"[1, 2]", "rates", refuse) == []
    assert load_object(b' "text" ', "rates", refuse) == "text"
    assert load_object(b'{"rates": {"a": 1}}', "rates", refuse) == {"rates": {"a": 1}}


def test_numbers_are_exact() -> None:
    numbers = loads(b"[0.1, 1.50, 1e3, 12, -0.07]")
    assert numbers == [
        Decimal("0.1"),
        Decimal("1.50"),
        Decimal("1e3"),
        12,
        Decimal("-0.07"),
    ]
    assert isinstance(numbers, list)
    assert [type(number) for number in numbers] == [Decimal, Decimal, Decimal, int, Decimal]


def test_brackets_inside_texts_are_no_nesting() -> None:
    text = '[[{"\\' * 1000
    assert loads(json.dumps([text, [text]]).encode()) == [text, [text]]


def test_the_deepest_allowed_nesting_is_read() -> None:
    body = b"[" * JSON_DEPTH_MAX + b"]" * JSON_DEPTH_MAX
    assert json.dumps(loads(body)).encode() == body


def test_escaped_characters_outside_the_basic_plane_are_read() -> None:
    assert loads(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_bare_nan_reads_as_null_on_request_and_never_inside_a_text() -> None:
    body = b'{"a":nan,"b":"nan, \\"nan","c":[-nan,inf,-inf,NaN,-nan(0x1),Infinity],"nan":1.5}'
    assert loads(body, nan_as_null=True) == {
        "a": None,
        "b": 'nan, "nan',
        "c": [None] * 6,
        "nan": Decimal("1.5"),
    }


def test_repeated_keys_are_gathered_in_order_on_request() -> None:
    body = b'{"flow": {"n": 2}, "x": 1, "flow": {"n": 1}}'
    assert loads(body, gather_repeats=True) == {"flow": [{"n": 2}, {"n": 1}], "x": 1}


@fuzz
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_or_refused(body: bytes, lenient: bool) -> None:
    with contextlib.suppress(BadRequest):
        loads(body, nan_as_null=lenient, gather_repeats=lenient)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text('ab\\"[{é\U0001f600nan'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@fuzz
@given(_JSON, st.booleans(), st.booleans())
def test_what_was_dumped_is_read_back(value: object, lenient: bool, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only)
    if "\\u0000" in body:
        return
    assert loads(body.encode(), nan_as_null=lenient, gather_repeats=lenient) == value
