"""The contact sheet: which crops stand where, of one store and of several, and of stores that pair nothing."""

from __future__ import annotations

import errno
import os

import cv2
import numpy as np
import pandas as pd
import pytest

from fretal_bench import files
from fretal_bench.datasets.store.preview import preview
from fretal_bench.datasets.store.store import CropStoreWriter
from fretal_bench.errors import BenchError, RunError

CELL = 112


def store(path, people=("a", "b"), methods=("real", "Swap", "Face"), compression="c23", targets=True):
    """A store whose crops say by colour what they are: red the person, green the method, blue the frame."""
    rows, crops = [], []
    for method_number, method in enumerate(methods):
        for person_number, person in enumerate(people):
            for frame in range(4):
                fake = method != "real"
                rows.append(
                    {
                        "path": f"{method}/{person}.mp4",
                        "dataset": "toy",
                        "method": method,
                        "compression": compression,
                        "split": "train",
                        "label": int(fake),
                        "video": person,
                        "source": "" if fake or not targets else person,
                        "target": person if targets else "",
                        "frame": frame,
                    }
                )
                crops.append(
                    np.full((20, 20, 3), (50 + 50 * person_number, 50 + 50 * method_number, 60 * frame))
                )
    with CropStoreWriter(path, size=20, name=path.name) as writer:
        writer.add(np.array(crops, np.uint8), pd.DataFrame(rows))
        return writer.finish({"photographs": "by courtesy of nobody"}).path


def cells(picture):
    """Colours of the crops on a sheet, row by row, left to right."""
    image = cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB)
    rows = []
    for top in range(74, image.shape[0] - CELL, CELL + 10):
        line = image[top + CELL // 2]
        colours = [tuple(int(v) for v in c) for c in line[158:]]
        kept = [
            c for c, after in zip(colours, colours[3:], strict=False) if c == after and c != (255, 255, 255)
        ]
        rows.append(list(dict.fromkeys(kept)))
    return rows


def test_a_row_is_a_method_and_real_and_fake_are_of_one_target_and_frame(tmp_path):
    out = preview([store(tmp_path / "s")], tmp_path / "deeper" / "sheet.png")
    swap, other = cells(out)
    # Two targets, each real then fake: same red (person), same blue (frame), green says the method.
    for row, green in ((swap, 100), (other, 150)):
        assert [colour[0] for colour in row] == [50, 50, 100, 100]
        assert [colour[1] for colour in row] == [50, green, 50, green]
        assert len({colour[2] for colour in row}) == 1
    assert swap[0][2] != other[0][2], "another row shows another frame"


def test_several_stores_stand_side_by_side_for_each_target(tmp_path):
    stores = [store(tmp_path / c, compression=c) for c in ("c23", "c40")]
    single = cv2.imread(str(preview(stores[:1], tmp_path / "one.png", targets=1)))
    double = cv2.imread(str(preview(stores, tmp_path / "two.png", targets=1)))
    assert double.shape[1] - single.shape[1] == 2 * CELL + 3 + 10
    assert double.shape[0] == single.shape[0]


def test_the_same_stores_give_the_same_bytes_and_nothing_unfinished(tmp_path):
    path = store(tmp_path / "s")
    first = preview([path], tmp_path / "a.png").read_bytes()
    assert preview([path], tmp_path / "b.png").read_bytes() == first
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.endswith(".lock")) == [
        "a.png",
        "b.png",
        "s",
    ]


@pytest.mark.parametrize("targets", [True, False])
def test_sets_that_pair_nobody_show_any_real_beside_any_fake(tmp_path, targets):
    path = tmp_path / "s"
    if targets:
        rows = pd.concat([_rows("real", "p", 0), _rows("GAN", "q", 1)], ignore_index=True)
        with CropStoreWriter(path, size=20, name="s") as writer:
            writer.add(
                np.repeat(np.uint8([40, 200]), 3)[:, None, None, None] * np.ones((1, 20, 20, 3), np.uint8),
                rows,
            )
            writer.finish()
    else:
        store(path, targets=False)
    rows = cells(preview([path], tmp_path / "sheet.png"))
    assert all(len(row) >= 2 for row in rows)


def _rows(method, prefix, label):
    return pd.DataFrame(
        {
            "path": [f"{method}/{n}.png" for n in range(3)],
            "dataset": "toy",
            "method": method,
            "compression": "none",
            "split": "test",
            "label": label,
            "video": [f"{prefix}{n}" for n in range(3)],
            "source": "" if label else [f"{prefix}{n}" for n in range(3)],
            "target": [f"{prefix}{n}" for n in range(3)],
            "frame": 0,
        }
    )


def test_a_full_disk_is_one_line_and_leaves_the_old_sheet(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = store(tmp_path / "s")
    old = preview([path], tmp_path / "sheet.png").read_bytes()
    monkeypatch.setattr(files, "move", full)
    with pytest.raises(RunError, match=r"sheet\.png: no space left"):
        preview([path], tmp_path / "sheet.png", targets=1)
    assert (tmp_path / "sheet.png").read_bytes() == old
    assert not list(tmp_path.glob(".sheet*"))


def test_what_cannot_be_drawn_is_one_line(tmp_path):
    path = store(tmp_path / "s")
    reals = store(tmp_path / "reals", methods=("real",))
    for stores, out, changes, message in (
        ([path], "sheet.jpg", {}, "give a name that ends in .png"),
        ([path], "sheet.png", {"targets": 0}, "--targets 0"),
        ([reals], "sheet.png", {}, "it holds no fakes"),
        ([tmp_path / "gone"], "sheet.png", {}, "no crop store at"),
        ([path], "s/crops.npy/sheet.png", {}, "sheet.png: cannot be written"),
    ):
        with pytest.raises(BenchError) as caught:
            preview(stores, tmp_path / out, **changes)
        assert message in str(caught.value)
