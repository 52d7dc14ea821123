"""Records: frozen dataclasses checked by their type hints, built from what TOML, JSON or ``--set`` says.

One wording for what is wrong, ``WHERE: key 'lr': expected a finite number above 0, found -1``, wherever it comes from.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, Union

from fretal_bench.errors import BenchError, nearest
from fretal_bench.names import Rule, shown

R = TypeVar("R")
OTHER_WORDS: Final = "other_words"
"""The attribute of a record's class, without a type hint, that says which key is meant by another common word."""
_LIMITS: Final = "limits"
_RULE: Final = "rule"
_MISSING: Final = object()
_PLAIN: Final = (str, int, float, bool)
"""Types of which most values are."""
_WORDS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Invalid(BenchError, ValueError):
    """A value that a record does not take.

    Args:
        key: The field, or its path (``domains[2].name``).
        expected: What it takes, in words.
        found: The value.
        fault: What is wrong with it, where that is not plain from what is expected.
    """

    def __init__(self, key: str, expected: str, found: Any, fault: str = "") -> None:
        text = "nothing" if found is _MISSING else _short(found)
        super().__init__(f"key {shown(key, 100)}: expected {expected}, found {text}{fault and f': {fault}'}")
        self.key, self.expected, self.found, self.fault = key, expected, found, fault


@dataclass(frozen=True)
class Limits:
    """What a number may be: bounds that it may reach (``at_least``, ``at_most``) or not (``above``, ``below``)."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def hold(self, value: float) -> bool:
        """Whether ``value`` is within them."""
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        low = self.at_least if self.above is None else self.above
        high = self.at_most if self.below is None else self.below
        if low is not None and high is not None:
            return f" in {'[' if self.above is None else '('}{low:g}, {high:g}{']' if self.below is None else ')'}"
        if low is not None:
            return f" of at least {low:g}" if self.above is None else f" above {low:g}"
        if high is not None:
            return f" of at most {high:g}" if self.below is None else f" below {high:g}"
        return ""


def limited(
    default: Any = dataclasses.MISSING,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Any:
    """Declare a number (or an optional one) of a record with the limits it must keep; 0 as a default may lie outside.

    Args:
        default: The default; none if left out.
        at_least: Smallest value.
        above: All values are larger.
        at_most: Largest value.
        below: All values are smaller.
        metadata: More of the field's metadata.
    """
    limits = Limits(at_least, above, at_most, below)
    return dataclasses.field(default=default, metadata={**(metadata or {}), _LIMITS: limits})


def ruled(rule: Rule, default: Any = dataclasses.MISSING) -> Any:
    """Declare a text of a record (an optional one, or a list of them) with the rule it keeps, e.g. ``names.NAME``."""
    return dataclasses.field(default=default, metadata={_RULE: rule})


class Record:
    """Base of frozen dataclasses whose values are checked whoever makes them; ``@dataclass(frozen=True)`` goes on top.

    Whole numbers given for floats become floats and lists given for tuples become tuples, so that equal records are
    written alike. A subclass with rules between fields overrides ``__post_init__``, calls ``super().__post_init__()``
    first and raises ``Invalid``.
    """

    def __post_init__(self) -> None:
        """Check and convert every field; raises ``Invalid``."""
        kinds = hints(type(self))
        for field in _fields(type(self)):
            value = getattr(self, field.name)
            converted = _convert(field.name, kinds[field.name], value, field, texts=False)
            if converted is not value:
                object.__setattr__(self, field.name, converted)


def read(kind: type[R], values: Mapping[str, Any], where: str, *, texts: bool = False) -> R:
    """Build a record from plain data.

    Args:
        kind: A dataclass; ``Record`` or not.
        values: Values by key, as TOML or JSON gives them. Keys that are left out have their defaults.
        where: Where they come from: a file, or ``--set``.
        texts: Read texts as the field's type (``"10"`` -> 10.0, ``"1,2"`` -> a list), as a command line gives them.

    Raises:
        BenchError: A key is unknown (the nearest are named) or missing, or a value is not what its type hint and its
            limits say; or the record's own ``__post_init__`` refuses it (``ValueError``).
    """
    try:
        return _build(kind, values, "", texts)
    except ValueError as error:
        # `Invalid`, `UnknownKey`, or a rule of the record's own in its own words.
        raise BenchError(f"{where}: {error}") from error


def changed(record: R, values: Mapping[str, Any], where: str, *, texts: bool = True) -> R:
    """Return ``record`` with some of its values replaced; arguments and errors as ``read``."""
    kind = type(record)
    try:
        for key in values:
            _check_known(key, kind, "")
        fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
        converted = {
            key: _convert(key, hints(kind)[key], value, fields[key], texts=texts)
            for key, value in values.items()
        }
        return dataclasses.replace(record, **converted)  # type: ignore[type-var]
    except ValueError as error:
        # `Invalid`, `UnknownKey`, or a rule of the record's own in its own words.
        raise BenchError(f"{where}: {error}") from error


class UnknownKey(BenchError, ValueError):
    """A key that a record does not have."""


def hints(kind: type) -> dict[str, Any]:
    """Return the type of every field of a dataclass; of one whose hints cannot be resolved, its defaults' types."""
    unchecked: Any = kind
    return _hints(unchecked)


def _fields(kind: type) -> tuple[dataclasses.Field[Any], ...]:
    unchecked: Any = kind
    return _fields_of(unchecked)


@functools.cache
def _fields_of(kind: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(kind)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    try:
        resolved = typing.get_type_hints(kind)
    except (NameError, TypeError):
        # A class made inside a function, with names that only the function has.
        resolved = {}
    return {field.name: resolved.get(field.name, type(field.default)) for field in dataclasses.fields(kind)}


def choices(kind: type, key: str) -> tuple[Any, ...]:
    """Return the values that a ``Literal`` field takes; none for any other field."""
    hint = hints(kind)[key]
    return typing.get_args(hint) if typing.get_origin(hint) is Literal else ()


def takes(kind: type, key: str) -> str:
    """Return in words what a field takes: ``a finite number above 0``, ``one of 'auc', 'first'``."""
    (field,) = (field for field in dataclasses.fields(kind) if field.name == key)
    words = _expected(hints(kind)[key], field.metadata.get(_LIMITS))
    return field.metadata[_RULE].expected if _RULE in field.metadata else words


def _build(kind: type[R], values: Any, at: str, texts: bool) -> R:
    if not isinstance(values, Mapping):
        raise Invalid(at.removesuffix(".") or "(all)", "a table", values)
    for key in values:
        _check_known(key, kind, at)
    converted: dict[str, Any] = {}
    kinds = hints(kind)
    for field in _fields(kind):
        if field.name in values:
            hint = kinds[field.name]
            converted[field.name] = _convert(at + field.name, hint, values[field.name], field, texts=texts)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise Invalid(at + field.name, _expected(hints(kind)[field.name], None), _MISSING)
    try:
        return kind(**converted)
    except Invalid as error:
        if not at:
            raise
        raise Invalid(at + error.key, error.expected, error.found, error.fault) from error
    except ValueError as error:
        raise ValueError(f"{at.removesuffix('.') + ': ' if at else ''}{error}") from error


def _check_known(key: Any, kind: type, at: str) -> None:
    names = hints(kind)
    if key not in names:
        meant = getattr(kind, OTHER_WORDS, {}).get(str(key).lower().replace("-", "_"))
        raise UnknownKey(f"unknown key {shown(at + str(key), 100)}{nearest(str(key), names, meant)}")


def _convert(key: str, hint: Any, value: Any, field: dataclasses.Field[Any] | None, *, texts: bool) -> Any:
    """Return ``value`` as ``hint`` says, or raise ``Invalid``."""
    if hint is Any:
        return value
    limits = field.metadata.get(_LIMITS) if field is not None else None
    if hint in _PLAIN:
        return _scalar(key, hint, value, limits, field, texts)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        fitting = [kind for kind in arguments if kind is not type(None)]
        if str in fitting and isinstance(value, str) and not texts:
            # One that breaks its rule is no other kind of value.
            return _convert(key, str, value, field, texts=texts)
        # Of several types the first that fits; of `X | None` the errors are those of X.
        for kind in fitting[:-1]:
            with contextlib.suppress(Invalid):
                return _convert(key, kind, value, field, texts=texts)
        try:
            return _convert(key, fitting[-1], value, field, texts=texts)
        except Invalid as error:
            if not any(typing.get_origin(kind) is Literal for kind in fitting[:-1]):
                raise
            # A word or something else: whoever misspells the word must see it.
            listed = " or ".join(_expected(kind, limits) for kind in fitting)
            raise Invalid(key, listed, value) from error
    if origin is Literal:
        for choice in arguments:
            if value == choice and type(value) is type(choice):
                return value
            if texts and isinstance(value, str) and not isinstance(choice, str) and value == str(choice):
                return choice
        raise Invalid(key, _expected(hint, None) + _near(value, arguments), value)
    if origin is tuple:
        if texts and isinstance(value, str):
            value = value.split(",")
        if not isinstance(value, list | tuple):
            raise Invalid(key, _expected(hint, None), value)
        kinds = arguments[:1] * len(value) if len(arguments) == 2 and arguments[1] is Ellipsis else arguments
        if len(kinds) != len(value):
            raise Invalid(key, _expected(hint, None), value)
        # A rule holds for every text of a list; limits are of single numbers.
        rule = field is not None and _RULE in field.metadata
        items = tuple(
            _convert(f"{key}[{place}]", kind, item, field if rule else None, texts=texts)
            for place, (kind, item) in enumerate(zip(kinds, value, strict=True))
        )
        return (
            value
            if isinstance(value, tuple) and all(a is b for a, b in zip(items, value, strict=True))
            else items
        )
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise Invalid(key, "a table", value)
        of = arguments[1] if len(arguments) == 2 else Any
        entries = {
            name: _convert(f"{key}.{name}", of, item, None, texts=texts) for name, item in value.items()
        }
        return value if all(entries[name] is item for name, item in value.items()) else entries
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else _build(hint, value, f"{key}.", texts)
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    return _scalar(key, hint, value, limits, field, texts)


def _scalar(
    key: str, hint: Any, value: Any, limits: Limits | None, field: dataclasses.Field[Any] | None, texts: bool
) -> Any:
    if hint is bool:
        if isinstance(value, bool):
            return value
        if texts and isinstance(value, str) and value.lower() in _WORDS:
            return _WORDS[value.lower()]
    elif hint in (int, float):
        number = _number(hint, value, texts)
        if number is not None and (
            limits is None or limits.hold(number) or (field is not None and number == field.default)
        ):
            # An unchanged object says that nothing was converted.
            return value if type(value) is hint else number
    elif not isinstance(hint, type) or isinstance(value, hint):
        # What is no plain type (a TypeVar, a Callable) is not checked.
        rule: Rule | None = field.metadata.get(_RULE) if field is not None else None
        if rule is not None and isinstance(value, str) and (fault := rule.fault(value)):
            raise Invalid(key, rule.expected, value, fault)
        return value
    raise Invalid(key, _expected(hint, limits), value)


def _number(kind: type, value: Any, texts: bool) -> Any:
    """Return a finite ``kind`` that is exactly ``value``; None if there is none. True and False are no numbers."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | str)
        or (isinstance(value, str) and not texts)
    ):
        return None
    try:
        if kind is int and isinstance(value, str):
            return (
                int(value)
                if "e" not in value.lower() and "." not in value
                else _number(int, float(value), False)
            )
        number = float(value)
        if not math.isfinite(number) or (kind is int and number != int(number)):
            return None
        return int(value) if kind is int else number
    except (ValueError, OverflowError):
        return None


def _expected(hint: Any, limits: Limits | None) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _expected(next(kind for kind in arguments if kind is not type(None)), limits)
    if origin is Literal:
        return f"one of {', '.join(map(repr, arguments))}"
    if origin is tuple:
        if typing.get_origin(arguments[0]) is Literal:
            return f"a list of {', '.join(map(repr, typing.get_args(arguments[0])))}"
        of = {str: "texts", int: "whole numbers", float: "numbers"}.get(arguments[0], "tables")
        return f"a list of {of}"
    if (origin is not None and issubclass(origin, Mapping)) or dataclasses.is_dataclass(hint):
        return "a table"
    names = {
        str: "text",
        int: "a whole number",
        float: "a finite number",
        bool: "true or false",
        Path: "a path",
    }
    return f"{names.get(hint, getattr(hint, '__name__', str(hint)))}{limits or ''}"


def _near(value: Any, known: tuple[Any, ...]) -> str:
    """Return a hint at the choice that was probably meant, or nothing."""
    near = difflib.get_close_matches(str(value), [str(choice) for choice in known], n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _short(value: Any) -> str:
    text = shown(value, 80) if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
