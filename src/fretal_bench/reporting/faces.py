"""Faces that were forgotten: judged rightly when their domain was learned and wrongly at the end, or the other way."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from fretal_bench.benchmark.runner.results import CellResult, Results
from fretal_bench.metrics.detection import THRESHOLD
from fretal_bench.metrics.numbers import Floats
from fretal_bench.reporting.inputs import seed_words
from fretal_bench.reporting.summary import Summary
from fretal_bench.reporting.tables import Column, Number, Row, Table

if TYPE_CHECKING:
    import pandas as pd

    from fretal_bench.datasets.store.store import CropStore

KINDS: Final = ("missed", "alarm", "back")
"""Fakes now missed, reals now accused, faces won back."""
MOST_SHOWN: Final = 10
"""Videos of a strategy, domain and kind of which a face is shown."""
SIDE: Final = 64
"""Pixels of a picture."""
_QUALITY: Final = 72


@dataclass(frozen=True)
class Face:
    """A video's face that changed sides most.

    Attributes:
        kind: One of ``KINDS``.
        domain: Place in the stream.
        fake: Whether it is a fake.
        then: P(fake) right after the domain was learned.
        now: P(fake) at the end.
        seed: Of the cell.
        seeds: In which cells' seeds this video has a face that changed sides.
        video: The video's key.
        row: The crop's row in the domain's store.
    """

    kind: str
    domain: int
    fake: bool
    then: float
    now: float
    seed: int
    seeds: tuple[int, ...]
    video: str
    row: int


@dataclass(frozen=True, eq=False)
class Turned:
    """Frames of a cell that are judged otherwise at the end than when their domain was learned, ``[n]`` each.

    Attributes:
        domain: Place in the stream.
        kind: Place in ``KINDS``.
        row: The crop's row in the domain's store.
        video: The video's key.
        then: P(fake) right after the domain was learned.
        now: P(fake) at the end.
    """

    domain: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    video: npt.NDArray[np.object_]
    then: Floats
    now: Floats

    def rows_of(self) -> Iterator[tuple[int, int, int, str, float, float]]:
        """Give domain, kind, row, video, then and now of every frame."""
        columns = (self.domain, self.kind, self.row, self.video, self.then, self.now)
        yield from zip(*(column.tolist() for column in columns), strict=True)


def frames_that_turned(cell: CellResult, domains: Sequence[str]) -> Turned:
    """Give the frames of a cell that are judged otherwise at the end than when their domain was learned, at 0.5.

    Args:
        cell: A done cell.
        domains: In the order in which they are learned; of the last one nothing can be forgotten.
    """
    scores, last = cell.scores, len(domains) - 1
    steps, rows, labels = (scores[name].to_numpy() for name in ("step", "row", "label"))
    places = places_of(scores["domain"], domains)
    values, videos = scores["score"].to_numpy(np.float64), scores["video"].to_numpy()
    parts = []
    for place in range(last):
        then, now = (np.flatnonzero((places == place) & (steps == step)) for step in (place, last))
        then, now = then[np.argsort(rows[then], kind="stable")], now[np.argsort(rows[now], kind="stable")]
        before, after, fakes = values[then], values[now], labels[then] == 1
        right_then, right_now = (before >= THRESHOLD) == fakes, (after >= THRESHOLD) == fakes
        lost, won = right_then & ~right_now, ~right_then & right_now
        kinds = np.select([lost & fakes, lost, won], [0, 1, 2], -1)
        known = (kinds >= 0) & np.isfinite(before) & np.isfinite(after)
        parts.append((np.full(known.sum(), place), kinds[known], then[known], before[known], after[known]))
    of_domain, kinds, at, before, after = (
        np.concatenate(of) if parts else np.zeros(0)
        for of in (zip(*parts, strict=True) if parts else [()] * 5)
    )
    at = at.astype(np.int64)
    return Turned(of_domain.astype(np.int64), kinds.astype(np.int64), rows[at], videos[at], before, after)


def places_of(names: pd.Series[str], known: Sequence[str]) -> npt.NDArray[np.int64]:
    """Give the place of every name among those that are known; -1 for another."""
    import pandas as pd

    codes, uniques = pd.factorize(names)
    place = {name: number for number, name in enumerate(known)}
    return np.array([place.get(str(name), -1) for name in uniques], dtype=np.int64)[codes]


def faces_of(cells: Sequence[CellResult], domains: Sequence[str]) -> tuple[list[Face], list[dict[str, int]]]:
    """Give the faces of one strategy that turned, and how many frames did, by domain and kind.

    Of a video the frame with the largest change stands for all, and of every domain and kind ``MOST_SHOWN`` videos.
    """
    turned = [(cell.seed, frames_that_turned(cell, domains)) for cell in cells]
    counts = [
        {
            kind: int(sum(((of.domain == place) & (of.kind == number)).sum() for _, of in turned))
            for number, kind in enumerate(KINDS)
        }
        for place in range(len(domains) - 1)
    ]
    every = sorted(
        (
            (-abs(now - then), seed, row, place, kind, video, then, now)
            for seed, of in turned
            for place, kind, row, video, then, now in of.rows_of()
        ),
        key=lambda frame: frame[:5],
    )
    faces: dict[tuple[int, int, str], Face] = {}
    seeds: dict[tuple[int, int, str], set[int]] = {}
    for _, seed, row, place, kind, video, then, now in every:
        key = (kind, place, video)
        seeds.setdefault(key, set()).add(seed)
        if key not in faces:
            # A real that is won back was accused, a fake missed.
            fake = KINDS[kind] == "missed" or (KINDS[kind] == "back" and now > then)
            faces[key] = Face(KINDS[kind], place, fake, then, now, seed, (), video, row)
    shown: list[Face] = []
    taken: Counter[tuple[int, int]] = Counter()
    for key, face in faces.items():
        taken[key[:2]] += 1
        if taken[key[:2]] <= MOST_SHOWN:
            shown.append(dataclasses.replace(face, seeds=tuple(sorted(seeds[key]))))
    return shown, counts


def faces_of_all(results: Results, summary: Summary) -> list[tuple[list[Face], list[dict[str, int]]]]:
    """Give the faces of every strategy, as ``faces_of``."""
    return [
        faces_of([cell for cell in results.cells if cell.label == s.label], summary.domains)
        for s in summary.strategies
    ]


def faces_data(
    results: Results,
    summary: Summary,
    stores: Mapping[str, CropStore],
    budget: int,
    by_strategy: Sequence[tuple[Sequence[Face], list[dict[str, int]]]] | None = None,
) -> dict[str, Any] | None:
    """Give the faces of all strategies as plain values, with pictures as far as stores and budget go.

    Args:
        results: Results as ``load_results`` gives them.
        summary: What ``summarize`` makes of them.
        stores: The crop stores at hand, by checksum.
        budget: Characters that all pictures may take together.
        by_strategy: ``faces_of_all``, where it is known.

    Returns:
        None where nothing can be forgotten: a stream of one domain.
    """
    domains = summary.domains
    if len(domains) < 2:
        return None
    if by_strategy is None:
        by_strategy = faces_of_all(results, summary)
    pictures = _Pictures(results, stores, budget)
    # First the largest change of every strategy, then the second: a budget cuts all alike.
    ranked = sorted(
        ((rank, at) for at, (faces, _) in enumerate(by_strategy) for rank in range(len(faces))),
    )
    for rank, at in ranked:
        pictures.take(by_strategy[at][0][rank])
    of = [
        [
            {
                "kind": face.kind,
                "domain": face.domain,
                "fake": face.fake,
                "then": round(face.then, 3),
                "now": round(face.now, 3),
                "seeds": _seeds(face),
                "name": face.video.rpartition("/")[2],
                "picture": pictures.place(face),
            }
            for face in faces
        ]
        for faces, _ in by_strategy
    ]
    return {
        "domains": list(domains[:-1]),
        "of": of,
        "counts": [counts for _, counts in by_strategy],
        "pictures": pictures.encoded,
        "words": pictures.words(any(faces for faces, _ in by_strategy)),
    }


def _seeds(face: Face) -> str:
    """Say of which seed the numbers are, and in which others the video turned too."""
    others = [seed for seed in face.seeds if seed != face.seed]
    return f"seed {face.seed}" + (f" (also {seed_words(others)})" if others else "")


class _Pictures:
    """Crops as small JPEGs, each once."""

    def __init__(self, results: Results, stores: Mapping[str, CropStore], budget: int) -> None:
        """Remember where crops are; nothing is read."""
        self._stores = stores
        self._left = budget
        self._cut = False
        self._places: dict[tuple[str, int], int] = {}
        self._checksums = [domain.get("store", "") for domain in results.plan["stream"]["domains"]]
        self.encoded: list[str] = []

    def take(self, face: Face) -> None:
        """Encode the picture of a face, if it is at hand and the budget is not spent."""
        key = (self._checksums[face.domain], face.row)
        store = self._stores.get(key[0])
        if store is None or key in self._places or not 0 <= face.row < len(store):
            return
        text = _jpeg(store.crops[face.row])
        # With its quotation marks and comma.
        size = len(text) + 3
        if size > self._left:
            self._cut = True
            return
        self._left -= size
        self._places[key] = len(self.encoded)
        self.encoded.append(text)

    def place(self, face: Face) -> int | None:
        """Give the place of a face's picture; None for none."""
        return self._places.get((self._checksums[face.domain], face.row))

    def words(self, any_face: bool) -> str:
        """Say what is shown, and why pictures lack."""
        absent = sorted(set(self._checksums) - self._stores.keys())
        parts = [
            "Right when its domain was learned and wrong at the end, or the other way, at 0.5: P(fake) then and now, "
            "of the seed with the largest change."
        ]
        if any_face and absent:
            parts.append(
                f"Without pictures: the crop store of these results ({', '.join(name[:12] for name in absent)}) "
                "is not on the machine that made this report."
            )
        if self._cut:
            parts.append("Some pictures are left out, so that the page stays small.")
        return " ".join(parts)


def _jpeg(crop: Any) -> str:
    """Return a crop as a small JPEG in base64."""
    from PIL import Image

    out = io.BytesIO()
    picture = Image.fromarray(crop)
    if picture.width > SIDE:
        picture = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    picture.save(out, "jpeg", quality=_QUALITY)
    return base64.b64encode(out.getvalue()).decode("ascii")


def faces_table(summary: Summary, counts: Sequence[Sequence[Mapping[str, int]]]) -> Table:
    """Frames that turned: one row a strategy, the mean over its seeds."""
    titles = ("fakes now missed", "reals now accused", "won back")
    columns = (
        Column("strategy", "strategy"),
        *(Column(k, t, digits=1) for k, t in zip(KINDS, titles, strict=True)),
    )
    rows = [
        Row(
            (s.label, *(Number(sum(of[kind] for of in domains) / len(s.seeds)) for kind in KINDS)),
            apart=s.bound,
        )
        for s, domains in zip(summary.strategies, counts, strict=True)
    ]
    note = "Frames of all old domains, mean over seeds: right when learned and wrong at the end, or the other way."
    return Table("faces", "Frames that were forgotten or won back", columns, tuple(rows), (note,))
