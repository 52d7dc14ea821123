"""Shortcuts: facts of files, not of faces, by which the real and the fake of a domain can be told apart.

For every domain (a method at a compression, against the real of its data set) and split, each fact is given to a plain
classifier: a table of how frequent each value of the fact is among the real and among the fake; the class in which
a value is more frequent is predicted, and neither where they are equal. A number of more than 16 different values is
first cut into 8 stretches of as many files each. A domain with no real of its own data set is held against all real.

*Accuracy* is balanced and cross-validated, A = (hits among the fake / fake + hits among the real / real) / 2, chance
is 1/2. There are 5 folds of people: a person, who is known as the target of a video, is in one fold with everything
that shows that recording, so that no video is told by another one of the same camera. All files of a person and a class
together count as one.

*Chance* is what labels that mean nothing reach: p = (1 + number of permutations in which some fact reaches A) /
(1 + permutations). A permutation swaps real and fake of a person who has both with probability 1/2, and deals out the
labels of the people who have one among these. The largest A over all facts is compared, which corrects for the number of
facts (Westfall and Young 1993); p is multiplied by the number of domains and splits that are tested (Bonferroni). A
fact with p of at most 0.05 is said: of sets without any shortcut at most one in twenty gets a word.

A domain with so few people that no permutation could give such a p is not tested, and counted. Of each class of a
domain and split at most 200 files are looked at, chosen by a hash of their names.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from fretal_bench import records
from fretal_bench.datasets.check.classifier import Units, cross_validated, valued
from fretal_bench.datasets.check.facts import Facts
from fretal_bench.datasets.importers.row_table import numbered
from fretal_bench.datasets.manifest import FAKE, REAL, SPLITS
from fretal_bench.errors import BenchError
from fretal_bench.records import Record, limited

if TYPE_CHECKING:
    import pandas as pd

LEVEL: Final = 0.05
"""Probability that a set without shortcuts gets a word, at most."""
SAMPLED: Final = 200
"""Files of each class of a domain and split that are looked at."""
_COMBINED: Final = 64
"""Different combinations of all facts, up to which they are tried together."""
_FIRST: Final = 199
"""Permutations after which a fact that is far from telling anything is given up."""
_HOPELESS: Final = 0.1
_PERMUTATIONS: Final = 999
_WORTH: Final = 0.02
"""Accuracy that all facts together must tell more than one of them, to be worth a word."""
TOGETHER: Final = "suffix, format, size, quality and rates"
FACTS: Final[Mapping[str, str]] = {
    "suffix": "suffix",
    "format": "format",
    "width": "width",
    "height": "height",
    "tables": "JPEG tables",
    "quality": "JPEG quality",
    "bits": "bit depth",
    "pixels": "pixel format",
    "bit_rate": "bit rate",
    "frame_rate": "frame rate",
    "duration": "duration",
}
"""Fact -> its name in print."""
_UNITS: Final = {
    "width": " px",
    "height": " px",
    "bit_rate": " bit/s",
    "frame_rate": " frames/s",
    "duration": " s",
}


@dataclass(frozen=True)
class Shortcut(Record):
    """A fact that tells the classes of one split of one domain apart.

    Attributes:
        dataset: Manifest data set of the fake.
        method: Their method.
        compression: Their compression.
        split: The split.
        fact: Its name in print.
        accuracy: Balanced accuracy of the fact alone, cross-validated by person; chance is 0.5.
        p: Probability of as much by chance, corrected for the number of facts, domains and splits.
        real: What the real have, in words.
        fake: What the fake have, in words.
        files: Number of files it was told by.
    """

    dataset: str
    method: str
    compression: str
    split: Literal["train", "val", "test"]
    fact: str
    accuracy: float = limited(at_least=0, at_most=1)
    p: float = limited(at_least=0, at_most=1)
    real: str = field(kw_only=True)
    fake: str = field(kw_only=True)
    files: int = limited(at_least=0)

    @property
    def domain(self) -> tuple[str, str, str]:
        """Data set, method and compression."""
        return self.dataset, self.method, self.compression


@dataclass(frozen=True)
class ShortcutSearch:
    """What was looked for, and found.

    Attributes:
        shortcuts: By domain and split, in each the fact that tells most first.
        tested: Number of domains and splits that were tested.
        few: Those with too few people to tell, as ``method split``.
    """

    shortcuts: tuple[Shortcut, ...]
    tested: int
    few: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as a store keeps it."""
        entries = [
            {**asdict(s), "accuracy": round(s.accuracy, 4), "p": round(s.p, 6)} for s in self.shortcuts
        ]
        return {"tested": self.tested, "few": list(self.few), "found": entries}


def stored_shortcuts(details: Mapping[str, Any], where: str) -> tuple[Shortcut, ...]:
    """Read what a store keeps of the search; nothing where it was made before there was one.

    Args:
        details: The ``details`` of ``store.json``.
        where: That file.

    Raises:
        BenchError: It is not what ``ShortcutSearch.to_dict`` writes.
    """
    kept = details.get("shortcuts")
    if kept is None:
        return ()
    entries = kept.get("found") if isinstance(kept, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BenchError(f"{where}: details.shortcuts: expected the list 'found'; make the store again")
    return tuple(records.read(Shortcut, entry, f"{where}: details.shortcuts") for entry in entries)


def sentences(shortcuts: Iterable[Shortcut]) -> dict[str, str]:
    """A sentence a domain, by ``data set/method/compression``."""
    by_domain: dict[str, list[Shortcut]] = {}
    for shortcut in shortcuts:
        by_domain.setdefault("/".join(shortcut.domain), []).append(shortcut)
    return {domain: sentence(of_domain) for domain, of_domain in by_domain.items()}


def sentence(shortcuts: Sequence[Shortcut]) -> str:
    """Say what tells the classes of one domain apart: the fact that tells most, in which splits, and what else does.

    E.g. ``suffix alone tells real from fake in train and test (real: all .jpg; fake: all .png), right in 100%, chance is
    50%; so do format, JPEG quality``.
    """
    best = max(shortcuts, key=lambda shortcut: shortcut.accuracy)
    alike = [shortcut for shortcut in shortcuts if shortcut.fact == best.fact]
    splits = [split for split in SPLITS if split in {shortcut.split for shortcut in alike}]
    named = f"{', '.join(splits[:-1])} and {splits[-1]}" if len(splits) > 1 else splits[0]
    inside = f" (real: {best.real}; fake: {best.fake})" if best.real else ""
    rates = sorted({f"{shortcut.accuracy:.0%}" for shortcut in alike}, key=lambda text: int(text[:-1]))
    right = rates[0] if len(rates) == 1 else f"{rates[0]} to {rates[-1]}"
    others = list(dict.fromkeys(s.fact for s in shortcuts if s.fact != best.fact))
    more = f"; so {'does' if len(others) == 1 else 'do'} {', '.join(others)}" if others else ""
    alone = "taken together tell" if best.fact == TOGETHER else "alone tells"
    return f"{best.fact} {alone} real from fake in {named}{inside}, right in {right}, chance is 50%{more}"


@dataclass(frozen=True)
class _Group:
    """The files of one split of one domain: path, person and label of each, in a fixed order."""

    dataset: str
    method: str
    compression: str
    split: str
    files: tuple[tuple[str, str, int], ...]

    @property
    def least_p(self) -> float:
        """The smallest p that permutations could give; 1 where a class is missing."""
        labels: dict[str, set[int]] = defaultdict(set)
        for _, person, label in self.files:
            labels[person].add(label)
        both = sum(len(each) == 2 for each in labels.values())
        fake, real = (sum(each == {label} for each in labels.values()) for label in (FAKE, REAL))
        if len({label for _, _, label in self.files}) < 2:
            return 1.0
        # As logarithms: there may be more permutations than floats can count. A mirrored one gives the same accuracy.
        log = (
            both * math.log(2) + math.lgamma(fake + real + 1) - math.lgamma(fake + 1) - math.lgamma(real + 1)
        )
        return min(1.0, math.exp(math.log(2) - log))


def find_shortcuts(
    frame: pd.DataFrame, facts_of: Callable[[str], Facts], level: float = LEVEL
) -> ShortcutSearch:
    """Look whether facts of files tell real and fake apart, in every domain and split.

    Args:
        frame: The manifest.
        facts_of: Facts of a file by its path; asked for the files that are chosen only, each once.
        level: Probability that a set without shortcuts gets a word.

    Returns:
        The same for the same rows and files.
    """
    groups = _groups(frame)
    powers = sorted((group.least_p for group in groups), reverse=True)
    # As many as can each reach what is asked of so many.
    tested = next((n for n, p in zip(range(len(powers), 0, -1), powers, strict=True) if p <= level / n), 0)
    asked = level / max(tested, 1)
    known: dict[str, Facts] = {}
    shortcuts: list[Shortcut] = []
    few = []
    for group in groups:
        if group.least_p > asked:
            few.append(f"{group.dataset}/{group.method} {group.split}")
            continue
        for path, _, _ in group.files:
            if path not in known:
                known[path] = facts_of(path)
        shortcuts += _shortcuts(group, [known[path] for path, _, _ in group.files], asked)
    return ShortcutSearch(tuple(shortcuts), len(groups) - len(few), tuple(few))


def _groups(frame: pd.DataFrame) -> list[_Group]:
    """Every split of every domain with a few of its files, of every video one."""
    kind = ["dataset", "method", "compression", "split"]
    first = ~frame.duplicated([*kind, "video"]).to_numpy(dtype=bool)
    videos = frame.loc[first, [*kind, "video", "target", "path", "label"]]
    rows = {tuple(map(str, key)): of_kind for key, of_kind in videos.groupby(kind, sort=True)}
    real_files: dict[tuple[tuple[str, ...], ...], list[tuple[str, str, int]]] = {}
    groups = []
    for key in sorted(rows, key=lambda key: (*key[:3], SPLITS.index(key[3]))):
        dataset, method, compression, split = key
        if method == "real":
            continue
        others = [other for other in rows if other[1] == "real" and other[3] == split]
        own = [other for other in others if other[0] == dataset and other[2] == compression]
        chosen = tuple(own or [other for other in others if other[0] == dataset] or others)
        if chosen not in real_files:
            real_files[chosen] = _few([rows[other] for other in chosen])
        groups.append(_Group(dataset, method, compression, split, (*real_files[chosen], *_few([rows[key]]))))
    return groups


def _few(parts: Sequence[pd.DataFrame]) -> list[tuple[str, str, int]]:
    """At most ``SAMPLED`` files, of as many people as can be, chosen by hashes; the same people in every class.

    Returns:
        Path, person and label of each.
    """
    import pandas as pd

    if not parts:
        return []
    rows = pd.concat(parts, ignore_index=True)
    person = rows["dataset"] + "/" + rows["target"].where(rows["target"] != "", rows["video"])
    # Numbers in place of names: there may be millions.
    rank = pd.util.hash_array(person.to_numpy(dtype=object), categorize=False)
    people = np.unique(rank)[:SAMPLED]
    some = np.isin(rank, people)
    files = pd.DataFrame(
        {
            "path": rows.loc[some, "path"],
            "person": person[some],
            "label": rows.loc[some, "label"],
            "rank": rank[some],
            "place": pd.util.hash_array(rows.loc[some, "path"].to_numpy(dtype=object), categorize=False),
        }
    )
    files = files.sort_values(["rank", "place"], kind="stable")
    files = files.groupby("rank", sort=False).head(max(1, SAMPLED // len(people)))
    columns = (files["path"].tolist(), files["person"].tolist(), files["label"].tolist())
    return list(zip(*columns, strict=True))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _shortcuts(group: _Group, facts: Sequence[Facts], asked: float) -> list[Shortcut]:
    """The facts of a group that tell its classes apart with a p of at most ``asked``."""
    values = {name: valued([getattr(each, name) for each in facts]) for name in FACTS}
    values = {name: numbers for name, numbers in values.items() if numbers.max() > 0}
    if not values:
        return []
    if len(values) > 1:
        combined = numbered(list(zip(*values.values(), strict=True)))
        if combined.max() < _COMBINED:
            values[TOGETHER] = combined
    units = Units(group.files)
    shares = [units.shares(numbers) for numbers in values.values()]
    seed = int.from_bytes(
        _hash(f"{group.dataset}/{group.method}/{group.compression}/{group.split}")[:8], "big"
    )
    random = np.random.default_rng(seed)
    accuracies = p = np.empty(0)
    for count in (_FIRST, max(_PERMUTATIONS, math.ceil(2 / asked) - 1)):
        labels = units.permuted(count, random)
        reached = np.array([cross_validated(share, labels, units.person) for share in shares])
        accuracies, chance = reached[:, 0], reached[:, 1:].max(axis=0)
        p = (1 + (chance >= accuracies[:, None] - 1e-9).sum(axis=1)) / (count + 1)
        if p.min() > _HOPELESS:
            return []
    told = [
        (name, float(accuracy), float(each))
        for name, accuracy, each in zip(values, accuracies, p, strict=True)
        if each <= asked
    ]
    return [
        _shortcut(group, facts, name, accuracy, min(1.0, each * LEVEL / asked))
        for name, accuracy, each in sorted(_without_echoes(told), key=lambda entry: -entry[1])
    ]


def _without_echoes(told: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """Leave out what tells no more than another fact that it follows from, or that says the same in clearer words."""
    accuracy = {name: value for name, value, _ in told}
    echoes = set()
    for name, plainer, more in (
        ("tables", "quality", 0.0),
        ("height", "width", 0.0),
        *((TOGETHER, name, _WORTH) for name in FACTS),
    ):
        if accuracy.get(name, 0) <= accuracy.get(plainer, -1) + more:
            echoes.add(name)
    return [entry for entry in told if entry[0] not in echoes]


def _shortcut(group: _Group, facts: Sequence[Facts], name: str, accuracy: float, p: float) -> Shortcut:
    sides = []
    for label in (REAL, FAKE):
        chosen = [each for each, file in zip(facts, group.files, strict=True) if file[2] == label]
        sides.append("" if name == TOGETHER else _summary(name, chosen))
    return Shortcut(
        dataset=group.dataset,
        method=group.method,
        compression=group.compression,
        split=group.split,  # type: ignore[arg-type]  # a manifest has no other
        fact=FACTS.get(name, name),
        accuracy=min(1.0, accuracy),  # sums of shares may be off by a rounding
        p=p,
        real=sides[0],
        fake=sides[1],
        files=len(facts),
    )


def _summary(name: str, facts: Sequence[Facts]) -> str:
    """What the files of a class have of a fact: what is most frequent, or of a number with many values the middle."""
    values = [getattr(each, name) for each in facts]
    known = [value for value in values if value == value and value not in ("", 0)]
    if not known:
        return "none"
    unit = _UNITS.get(name, "")
    if isinstance(known[0], str) or len(set(known)) <= 3:
        most, count = Counter(known).most_common(1)[0]
        shown = f"{most:,g}{unit}" if not isinstance(most, str) else most
        return f"all {shown}" if count == len(values) else f"{shown} in {count / len(values):.0%}"
    return f"median {float(np.median(known)):,.4g}{unit}"
