"""An adaptation as a table, and what of it is certain and what is not, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from fretal_bench.metrics import registry
from fretal_bench.metrics.clusters import JOINED, VIDEOS
from fretal_bench.metrics.inference import Effect
from fretal_bench.reporting.adaptation import (
    ACCURACY,
    ALARMS,
    AUC,
    MEASURES,
    MISSED,
    Adaptation,
    Adapted,
    Group,
)
from fretal_bench.reporting.comparison_words import joined
from fretal_bench.reporting.inference import LEVEL
from fretal_bench.reporting.tables import Column, Number, Row, Table, decimal

_TITLES: Final = {
    ACCURACY: ("accuracy", "higher"),
    AUC: ("AUC", "higher"),
    MISSED: ("missed fakes", "lower"),
    ALARMS: ("false alarms", "lower"),
}


def adaptation_table(adaptation: Adaptation) -> Table:
    """Every test set, the old ones first: the detector before, then what each strategy made of it."""
    columns = [Column("tested_on", "tested on"), Column("detector", "detector")]
    titles = {**_TITLES, ACCURACY: (registry.find(adaptation.metric).title, "higher")}
    columns += [Column(key, title, better) for key, (title, better) in titles.items()]
    rows = []
    for kind, names in (("old", adaptation.old), ("new", adaptation.new)):
        for name in names:
            for of in (adaptation.before, *adaptation.after):
                values = [of.values[name, measure] for measure in MEASURES]
                numbers = (Number(value.mean, value.half) for value in values)
                rows.append(Row((f"{name} ({kind})", of.label, *numbers)))
    return Table("adaptation", "Before and after", tuple(columns), tuple(rows), _notes(adaptation))


def _notes(adaptation: Adaptation) -> tuple[str, ...]:
    seeds = max(len(of.seeds) for of in adaptation.after)
    unit = f"groups of {adaptation.unit}" if adaptation.unit == JOINED else adaptation.unit
    over = f"{adaptation.clusters} {unit}"
    over += f" and {seeds} seeds" if seeds > 1 else " (one seed: nothing is known of other seeds)"
    notes = [
        f"Single frames of test samples. {_capital(adaptation)}, missed fakes (fakes called real) and false alarms "
        f"(reals called fake) at P(fake) 0.5. Mean ± half of the 95% interval over {over}."
    ]
    if not adaptation.new:
        notes.append("The new store has no test samples: what was learned of the new kind is not measured.")
    return tuple(notes)


def _capital(adaptation: Adaptation) -> str:
    title = registry.find(adaptation.metric).title
    return title[:1].upper() + title[1:]


def certainty(adaptation: Adaptation) -> tuple[str, ...]:
    """Say which changes of accuracy are told from none, and which are not: at most a sentence each."""
    certain = [words for words in _by_group(adaptation, certain=True) if words]
    open_ = [words for words in _by_group(adaptation, certain=False) if words]
    count = sum(len(of.changes) for of in adaptation.after)
    sentences = []
    if certain:
        sentences.append(f"Certain: {'; '.join(certain)}.")
    if open_:
        sentences.append(f"Not certain: {'; '.join(open_)}.")
    unit = "videos" if adaptation.unit == VIDEOS else "people"
    seeds = max(len(of.seeds) for of in adaptation.after)
    trainings = "and other trainings" if seeds > 1 else "judged by these very models (one seed)"
    sentences.append(
        f"Certain means that {registry.find(adaptation.metric).title} changed for other {unit} {trainings} too: p <= "
        f"{LEVEL:g} after Holm's correction for {count} changes; in brackets 95% intervals."
    )
    return tuple(sentences)


def _by_group(adaptation: Adaptation, *, certain: bool) -> Iterator[str]:
    groups: tuple[tuple[Group, tuple[str, ...]], ...] = (("new", adaptation.new), ("old", adaptation.old))
    for group, names in groups:
        of_group = [of for of in adaptation.after if group in of.changes and of.is_certain(group) == certain]
        where = f"on {joined(list(names))}" if names else ""
        if not certain:
            yield f"{where} whether {_changes(of_group, group)} changed" if of_group else ""
            continue
        for better in (True, False):
            part = [of for of in of_group if (of.changes[group].mean > 0) == better]
            yield f"{where} {_changes(part, group)} {_verb(part, better)}" if part else ""


def _verb(of: list[Adapted], better: bool) -> str:
    return f"{'is' if len(of) == 1 else 'are'} {'better' if better else 'worse'} than before"


def _changes(of: list[Adapted], group: Group) -> str:
    return joined([f"{one.label} ({_amount(one.changes[group])})" for one in of])


def _amount(effect: Effect) -> str:
    text = decimal(effect.mean, 3, signed=True)
    if math.isnan(effect.low):
        return text
    return f"{text} [{decimal(effect.low, 3, signed=True)}, {decimal(effect.high, 3, signed=True)}]"


def recommendation(adaptation: Adaptation) -> str:
    """Say which strategy validation samples recommend, or why none is."""
    if not adaptation.recommended:
        return (
            "No strategy is recommended: that takes validation samples of the old kinds (--validation), since test "
            "samples choose nothing."
        )
    values = {of.label: of.validation for of in (adaptation.before, *adaptation.after)}
    ranked = sorted(values, key=lambda label: -values[label])
    others = ", ".join(f"{label} {decimal(values[label], 3)}" for label in ranked[1:])
    title = registry.find(adaptation.metric).title
    basis = f"{decimal(values[ranked[0]], 3)} {title} on validation samples, old and new alike ({others})"
    if adaptation.recommended == adaptation.before.label:
        return f"Recommended: the detector as it is. It has the highest, {basis}."
    return f"Recommended: {adaptation.recommended}. It has the highest, {basis}. Differences are untested."
