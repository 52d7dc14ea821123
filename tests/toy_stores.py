"""Small crop stores with random crops, for tests of domains and streams."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from fretal_bench.datasets.store.store import CropStore, CropStoreWriter

PEOPLE = {"train": ("a", "b", "c", "d", "e", "f"), "val": ("m", "n"), "test": ("x", "y")}
FRAMES = 3


def toy_rows(methods: tuple[str, ...] = ("Deepfakes", "FaceSwap"), dataset: str = "toy") -> pd.DataFrame:
    """A real video of each person, and of each method a fake with the next person of the split as its source."""
    rows = []
    for split, people in PEOPLE.items():
        for place, person in enumerate(people):
            for method in ("real", *methods):
                fake = method != "real"
                source = people[(place + 1) % len(people)] if fake else person
                video = f"{person}_{source}" if fake else person
                rows.append(
                    {
                        "path": f"{method}/{video}.mp4",
                        "dataset": dataset,
                        "method": method,
                        "compression": "c23",
                        "split": split,
                        "label": int(fake),
                        "video": video,
                        "source": source,
                        "target": person,
                    }
                )
    frame = pd.DataFrame(rows)
    return frame.loc[frame.index.repeat(FRAMES)].assign(frame=list(range(FRAMES)) * len(frame))


def paired_rows(train: int, val: int, test: int, *, frames: int = 2, alone: int = 0) -> pd.DataFrame:
    """Real videos, and fakes of every person with the other of the pair; ``alone`` of the trained have no partner."""
    rows = []
    number = 0
    for split, count in (("train", train), ("val", val), ("test", test)):
        people = [f"{number + place:03}" for place in range(count)]
        number += count
        for place, person in enumerate(people):
            single = split == "train" and place >= count - alone
            other = person if single else people[place ^ 1]
            for method in ("real", "Deepfakes", "FaceSwap"):
                fake = method != "real"
                rows.append(
                    {
                        "path": f"{method}/{person}.mp4",
                        "dataset": "toy",
                        "method": method,
                        "compression": "c23",
                        "split": split,
                        "label": int(fake),
                        "video": f"{person}_{other}" if fake else person,
                        "source": other if fake else person,
                        "target": person,
                    }
                )
    frame = pd.DataFrame(rows)
    return frame.loc[frame.index.repeat(frames)].assign(frame=list(range(frames)) * len(frame))


def toy_store(path: Path, rows: pd.DataFrame | None = None, size: int = 16) -> CropStore:
    """Write a store of random crops; fakes are brighter, so that a model can learn them."""
    rows = toy_rows() if rows is None else rows
    crops = np.random.default_rng(0).integers(0, 128, (len(rows), size, size, 3), dtype=np.uint8)
    crops += (rows["label"].to_numpy() * 100).astype(np.uint8)[:, None, None, None]
    with CropStoreWriter(path, size=size, name="toy") as writer:
        writer.add(crops, rows)
        return writer.finish()
