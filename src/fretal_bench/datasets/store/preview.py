"""A contact sheet of crop stores: a row a method, real and fake of the same target side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from fretal_bench import files
from fretal_bench.datasets.manifest import REAL
from fretal_bench.datasets.store.store import CropStore
from fretal_bench.errors import BenchError

# Pixels: a crop, the gaps between real and fake, between stores and between targets, and the margins for words.
_CELL: Final = 112
_NEAR, _APART, _FAR = 3, 10, 26
_LEFT, _TOP, _BOTTOM, _EDGE = 158, 74, 40, 14
_ROW_GAP: Final = 10
# About as many pairs fit side by side into a page.
_PAIRS: Final = 6
_MOST_TARGETS: Final = 4
_INK, _SOFT, _FAKE_INK = "#222222", "#666666", "#B14A00"


@dataclass(frozen=True)
class _Pair:
    """Rows of a store: a fake, and a real of the same target and frame where there is one."""

    real: int | None
    fake: int | None


@dataclass
class _Sheet:
    """A white page that crops and words are put on; words are drawn last, sharp."""

    image: npt.NDArray[np.uint8]
    words: list[tuple[float, float, str, dict[str, Any]]] = field(default_factory=list)

    def put(self, crop: npt.NDArray[np.uint8] | None, x: int, y: int) -> None:
        if crop is None:
            self.image[y : y + _CELL, x : x + _CELL] = 238
            self.say(x + _CELL / 2, y + _CELL / 2, "none", ha="center", va="center", color=_SOFT, size=9)
            return
        interpolation = cv2.INTER_AREA if len(crop) > _CELL else cv2.INTER_CUBIC
        self.image[y : y + _CELL, x : x + _CELL] = cv2.resize(
            crop, (_CELL, _CELL), interpolation=interpolation
        )

    def say(self, x: float, y: float, text: str, **style: Any) -> None:
        self.words.append((x, y, text, style))


def preview(paths: Sequence[Path], out: Path, targets: int | None = None) -> Path:
    """Draw the contact sheet of one or more stores and write it as a PNG.

    Rows are methods; columns are targets, for each target the stores (compressions) side by side, each with a real and a
    fake crop of the same frame. From row to row the frame changes.

    Args:
        paths: The stores.
        out: The picture; its folder is made if need be.
        targets: How many targets; by default as many as fit a page.

    Returns:
        ``out``.

    Raises:
        BenchError: A path is no store, no store holds a fake, or the picture cannot be written.
        RunError: There is no space left for it.
    """
    if targets is not None and targets < 1:
        raise BenchError(f"--targets {targets}: expected a whole number of at least 1")
    if out.suffix.lower() != ".png":
        raise BenchError(f"{out}: the contact sheet is a PNG; give a name that ends in .png")
    return draw([CropStore.open(path, verify=False) for path in paths], out, targets)


def draw(stores: Sequence[CropStore], out: Path, targets: int | None = None) -> Path:
    """The same for stores that are open."""
    methods = list(dict.fromkeys(m for s in stores for m in s.index["method"].unique() if m != "real"))
    if not methods:
        raise BenchError(
            f"{stores[0].path}: it holds no fakes to show next to its reals; give a store that does"
        )
    count = targets or max(1, min(_MOST_TARGETS, _PAIRS // len(stores)))
    shown = _targets(stores, methods, count)
    sheet = _lay_out(stores, methods, shown)
    with files.replacing(out, remedy="give another --out") as file:
        _save(sheet, file)
    return out


def _targets(stores: Sequence[CropStore], methods: Sequence[str], count: int) -> list[str]:
    """Targets that are in most methods of most stores, evenly among these; [""] where no target is known."""
    places_of: dict[str, set[tuple[int, str]]] = {}
    for number, store in enumerate(stores):
        known = store.index[store.index["target"] != ""]
        for target, method in (
            known[["target", "method"]].drop_duplicates().itertuples(index=False, name=None)
        ):
            places_of.setdefault(target, set()).add((number, method))
    if not places_of:
        return [""]
    most = max(len(places) for places in places_of.values())
    best = sorted(target for target, places in places_of.items() if len(places) == most)
    if most <= len(stores):
        # Reals and fakes of different people: nothing to pair.
        return [""] * min(count, len(best))
    count = min(count, len(best))
    return [best[(2 * place + 1) * len(best) // (2 * count)] for place in range(count)]


def _pair(index: pd.DataFrame, method: str, target: str, turn: int) -> _Pair:
    """Choose the rows to show: ``turn`` moves on to another frame, or to another video where no target is known."""
    of_target = index if target == "" else index[index["target"] == target]
    real = of_target[of_target["label"] == REAL]
    fake = of_target[of_target["method"] == method]
    if target == "":
        return _Pair(
            *(int(some.index[turn * 97 % len(some)]) if len(some) else None for some in (real, fake))
        )
    common = sorted(set(real["frame"]) & set(fake["frame"]))
    if common:
        frame = common[(len(common) // 2 + turn) % len(common)]
        real, fake = real[real["frame"] == frame], fake[fake["frame"] == frame]
    return _Pair(*(int(some.index[0]) if len(some) else None for some in (real, fake)))


def _lay_out(stores: Sequence[CropStore], methods: Sequence[str], targets: Sequence[str]) -> _Sheet:
    pair = 2 * _CELL + _NEAR
    block = len(stores) * pair + (len(stores) - 1) * _APART
    width = _LEFT + len(targets) * block + (len(targets) - 1) * _FAR + _EDGE
    credits = [str(c) for s in stores if (c := s.info.details.get("photographs"))]
    height = _TOP + len(methods) * (_CELL + _ROW_GAP) + _BOTTOM
    sheet = _Sheet(np.full((height, width, 3), 255, np.uint8))
    for column, target in enumerate(targets):
        left = _LEFT + column * (block + _FAR)
        name = f"target {target}" if target else "any target"
        sheet.say(left + block / 2, 17, name, ha="center", va="center", size=12, weight="bold")
        for place, store in enumerate(stores):
            x = left + place * (pair + _APART)
            sheet.say(x + pair / 2, 38, _compression(store), ha="center", va="center", size=10, color=_SOFT)
            for offset, word, ink in ((0, "real", _INK), (_CELL + _NEAR, "fake", _FAKE_INK)):
                sheet.say(x + offset + _CELL / 2, 59, word, ha="center", va="center", size=10, color=ink)
            for row, method in enumerate(methods):
                y = _TOP + row * (_CELL + _ROW_GAP)
                turn = row if target else row + column * len(methods)
                rows = _pair(store.index, method, target, turn)
                sheet.put(None if rows.real is None else store.crops[rows.real], x, y)
                sheet.put(None if rows.fake is None else store.crops[rows.fake], x + _CELL + _NEAR, y)
    for row, method in enumerate(methods):
        middle = _TOP + row * (_CELL + _ROW_GAP) + _CELL / 2
        sheet.say(_LEFT - 12, middle, method, ha="right", va="center", size=11, weight="bold")
    about = "; ".join(f"{s.name}: {len(s):,} crops of {s.size} px" for s in stores)
    foot = "\n".join([about, *dict.fromkeys(f"Photographs: {credit}" for credit in credits)])
    sheet.say(_EDGE, height - _BOTTOM / 2, foot, ha="left", va="center", size=8, color=_SOFT)
    return sheet


def _compression(store: CropStore) -> str:
    names = ", ".join(sorted(store.index["compression"].unique()))
    return store.name if names == "none" else names


def _save(sheet: _Sheet, out: BinaryIO) -> None:
    from matplotlib.figure import Figure

    height, width = sheet.image.shape[:2]
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    figure.figimage(sheet.image)
    for x, y, text, style in sheet.words:
        figure.text(x / width, 1 - y / height, text, **{"color": _INK, **style})
    figure.savefig(out, format="png", metadata={"Software": None})
