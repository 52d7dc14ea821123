"""What a strategy is: formula, constants, needs and cost, read from its row and its docstring without importing it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fretal_bench import records
from fretal_bench.docstrings import arguments, docstring_of, paragraphs
from fretal_bench.strategies.families import BUILT_IN
from fretal_bench.strategies.record import Range, StrategyInfo
from fretal_bench.strategies.targets import missing_class

_SOURCE = re.compile(r"Sources?: ")


@dataclass(frozen=True)
class Constant:
    """A hyperparameter.

    Attributes:
        key: Its name in ``--set STRATEGY.KEY=VALUE``.
        default: Its default.
        takes: What it may be, in words.
        searched: Where ``bench tune`` looks, in words; empty if it leaves it alone.
        what: What its docstring says of it.
    """

    key: str
    default: Any
    takes: str
    searched: str
    what: str


@dataclass(frozen=True)
class StrategyDescription:
    """A strategy.

    Attributes:
        name: Its name.
        aliases: Its other names.
        summary: One line.
        bound: Whether it is a reference, not a competitor.
        formula: Its loss, or the first paragraph, of its class's docstring; empty for Avalanche's own as shipped.
        details: The other paragraphs.
        paper: Authors, venue and year.
        links: Where its papers are.
        source: Which equations and which code the class follows.
        constants: Its hyperparameters.
        needs: What it needs, by what that is.
        cost: What it keeps and computes beyond fine-tuning, a sentence each.
        caution: What whoever runs it must know; empty if nothing.
        origin: The plugin that it comes from; empty for the suite's own.
        fault: Why there is no formula: its file has no such class; empty otherwise.
    """

    name: str
    aliases: tuple[str, ...]
    summary: str
    bound: bool
    formula: str
    details: tuple[str, ...]
    paper: str
    links: tuple[str, ...]
    source: str
    constants: tuple[Constant, ...]
    needs: Mapping[str, str]
    cost: tuple[str, ...]
    caution: str
    origin: str
    fault: str = ""


def describe_strategy(info: StrategyInfo) -> StrategyDescription:
    """Say what a strategy is; imports neither it nor torch."""
    fault = missing_class(info.target)
    written = paragraphs("" if fault else docstring_of(info.target))
    source = next((_SOURCE.sub("", text, count=1) for text in written if _SOURCE.match(text)), "")
    details = [text for text in written if not _SOURCE.match(text)]
    # One whose first paragraph is in words alone has its loss further down.
    formula = next((text for text in details if text.startswith("L = ")), details[0] if details else "")
    details = [text for text in details if text != formula]
    return StrategyDescription(
        info.name,
        info.aliases,
        info.summary,
        info.bound,
        formula,
        tuple(details),
        info.paper,
        info.links or _links_of_paper(info.paper),
        source,
        constants_of(info),
        _needs(info),
        _cost(info),
        info.caution,
        info.origin,
        fault,
    )


def constants_of(info: StrategyInfo) -> tuple[Constant, ...]:
    """Return the hyperparameters of a strategy."""
    kind = info.constants
    words = arguments(kind)
    return tuple(
        Constant(
            field.name,
            field.default,
            records.takes(kind, field.name),
            _searched(kind, field),
            words.get(field.name, ""),
        )
        for field in dataclasses.fields(kind)
    )


def _searched(kind: type, field: dataclasses.Field[Any]) -> str:
    """Say where ``bench tune`` looks for a hyperparameter."""
    known = field.metadata.get("range")
    if isinstance(known, Range):
        return f"{known.low:g} to {known.high:g}{', log-uniform' if known.log else ''}"
    if not field.metadata.get("search", True):
        return ""
    choices = (True, False) if records.hints(kind)[field.name] is bool else records.choices(kind, field.name)
    return ", ".join(map(str, choices))


def _links_of_paper(paper: str) -> tuple[str, ...]:
    """Return the links of another strategy of the same paper: Avalanche's own as shipped have those of the suite's."""
    return next((info.links for info in BUILT_IN if info.paper == paper), ())


def _needs(info: StrategyInfo) -> dict[str, str]:
    budget = next((field for field in dataclasses.fields(info.constants) if field.name == "memory"), None)
    kept = f"; {budget.default} by default (constant memory)" if budget is not None else ""
    old_data = {
        "none": f"none kept; their data at their time, for {info.old_data}" if info.old_data else "none",
        "budget": f"a memory of samples of past domains{kept}",
        "all": "all training samples of all past domains",
    }[info.memory]
    without = info.without_old_data
    needs = {
        "old data": old_data,
        "labels": "real or fake, of every training sample",
        "backbone": info.backbone or "any",
        "source model": "can begin with one of your own (--weights)"
        if not without
        else f"cannot begin with one of your own (--weights): it {without}",
    }
    refused = "; ".join(f"not with {key}: {reason}" for key, reason in info.refuses)
    return {**needs, **({"recipe": refused} if refused else {})}


def _cost(info: StrategyInfo) -> tuple[str, ...]:
    sentences = []
    if info.teacher:
        sentences.append(
            "A frozen copy of an older model: its weights once more in memory while a domain is trained, and its forward "
            "pass with every update (about a third of an update more)."
        )
    if info.memory == "budget":
        sentences.append("The images of its memory, stored from one domain to the next.")
    if info.memory == "all":
        sentences.append("All old images stored, and training over all of them on every domain.")
    if not info.shared_source:
        sentences.append("A source model of its own: the first domain is trained once more, for it alone.")
    if not info.resumable:
        sentences.append("The whole stream in one piece: a cell that was stopped begins again.")
    sentences.append(
        "What a run took (seconds, memory, weights, bytes kept) is in the cost table of its report."
    )
    return tuple(sentences)
