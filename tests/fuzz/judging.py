"""The judge of a case: what must hold of every reading of a damaged file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from fuzz.running import MEMORY, Ran

Kind = Literal[
    "refused",
    "fair",
    "traceback",
    "hang",
    "crash",
    "memory",
    "believed",
    "lines",
    "foreign",
    "raw",
    "code",
    "changed",
    "escaped",
]
GOOD: Final = ("refused", "fair")
_FOREIGN: Final = re.compile(
    r"weights_only|torch\.|[Pp]ickle|(?<!found ')Traceback|Arrow|Parquet magic|[Pp]arquet file|0x[0-9a-f]{6,}|OpenCV|cv2"
    r"|libpng|\bnumpy\b|\bpandas\b|Errno|codec can't|\b[A-Z][A-Za-z]*Error\b|not subscriptable|unexpected keyword"
    r"|has no attribute|NoneType|not iterable|zip archive|PytorchStreamReader|\bdtype\(|<class |object of type"
)
"""Texts of other libraries, and of Python, that tell a user nothing; what a damaged file holds itself may be quoted."""
_RAW: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


_PROGRESS: Final = re.compile(r"(all done already in |\d+ steps to train into |\[\d+/\d+\] ).*")
"""What ``bench run --json`` says of its progress."""


class Told:
    """Stands for what was left out and said so."""

    def __repr__(self) -> str:
        return "told"


TOLD: Final = Told()
SEALED: Final = "as it was written"


@dataclass(frozen=True)
class Claim:
    """What a command that ended well believed.

    Attributes:
        used: What it used; of a mapping an entry may be ``TOLD``: left out, and said so.
        written: What stands in the file, read independently; ``SEALED``: what the undamaged file gave.
        lenient: Whether the command named something wrong, so that entries may lack.
        whole: All that was used, where ``used`` is a part of it; what an undamaged file gives is remembered whole.
    """

    used: Any
    written: Any = SEALED
    lenient: bool = False
    whole: Any = None

    @property
    def reference(self) -> Any:
        """What a damaged file's claim is compared with, where this is that of the undamaged one."""
        return self.used if self.whole is None else self.whole


@dataclass(frozen=True)
class Unreadable:
    """Stands for what is written in a file that says nothing clear: it has to be refused."""

    reason: str


def bytes_of(path: str) -> bytes:
    """Read a file independently of the suite; raises ``ValueError`` for all that is no plain file."""
    if not Path(path).is_file():
        raise ValueError("it is no file")
    return Path(path).read_bytes()


@dataclass(frozen=True)
class Verdict:
    """How a case ended, in one word and in more."""

    kind: Kind
    words: str

    @property
    def good(self) -> bool:
        """Whether it is as it should be."""
        return self.kind in GOOD


def judge(ran: Ran, base: Any, *, is_code: bool = False, warns: bool = False) -> Verdict:
    """Judge a case.

    Args:
        ran: What came of it.
        base: What was used of the undamaged file.
        is_code: Whether the file is Python code: then Python's own words say what is wrong with it.
        warns: Whether a line before the last may say what is passed over.
    """
    if ran.died:
        return Verdict("hang" if "seconds" in ran.died else "crash", ran.died)
    if ran.memory > MEMORY or "MemoryError" in ran.trace:
        return Verdict("memory", f"{ran.memory / 2**20:.0f} MB more; {ran.trace[-200:]}")
    if ran.trace:
        lines = [line for line in ran.trace.splitlines() if line.strip()]
        return Verdict("traceback", " | ".join(line.strip() for line in lines[-3:])[:400])
    if ran.escaped:
        return Verdict("escaped", ", ".join(sorted(set(ran.escaped)))[:300])
    if ran.changed:
        return Verdict("changed", ", ".join(ran.changed)[:300])
    return _judge_refusal(ran, is_code, 2 if warns else 1) if ran.claim is None else _judge_claim(ran, base)


def _judge_refusal(ran: Ran, is_code: bool, most: int) -> Verdict:
    lines = _lines(ran)
    if ran.code not in (1, 2):
        return Verdict("code", f"exit code {ran.code}: {ran.err[:200]!r}")
    if not 1 <= len(lines) <= most or not all(line.startswith("bench: ") for line in lines):
        return Verdict("lines", f"{len(lines)} lines: {ran.err[:300]!r}")
    return _strange(ran.err, is_code) or Verdict("refused", lines[0][:300])


def _lines(ran: Ran) -> list[str]:
    return [line for line in ran.err.strip("\n").split("\n") if line and not _PROGRESS.fullmatch(line)]


def _strange(err: str, is_code: bool = False) -> Verdict | None:
    """Other libraries' words and raw control characters on standard error."""
    foreign = _FOREIGN.search(err)
    if foreign and not is_code:
        return Verdict("foreign", f"{foreign[0]!r} in {err[:300]!r}")
    raw = _RAW.search(err)
    return Verdict("raw", f"{raw[0]!r} in {err[:300]!r}") if raw else None


def _judge_claim(ran: Ran, base: Any) -> Verdict:
    claim: Claim = ran.claim
    written = base if isinstance(claim.written, str) and claim.written == SEALED else claim.written
    difference = differs(claim.used, written, lenient=claim.lenient)
    if difference:
        return Verdict("believed", difference[:400])
    stray = [line for line in _lines(ran) if line.strip() and not line.startswith("bench: ")]
    if stray:
        return Verdict("lines", f"stray on standard error: {stray[0][:200]!r}")
    return _strange(ran.err) or Verdict("fair", "its meaning is what was written")


def differs(used: Any, written: Any, at: str = "", *, lenient: bool = False) -> str:
    """Say where two values differ; empty where they mean the same."""
    where = at.lstrip(".") or "it"
    if used is TOLD or isinstance(used, Told):
        return ""
    if isinstance(written, Unreadable):
        return f"{where}: accepted, though {written.reason}"
    if isinstance(written, pd.DataFrame):
        return (
            ""
            if isinstance(used, pd.DataFrame) and written.equals(used)
            else f"{where}: other rows or values"
        )
    if isinstance(written, np.ndarray):
        same = isinstance(used, np.ndarray) and used.dtype == written.dtype and np.array_equal(used, written)
        return "" if same else f"{where}: other numbers"
    if isinstance(written, Mapping) and isinstance(used, Mapping):
        for key in used:
            if key not in written and not isinstance(used[key], Told):
                return f"{at}.{key!s}: {_short(used[key])} used, nothing like it written"
        for key in written:
            if key not in used:
                if lenient:
                    continue
                return f"{at}.{key!s}: written, and gone without a word"
            difference = differs(used[key], written[key], f"{at}.{key!s}"[:200], lenient=lenient)
            if difference:
                return difference
        return ""
    if isinstance(written, list | tuple) and isinstance(used, list | tuple):
        if len(written) != len(used):
            return f"{where}: {len(used)} entries used, {len(written)} written"
        differences = (differs(a, b, f"{at}.{n}") for n, (a, b) in enumerate(zip(used, written, strict=True)))
        return next((difference for difference in differences if difference), "")
    return "" if _equal(used, written) else f"{where}: {_short(used)} used, {_short(written)} written"


def _same_rows(used: pd.DataFrame, written: pd.DataFrame) -> bool:
    """Whether two tables say the same, whatever their types: 0 and 0.0 are one label."""
    if list(used.columns) != list(written.columns) or len(used) != len(written):
        return False
    return all(
        _equal(a, b)
        for column in written
        for a, b in zip(used[column].tolist(), written[column].tolist(), strict=True)
    )


def _equal(used: Any, written: Any) -> bool:
    if isinstance(used, bool) != isinstance(written, bool):
        return False
    if isinstance(used, float) and isinstance(written, float) and math.isnan(used) and math.isnan(written):
        return True
    return bool(used == written)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def first_of(verdicts: Sequence[Verdict]) -> Verdict | None:
    """The first that is not good."""
    return next((verdict for verdict in verdicts if not verdict.good), None)
