"""Damages: what can be wrong with a file, each a function that damages one in place and says what it did."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import tomli_w

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Random = np.random.Generator
Apply = Callable[[Path, Random], str]


class Inapplicable(Exception):
    """A damage does not fit this file (no list to shorten, say); another is taken."""


@dataclass(frozen=True)
class Damage:
    """One kind of damage.

    Attributes:
        name: What is done to the file, in a word or two.
        apply: Damages the file in place; returns in words where and how.
    """

    name: str
    apply: Apply


def damages(*functions: Apply) -> tuple[Damage, ...]:
    """Name damages by their functions."""
    return tuple(Damage(function.__name__.strip("_").replace("_", " "), function) for function in functions)


# Bytes of any file.


def truncated(path: Path, random: Random) -> str:
    data = path.read_bytes()
    length = int(random.integers(0, max(1, len(data))))
    path.write_bytes(data[:length])
    return f"first {length} of {len(data)} bytes"


def bits_flipped(path: Path, random: Random) -> str:
    data = bytearray(path.read_bytes())
    if not data:
        raise Inapplicable
    # Half of the time where headers are.
    reach = len(data) if random.random() < 0.5 else min(len(data), 256)
    places = [(int(random.integers(reach)), int(random.integers(8))) for _ in range(random.integers(1, 9))]
    for place, bit in places:
        data[place] ^= 1 << bit
    path.write_bytes(data)
    return ", ".join(f"bit {bit} of byte {place}" for place, bit in places)


def emptied(path: Path, random: Random) -> str:
    path.write_bytes(b"")
    return "no byte left"


def bytes_inserted(path: Path, random: Random) -> str:
    data = path.read_bytes()
    place = int(random.integers(len(data) + 1))
    more = (b"\x00", b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\r", b"\x1b[2J", b"\x00" * 4096)
    chosen = more[int(random.integers(len(more)))]
    path.write_bytes(data[:place] + chosen + data[place:])
    return f"{chosen[:6]!r} ({len(chosen)} bytes) at byte {place}"


def begun_with_a_mark(path: Path, random: Random) -> str:
    marks = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf\xef\xbb\xbf")
    chosen = marks[int(random.integers(len(marks)))]
    path.write_bytes(chosen + path.read_bytes())
    return f"begins with {chosen!r}"


def noise(path: Path, random: Random) -> str:
    path.write_bytes(random.bytes(int(random.integers(1, 4096))))
    return "random bytes"


def twice(path: Path, random: Random) -> str:
    path.write_bytes(path.read_bytes() * 2)
    return "its content twice"


def recoded(path: Path, random: Random) -> str:
    """Text as other programs save it."""
    coding = ("utf-16", "utf-32", "cp037")[int(random.integers(3))]
    try:
        path.write_bytes(path.read_bytes().decode("utf-8").encode(coding))
    except UnicodeError as error:
        raise Inapplicable from error
    return f"as {coding}"


BYTES: Final = damages(truncated, bits_flipped, emptied, bytes_inserted, begun_with_a_mark, noise, twice)
TEXT: Final = (*BYTES, *damages(recoded))


# What stands in the file's place.


def a_fifo(path: Path, random: Random) -> str:
    path.unlink()
    os.mkfifo(path)
    return "a FIFO in its place"


def a_device(path: Path, random: Random) -> str:
    path.unlink()
    path.symlink_to("/dev/zero")
    return "a link to /dev/zero in its place"


def a_folder(path: Path, random: Random) -> str:
    path.unlink()
    path.mkdir()
    if random.random() < 0.5:
        (path / "x").write_text("x")
    return "a folder in its place"


def a_circle(path: Path, random: Random) -> str:
    path.unlink()
    path.symlink_to(path.name)
    return "a link to itself in its place"


def a_dangling_link(path: Path, random: Random) -> str:
    path.unlink()
    path.symlink_to("nowhere/at/all")
    return "a link to nothing in its place"


def gone(path: Path, random: Random) -> str:
    path.unlink()
    return "deleted"


PLACES: Final = damages(a_fifo, a_device, a_folder, a_circle, a_dangling_link, gone)


# Plain data: JSON and TOML.

_RAW: Final = "@@raw "
_TWIN: Final = "@@twin"
NOT_NAMES: Final = (
    "",
    " ",
    ".",
    "..",
    "../../../../fuzz-escaped",
    "/fuzz-escaped",
    "a/b",
    "a\\b",
    "a" * 300,
    "a" * 70_000,
    "nul\x00inside",
    "\x1b[31mred",
    "abc\u202etxt.exe",
    "a\nb",
)
"""Texts that cannot be names: they are paths, or a terminal shows something else."""
HOSTILE: Final = (
    *NOT_NAMES,
    "=HYPERLINK(1)",
    "<script>alert(1)</script>",
    "[red]x[/red]",
    "{x}",
    "%s",
    "~root",
    "-rf",
    "\ufeffname",
)
"""Texts that may be names, and must not become markup, formulas, options or folders of others."""
_NUMBERS: Final = (
    -1,
    0,
    2**31,
    2**63,
    2**70,
    -(2**70),
    1e308,
    -1e308,
    0.5,
    1e-320,
    f"{_RAW}1e400",
    f"{_RAW}-1e400",
    f"{_RAW}1" + "0" * 5000,
)
_JSON_ONLY: Final = (f"{_RAW}NaN", f"{_RAW}Infinity", f"{_RAW}-Infinity", None, "\ud800")
_TOML_ONLY: Final = (f"{_RAW}nan", f"{_RAW}inf", f"{_RAW}-inf", f"{_RAW}2020-01-01", f"{_RAW}07:32:00")
_SHAPES: Final[tuple[Any, ...]] = ([], {}, [[]], {"": {}}, True, False, "text", [1, "a"], {"a": 1})


@dataclass(frozen=True)
class Notation:
    """How plain data are written: JSON or TOML."""

    name: str
    load: Callable[[str], Any]
    dump: Callable[[Any], str]
    own: tuple[Any, ...]
    quote: str = '"'


def _to_json(value: Any) -> str:
    return json.dumps(value, indent=1)


JSON: Final = Notation("JSON", json.loads, _to_json, _JSON_ONLY)
TOML: Final = Notation("TOML", tomllib.loads, tomli_w.dumps, _TOML_ONLY)


def _written(notation: Notation, path: Path, value: Any) -> None:
    """Write data in which some texts stand for what no data can say: other numbers, a key twice."""
    try:
        text = notation.dump(value)
    except (TypeError, ValueError) as error:
        raise Inapplicable from error
    while (at := text.find(f'"{_RAW}')) >= 0:
        end = text.index('"', at + 1)
        text = text[:at] + text[at + 1 + len(_RAW) : end] + text[end + 1 :]
    path.write_bytes(text.replace(_TWIN, "").encode("utf-8", "surrogatepass"))


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in plain data, outer ones first."""
    if at:
        yield at
    items: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, below in items:
        yield from _places(below, (*at, key))


def _pick(value: Any, random: Random) -> tuple[Any, ...]:
    places = list(_places(value))
    if not places:
        raise Inapplicable
    # Outer keys as often as all inner ones together: there are few of them.
    if random.random() < 0.4:
        places = [place for place in places if len(place) <= 2]
    return places[int(random.integers(len(places)))]


def _parent(value: Any, place: tuple[Any, ...]) -> Any:
    for key in place[:-1]:
        value = value[key]
    return value


def _shown(place: tuple[Any, ...]) -> str:
    return ".".join(map(str, place))[:80]


def _loaded(notation: Notation, path: Path) -> Any:
    return notation.load(path.read_text("utf-8"))


def _replaced(
    notation: Notation, choices: tuple[Any, ...], texts_only: bool, path: Path, random: Random
) -> str:
    value = _loaded(notation, path)
    for _ in range(20):
        place = _pick(value, random)
        parent = _parent(value, place)
        if not texts_only or isinstance(parent[place[-1]], str):
            break
    else:
        raise Inapplicable
    new = choices[int(random.integers(len(choices)))]
    if type(new) is type(parent[place[-1]]) and new == parent[place[-1]]:
        raise Inapplicable
    parent[place[-1]] = new
    _written(notation, path, value)
    return f"{_shown(place)} = {str(new)[:60]!r}"


def _key_dropped(notation: Notation, path: Path, random: Random) -> str:
    value = _loaded(notation, path)
    place = _pick(value, random)
    del _parent(value, place)[place[-1]]
    _written(notation, path, value)
    return f"without {_shown(place)}"


def _key_added(notation: Notation, path: Path, random: Random) -> str:
    value = _loaded(notation, path)
    tables = [(), *(place for place in _places(value) if isinstance(_parent(value, (*place, "")), dict))]
    place = tables[int(random.integers(len(tables)))]
    table = _parent(value, (*place, ""))
    if not isinstance(table, dict):
        raise Inapplicable
    key = ("fuzz", "Name", "__class__", *HOSTILE[:10])[int(random.integers(13))]
    if key in table:
        raise Inapplicable
    table[key] = 1
    _written(notation, path, value)
    return f"with {_shown((*place, key))}"


def _key_doubled(notation: Notation, path: Path, random: Random) -> str:
    value = _loaded(notation, path)
    keys = [place for place in _places(value) if isinstance(_parent(value, place), dict)]
    if not keys:
        raise Inapplicable
    place = keys[int(random.integers(len(keys)))]
    table = _parent(value, place)
    old = table[place[-1]]
    table[f"{place[-1]}{_TWIN}"] = old if random.random() < 0.3 else _other(old)
    _written(notation, path, value)
    return f"{_shown(place)} twice"


def _key_renamed(notation: Notation, path: Path, random: Random) -> str:
    value = _loaded(notation, path)
    keys = [place for place in _places(value) if isinstance(place[-1], str)]
    if not keys:
        raise Inapplicable
    place = keys[int(random.integers(len(keys)))]
    table = _parent(value, place)
    new = (place[-1].upper(), place[-1] + " ", place[-1][:-1], *HOSTILE)[
        int(random.integers(3 + len(HOSTILE)))
    ]
    if new in table:
        raise Inapplicable
    table[new] = table.pop(place[-1])
    _written(notation, path, value)
    return f"{_shown(place)} called {new[:40]!r}"


def _items_doubled(notation: Notation, path: Path, random: Random) -> str:
    value = _loaded(notation, path)
    lists = [place for place in _places(value) if isinstance(_parent(value, (*place, "")), list)]
    if not lists:
        raise Inapplicable
    place = lists[int(random.integers(len(lists)))]
    entries = _parent(value, (*place, ""))
    how = random.integers(3) if len(entries) > 1 else 0
    if not entries:
        raise Inapplicable
    if how == 0:
        entries.append(entries[int(random.integers(len(entries)))])
    elif how == 1:
        del entries[int(random.integers(len(entries)))]
    else:
        entries.reverse()
    _written(notation, path, value)
    return f"{_shown(place)}: {('an entry twice', 'an entry less', 'reversed')[how]}"


def _values_swapped(notation: Notation, path: Path, random: Random) -> str:
    """Two values of one type change places."""
    value = _loaded(notation, path)
    places = list(_places(value))
    first = places[int(random.integers(len(places)))]
    one = _parent(value, first)[first[-1]]
    others = [
        place
        for place in places
        if place != first
        and place[: len(first)] != first
        and first[: len(place)] != place
        and type(_parent(value, place)[place[-1]]) is type(one)
        and _parent(value, place)[place[-1]] != one
    ]
    if not others:
        raise Inapplicable
    second = others[int(random.integers(len(others)))]
    a, b = _parent(value, first), _parent(value, second)
    a[first[-1]], b[second[-1]] = b[second[-1]], a[first[-1]]
    _written(notation, path, value)
    return f"{_shown(first)} and {_shown(second)} change places"


def _top_replaced(notation: Notation, path: Path, random: Random) -> str:
    texts = {
        "JSON": ("[]", "{}", "null", "0", '""', "[{}]", "true", "NaN", '{"": {}}', "[null]"),
        "TOML": ("", "x = 1", "[a]\n[a]", "= 1", "[[a]]", "x = [1, {a = 1}]", "# nothing"),
    }[notation.name]
    chosen = texts[int(random.integers(len(texts)))]
    path.write_text(chosen, "utf-8")
    return f"all of it {chosen!r}"


def _nested(notation: Notation, path: Path, random: Random) -> str:
    depth = (200, 3_000, 100_000)[int(random.integers(3))]
    value = _loaded(notation, path)
    place = _pick(value, random)
    deep = "[" * depth + "]" * depth
    if notation.name == "JSON" and random.random() < 0.5:
        deep = '{"a":' * depth + "1" + "}" * depth
    _parent(value, place)[place[-1]] = f"{_RAW}@@here"
    try:
        _written(notation, path, value)
    except ValueError as error:
        raise Inapplicable from error
    path.write_text(path.read_text("utf-8").replace("@@here", deep, 1), "utf-8")
    return f"{_shown(place)} nested {depth} deep"


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    return {}


def trees(notation: Notation) -> tuple[Damage, ...]:
    """Damages of plain data, for one notation."""
    numbers = (*_NUMBERS, *notation.own)
    kinds: Mapping[str, Apply] = {
        "a number in its place": partial(_replaced, notation, numbers, False),
        "another shape in its place": partial(_replaced, notation, _SHAPES, False),
        "a hostile text": partial(_replaced, notation, HOSTILE, True),
        "a key dropped": partial(_key_dropped, notation),
        "a key added": partial(_key_added, notation),
        "a key twice": partial(_key_doubled, notation),
        "a key renamed": partial(_key_renamed, notation),
        "a list changed": partial(_items_doubled, notation),
        "values swapped": partial(_values_swapped, notation),
        "all replaced": partial(_top_replaced, notation),
        "nested": partial(_nested, notation),
    }
    return tuple(Damage(name, apply) for name, apply in kinds.items())
