"""Data sets and splits in which one of the classes is missing."""

from __future__ import annotations

from collections.abc import Iterator

from fretal_bench.datasets.importers.family import Finding, Import
from fretal_bench.datasets.manifest import FAKE, REAL, SPLITS

_WORDS = {REAL: "real", FAKE: "fake"}
_ADD = "add them, or see why they were left out"


def missing_classes(read: Import) -> Iterator[Finding]:
    """One error where the whole set holds one class; else a warning for each data set, and each split, that does."""
    kinds = read.frame[["dataset", "split", "label"]].drop_duplicates()
    if kinds.empty:
        return
    everywhere = set(kinds["label"])
    if len(everywhere) == 1:
        (label,) = everywhere
        words = f"only {_WORDS[label]} files, nothing {_WORDS[1 - label]}: there is nothing to tell apart"
        yield Finding("", "classes", "error", words, _ADD)
        return
    for dataset, rows in kinds.groupby("dataset", sort=True):
        labels = set(rows["label"])
        if len(labels) == 1:
            (label,) = labels
            words = f"nothing {_WORDS[1 - label]} in this data set; its {_WORDS[label]} are held against those of others"
            yield Finding(str(dataset), "classes", "warning", words, _ADD)
            continue
        by_split = {split: set(rows.loc[rows["split"] == split, "label"]) for split in SPLITS}
        for label, word in _WORDS.items():
            lacking = [split for split, labels in by_split.items() if labels == {1 - label}]
            if lacking:
                words = (
                    f"nothing {word} in {' and '.join(lacking)}; a domain of it cannot be learned and tested"
                )
                yield Finding(str(dataset), "classes", "warning", words, _ADD)
