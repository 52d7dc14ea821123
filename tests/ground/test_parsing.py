"""TOML, JSON and CSV that mean one thing, refused where they mean none or two, and read back as they were written."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fretal_bench import parsing
from fretal_bench.errors import BenchError


@given(
    st.dictionaries(st.text(max_size=5), st.one_of(st.text(), st.booleans(), st.integers(-(2**62), 2**62)))
)
def test_any_texts_and_numbers_survive_toml(values):
    assert parsing.parse_toml(parsing.to_toml(values), "f") == values


def test_not_toml_and_nested_too_deeply_are_one_line():
    deep = "expected at most 40 tables or lists within each other"
    dotted = ".".join(["a"] * 5000) + " = 1"
    huge = "a = " + "1" * 5000
    for text, words in (
        ("a = ", "not valid TOML: .+"),
        ("a = " + "[" * 100_000, deep),
        (dotted, deep),
        (huge, "not valid"),
    ):
        with pytest.raises(BenchError, match=rf"f.toml: {words}") as error:
            parsing.parse_toml(text, "f.toml")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not valid JSON"),
        ('{"a": 1', "not valid JSON: .*line 1"),
        ('{"a": 1, "a": 1}', "the key 'a' is there twice"),
        ('[{"b": {"c": 1, "c": 2}}]', "the key 'c' is there twice"),
        ("[NaN]", "expected finite numbers, found NaN"),
        ("[-Infinity]", "expected finite numbers, found -Infinity"),
        ("[1e400]", "expected finite numbers, found 1e400"),
        ("[" * 41 + "]" * 41, "at most 40"),
        ("[" * 100_000, "at most 40"),
        ('{"a":' * 100_000, "at most 40"),
        ("1" * 5000, "not valid JSON"),
    ],
)
def test_json_that_means_two_things_or_nothing_is_refused_in_one_line(text, words):
    with pytest.raises(BenchError, match=rf"f\.json: .*{words}") as error:
        parsing.parse_json(text, "f.json")
    assert len(str(error.value).splitlines()) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_json_reads_back_as_it_was_written(value):
    assert parsing.parse_json(parsing.to_json(value), "f.json") == value


def test_csv_gives_its_lines_by_number_and_column():
    text = 'a,b\n1,"x, y"\n\n 2 ,\n"3\n4",z\n'
    assert list(parsing.parse_csv(text, "f.csv", ("a",), ("b", "c"))) == [
        (2, {"a": "1", "b": "x, y"}),
        (4, {"a": "2", "b": ""}),
        (6, {"a": "3\n4", "b": "z"}),
    ]
    assert [fields for _, fields in parsing.parse_csv("a,zzz\n1,2\n", "f.csv", ("a",), None)] == [
        {"a": "1", "zzz": "2"}
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "found no a"),
        ("b\n", "found no a"),
        ("a,b,a\n1,2,3\n", "line 1: the column 'a' is there twice"),
        ("a,bb\n", "line 1: unknown column 'bb'"),
        ("a,b\n1,2,3\n", "line 2: expected 2 fields, found 3"),
        ("a,b\n1,2\n3\n", "line 3: expected 2 fields, found 1"),
        ("a,b\n1," + "x" * 200_000, "line 2: not valid CSV"),
        ('a,b\n1,"x', "line 2: not valid CSV"),
    ],
)
def test_csv_that_means_two_things_is_refused_with_its_line(text, words):
    with pytest.raises(BenchError, match=rf"f\.csv.*{words}"):
        list(parsing.parse_csv(text, "f.csv", ("a",), ("b",)))


def lines_of(path, content, **options):
    path.write_bytes(content)
    return list(parsing.csv_lines(path, "list", ("a",), ("b",), **options))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_csv_file_gives_its_header_and_its_lines_whatever_ends_them(tmp_path, end):
    content = end.join((b"\xef\xbb\xbfa, b", b"1,2", b"", b'"x, y", ', b"3,4,,"))

    lines = lines_of(tmp_path / "f.csv", content)

    assert lines == [(1, ["a", "b"]), (2, ["1", "2"]), (4, ["x, y", " "]), (5, ["3", "4"])]
    assert parsing.csv_header(tmp_path / "f.csv", "list") == ["a", "b"]


def test_a_csv_file_that_is_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "f.csv")

    with pytest.raises(BenchError, match="expected a file, found a pipe"):
        parsing.csv_header(tmp_path / "f.csv", "list")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,b\n1,2\n\xff,2\n", "line 3: not UTF-8"),
        (b"\xff\xfea", "line 1: not UTF-8"),
        (b'a,b\n"1,2\n', "line 2: not valid CSV"),
        (b'a,b\n"1"x,2\n', "line 2: not valid CSV"),
        (b"a,b\n" + b"1" * (4 * 2**20), "line 1: not valid CSV"),
        (b"a,b\n1,2,3\n", "line 2: expected 2 fields, found 3"),
        (b"b,b\n", "line 1: the column 'b' is there twice"),
    ],
)
def test_a_csv_file_that_means_two_things_is_refused_with_its_line(tmp_path, content, words):
    with pytest.raises(BenchError, match=rf"f\.csv, {words}"):
        lines_of(tmp_path / "f.csv", content)


def test_a_line_with_more_or_fewer_fields_is_passed_over_where_somebody_takes_it(tmp_path):
    told = []

    lines = lines_of(tmp_path / "f.csv", b"a,b\n1,2,3\n4\n5,6\n", uneven=lambda *line: told.append(line))

    assert lines == [(1, ["a", "b"]), (4, ["5", "6"])]
    assert told == [(2, "expected 2 fields, found 3"), (3, "expected 2 fields, found 1")]
