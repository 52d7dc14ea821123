"""Records: checked by their hints whoever makes them, one wording for what is wrong, and back to TOML."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fretal_bench import names, records
from fretal_bench.errors import BenchError
from fretal_bench.records import Invalid, Record, limited, ruled


@dataclass(frozen=True)
class Part(Record):
    name: str
    rows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Whole(Record):
    lr: float = limited(0.1, above=0)
    epochs: int = limited(1, at_least=1)
    share: float = limited(0.5, at_least=0, at_most=1)
    kind: Literal["adam", "sgd"] = "adam"
    on: bool = False
    size: int | None = limited(None, at_least=8)
    parts: tuple[Part, ...] = ()
    table: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    by_name: Mapping[str, Part] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair(Record):
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low > self.high:
            raise ValueError(f"low must not be above high, found {self.low} and {self.high}")


@dataclass(frozen=True)
class Needs(Record):
    name: str


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"lr": 0}, "f.toml: key 'lr': expected a finite number above 0, found 0"),
        ({"lr": float("nan")}, "key 'lr': expected a finite number above 0, found nan"),
        ({"lr": "1"}, "key 'lr': expected a finite number above 0, found '1'"),
        ({"lr": True}, "key 'lr': expected a finite number above 0, found True"),
        ({"epochs": 1.5}, "key 'epochs': expected a whole number of at least 1, found 1.5"),
        ({"share": 2}, "key 'share': expected a finite number in [0, 1], found 2"),
        ({"kind": "sgdd"}, "key 'kind': expected one of 'adam', 'sgd' (did you mean 'sgd'?), found 'sgdd'"),
        ({"on": 1}, "key 'on': expected true or false, found 1"),
        ({"size": 4}, "key 'size': expected a whole number of at least 8, found 4"),
        ({"parts": 3}, "key 'parts': expected a list of tables, found 3"),
        ({"parts": [{"nam": "a"}]}, "unknown key 'parts[0].nam'; did you mean 'name'?"),
        ({"parts": [{}]}, "key 'parts[0].name': expected text, found nothing"),
        ({"parts": [{"name": "a", "rows": ["x", 1]}]}, "key 'parts[0].rows[1]': expected text, found 1"),
        ({"table": {"a": 1}}, "key 'table.a': expected a table, found 1"),
        ({"by_name": {"a": {"nam": "a"}}}, "unknown key 'by_name.a.nam'; did you mean 'name'?"),
        ({"lrr": 1}, "f.toml: unknown key 'lrr'; did you mean 'lr'? Known: by_name, epochs, "),
    ],
)
def test_what_is_wrong_is_said_with_place_key_expected_and_found(values, words):
    with pytest.raises(BenchError) as error:
        records.read(Whole, values, "f.toml")
    assert words in str(error.value)
    assert str(error.value).startswith("f.toml: ")


def test_a_record_made_in_python_is_checked_too_and_equal_ones_are_alike():
    with pytest.raises(Invalid, match=r"key 'lr': expected a finite number above 0, found -1"):
        Whole(lr=-1)
    made = Whole(lr=1, parts=[Part("a", ["x"])])
    assert type(made.lr) is float
    assert made.parts == (Part("a", ("x",)),)
    assert repr(made) == repr(records.read(Whole, {"lr": 1, "parts": [{"name": "a", "rows": ["x"]}]}, "f"))


def test_records_by_name_are_built_and_what_needs_no_change_is_kept():
    whole = records.read(Whole, {"by_name": {"x": {"name": "a", "rows": ["r"]}}}, "f")
    assert whole.by_name == {"x": Part("a", ("r",))}
    parts = {"x": Part("a")}
    assert Whole(by_name=parts).by_name is parts


def test_texts_are_read_only_where_a_command_line_gives_them():
    assert records.changed(
        Whole(), {"lr": "1e-3", "epochs": "3", "on": "yes", "kind": "sgd"}, "--set"
    ) == Whole(lr=0.001, epochs=3, on=True, kind="sgd")
    assert records.changed(Whole(), {"epochs": "1e1"}, "--set").epochs == 10
    for values in ({"epochs": "1.5"}, {"lr": "inf"}, {"on": "maybe"}):
        with pytest.raises(BenchError, match=f"--set: key '{next(iter(values))}': expected"):
            records.changed(Whole(), values, "--set")


def test_a_rule_between_fields_and_a_missing_key_name_the_place():
    with pytest.raises(BenchError, match=r"f: low must not be above high, found 2.0 and 1.0"):
        records.read(Pair, {"low": 2}, "f")
    with pytest.raises(BenchError, match=r"--set: low must not"):
        records.changed(Pair(), {"low": "2"}, "--set")
    with pytest.raises(BenchError, match=r"f: key 'name': expected text, found nothing"):
        records.read(Needs, {}, "f")


def test_a_record_is_written_as_toml_that_reads_back_the_same():
    made = Whole(lr=0.25, size=9, parts=(Part('a "b"\\\x7f\n', ("x",)),), table={"k k": {"v": [1, 2]}})
    assert records.read(Whole, records.parse_toml(records.to_toml(records.plain(made)), "f"), "f") == made


@given(
    st.dictionaries(st.text(max_size=5), st.one_of(st.text(), st.booleans(), st.integers(-(2**62), 2**62)))
)
def test_any_texts_and_numbers_survive_toml(values):
    assert records.parse_toml(records.to_toml(values), "f") == values


def test_the_limits_read_as_a_person_would_say_them():
    words = {
        str(records.Limits(above=0, at_most=1)),
        str(records.Limits(at_least=2)),
        str(records.Limits(below=3)),
    }
    assert words == {" in (0, 1]", " of at least 2", " below 3"}


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
            records.parse_toml(text, "f.toml")
        assert "\n" not in str(error.value)


@dataclass(frozen=True)
class Named(Record):
    name: str = ruled(names.NAME)
    id: str | None = ruled(names.ID, None)
    aliases: tuple[str, ...] = ruled(names.NAME, ())


def test_texts_keep_the_rule_of_their_field():
    read = records.read(Named, {"name": "FF++", "id": "0a" * 8, "aliases": ["a", "b"]}, "f.json")
    assert read == Named("FF++", "0a" * 8, ("a", "b"))
    for values, words in (
        ({"name": "../x"}, "f.json: key 'name': expected a name of 1 to 100 characters"),
        ({"name": "a", "id": "zz"}, "key 'id': expected a hexadecimal id, found 'zz': it holds other"),
        ({"name": "a", "aliases": ["a", ""]}, r"key 'aliases\[1\]': expected a name .* it is empty"),
    ):
        with pytest.raises(BenchError, match=words):
            records.read(Named, values, "f.json")


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
        records.parse_json(text, "f.json")
    assert len(str(error.value).splitlines()) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_json_reads_back_as_it_was_written(value):
    assert records.parse_json(records.to_json(value), "f.json") == value


def test_csv_gives_its_lines_by_number_and_column():
    text = 'a,b\n1,"x, y"\n\n 2 ,\n"3\n4",z\n'
    assert list(records.parse_csv(text, "f.csv", ("a",), ("b", "c"))) == [
        (2, {"a": "1", "b": "x, y"}),
        (4, {"a": "2", "b": ""}),
        (6, {"a": "3\n4", "b": "z"}),
    ]
    assert [fields for _, fields in records.parse_csv("a,zzz\n1,2\n", "f.csv", ("a",), None)] == [
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
        list(records.parse_csv(text, "f.csv", ("a",), ("b",)))


def lines_of(path, content, **options):
    path.write_bytes(content)
    return list(records.csv_lines(path, "list", ("a",), ("b",), **options))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_csv_file_gives_its_header_and_its_lines_whatever_ends_them(tmp_path, end):
    content = end.join((b"\xef\xbb\xbfa, b", b"1,2", b"", b'"x, y", ', b"3,4,,"))

    lines = lines_of(tmp_path / "f.csv", content)

    assert lines == [(1, ["a", "b"]), (2, ["1", "2"]), (4, ["x, y", " "]), (5, ["3", "4"])]
    assert records.csv_header(tmp_path / "f.csv", "list") == ["a", "b"]


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


def test_a_csv_file_that_is_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "f.csv")

    with pytest.raises(BenchError, match="expected a file, found a pipe"):
        records.csv_header(tmp_path / "f.csv", "list")
