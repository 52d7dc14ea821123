"""The domains that imported scores are of, in the order in which they are learned, and the steps that the file names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fretal_bench.benchmark.importing.rows import ScoreRows
from fretal_bench.errors import BenchError, near_names, nearest, unknown_name
from fretal_bench.names import NAME, check_name, shown

UNTRAINED: Final = ("-1", "untrained", "before")
"""What a step before any training may be written as."""


@dataclass(frozen=True, eq=False)
class Order:
    """What is learned, one after the other.

    Attributes:
        domains: In the order in which they are learned.
        steps: The step that each text of the file's means, int16 in the order of ``ScoreRows.steps``.
        after: Each step in the file's own words: ``after 'FaceSwap'``, ``after step 1 (FaceSwap)``, ``before training``.
    """

    domains: tuple[str, ...]
    steps: NDArray[np.int16]
    after: Mapping[int, str]


def find_order(rows: ScoreRows, domains: Sequence[str], where: str, *, of_stream: bool = False) -> Order:
    """Find domains and steps.

    Args:
        rows: The rows of the file.
        domains: The domains in the order in which they are learned; none = of the steps where these are names, else as
            they first appear in the file.
        where: The file, for the errors.
        of_stream: Whether ``domains`` are those of a stream that the call names.

    Raises:
        BenchError: A domain or step is unknown or missing.
    """
    names = _domains(rows, domains, where, of_stream)
    known, by_name = _known(rows, names, where)
    last = len(names) - 1
    if sorted(known) == list(range(1, last + 2)):
        raise BenchError(
            f"{where}: steps 1 to {last + 1}: expected 0 to {last}, 0 being after the first domain; subtract 1, or write "
            "the domain's name"
        )
    for place, step in enumerate(known):
        if not -1 <= step <= last:
            found = _found(rows, rows.step == place)
            raise BenchError(
                f"{where}: step {step}, {found}: expected -1 (before training) or 0 to {last}, "
                f"as there are {last + 1} domains: {', '.join(names)}"
            )
    lacking = [step for step in range(len(names)) if step not in known]
    if lacking:
        odd = None if domains else _odd(rows, names, lacking[0], by_name=by_name)
        raise BenchError(f"{where}: {_unlearned(rows, names, lacking, odd, by_name=by_name)}")
    for place in range(len(known)):
        if known[place] in known[:place]:
            first = known.index(known[place])
            two = (f"{shown(rows.steps[at])}, {_found(rows, rows.step == at)}" for at in (first, place))
            raise BenchError(
                f"{where}: step {', and '.join(two)}: one step is written in two ways; write it in one"
            )
    after = {step: _after(step, text, names) for step, text in zip(known, rows.steps, strict=True)}
    return Order(names, np.array(known, dtype=np.int16), after)


def _domains(rows: ScoreRows, domains: Sequence[str], where: str, of_stream: bool) -> tuple[str, ...]:
    """Return the domains in their order."""
    there = tuple(dict.fromkeys(group.domain for group in rows.groups))
    if set(there) <= {*rows.steps}:
        # Steps that are named by the domain that was learned say in which order.
        there = tuple(text for text in rows.steps if text in there)
    for name in there:
        check_name(name, f"{where}: domain", NAME)
        if domains and name not in domains:
            remedy = (
                f"; column {rows.columns['domain']!r} must hold the stream's names: rename them in the file, or leave "
                "--stream out"
            )
            found = _found(rows, _of_domain(rows, name))
            raise BenchError(
                f"{where}: unknown domain {shown(name)}, {found}{nearest(name, domains)}{remedy if of_stream else ''}"
            )
    for name in domains:
        if name not in there:
            raise BenchError(
                f"{where}: expected scores of domain {name!r}, found none in any row; score every domain of the stream, "
                "or name those that there are: --domains A,B,C"
            )
    return tuple(domains) or there


def _known(rows: ScoreRows, domains: Sequence[str], where: str) -> tuple[list[int], bool]:
    """Return the step that each text means, a number from 0 or the domain that was learned last; whether any is named."""
    numbers = [-1 if text.lower() in UNTRAINED else _whole(text) for text in rows.steps]
    named = [domains.index(text) if text in domains else None for text in rows.steps]
    by_name = any(number is not None for number in named)
    steps = [number if number is not None else other for number, other in zip(named, numbers, strict=True)]
    known = []
    for place, (text, step) in enumerate(zip(rows.steps, steps, strict=True)):
        if step is None:
            raise BenchError(
                f"{where}: step {shown(text)}, {_found(rows, rows.step == place)}: expected the domain that was learned "
                f"last, or its number from 0; {unknown_name('domain', text, domains)}"
            )
        known.append(step)
    return known, by_name


def _whole(text: str) -> int | None:
    try:
        return int(float(text)) if float(text) == int(float(text)) else None
    except (ValueError, OverflowError):
        return None


def _after(step: int, text: str, domains: Sequence[str]) -> str:
    """Say when a step is, in the file's own word for it."""
    if step < 0:
        return "before training"
    return f"after {shown(text)}" if text == domains[step] else f"after step {text} ({domains[step]})"


def _odd(rows: ScoreRows, domains: Sequence[str], lacking: int, *, by_name: bool) -> str | None:
    """Return the domain that has no step of its own; None if it may be any of them."""
    if by_name:
        return domains[lacking]
    if len(domains) == 1:
        return None
    # Numbers do not say whose step is missing: a name that is misspelt is rare.
    rarest, second = sorted(domains, key=lambda name: int(_of_domain(rows, name).sum()))[:2]
    rare = 2 * int(_of_domain(rows, rarest).sum()) < int(_of_domain(rows, second).sum())
    return rarest if rare else None


def _unlearned(
    rows: ScoreRows, domains: Sequence[str], lacking: Sequence[int], odd: str | None, *, by_name: bool
) -> str:
    """Say that a step is missing, or of which domain."""
    remedy = "score all domains after every step"
    if odd is None:
        return f"no row is of step {lacking[0]}, after {domains[lacking[0]]!r}; {remedy}"
    there = len(domains) - len(lacking)
    why = (
        "nothing is scored after it" if by_name else f"there are steps for {there} of {len(domains)} domains"
    )
    near = _meant(rows, odd, [name for name in domains if name != odd])
    hint = f" (did you mean {near!r}?)" if near else ""
    chosen = _of_domain(rows, odd)
    return f"domain {odd!r} is {_found(rows, chosen, counted=True)}, and {why}: misspelt{hint}, or {remedy}"


def _meant(rows: ScoreRows, name: str, others: Sequence[str]) -> str:
    """Return the domain whose videos those of another are, or whose name is near; empty if there is none."""
    videos = {group.video for group in rows.groups if group.domain == name}
    sharing = {group.domain for group in rows.groups if group.domain != name and group.video in videos}
    if len(sharing) == 1:
        return sharing.pop()
    return next(iter(near_names(name, sharing or others)), "")


def _of_domain(rows: ScoreRows, name: str) -> NDArray[np.bool_]:
    """Say which rows are of a domain."""
    of = np.array([group.domain == name for group in rows.groups])
    return np.asarray(of[rows.group], dtype=np.bool_)


def _found(rows: ScoreRows, chosen: NDArray[np.bool_], *, counted: bool = False) -> str:
    """Say where rows are: ``in line 402``, ``in 30 rows (first line 402)``."""
    count, line = int(chosen.sum()), rows.line(int(chosen.argmax()))
    if count == 1:
        return f"in 1 row (line {line})" if counted else f"in line {line}"
    return f"in {count:,} rows (first line {line})"
