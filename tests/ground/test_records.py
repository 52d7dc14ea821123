"""Records: checked by their hints whoever makes them, one wording for what is wrong, and back to TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from fretal_bench import names, parsing, records
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
    assert records.read(Whole, parsing.parse_toml(parsing.to_toml(parsing.plain(made)), "f"), "f") == made


def test_the_limits_read_as_a_person_would_say_them():
    words = {
        str(records.Limits(above=0, at_most=1)),
        str(records.Limits(at_least=2)),
        str(records.Limits(below=3)),
    }
    assert words == {" in (0, 1]", " of at least 2", " below 3"}


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
