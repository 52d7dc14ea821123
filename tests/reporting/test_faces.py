"""Faces that were forgotten: which frames turned, which are shown, and their pictures as far as these are at hand."""

from __future__ import annotations

import base64
import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from fretal_bench.datasets.store.store import CropStoreWriter
from fretal_bench.reporting.crop_stores import stores_of
from fretal_bench.reporting.faces import KINDS, faces_data, frames_that_turned
from fretal_bench.reporting.summary import summarize
from toy_stores import toy_rows

DOMAINS = ("a", "b", "c")


class Crops:
    crops = np.random.default_rng(0).integers(0, 255, (100, 70, 70, 3), dtype=np.uint8)

    def __len__(self):
        return 100


@pytest.fixture(scope="module")
def results(make):
    results = make({"finetuning": (0.95, 0.14), "er": (0.92, 0.02)}, seeds=2, domains=DOMAINS)
    # Some frames are won back: wrong when learned, right at the end.
    for cell in results.cells:
        wrong = (cell.scores["row"] < 3) & (cell.scores["step"] == 0) & (cell.scores["domain"] == "a")
        cell.scores.loc[wrong, "score"] = 1 - cell.scores.loc[wrong, "label"].to_numpy(np.float32)
    return results


def by_hand(cell):
    """Domain, row and kind of every frame that turned, one by one."""
    table = {(s, d, r): (p, y) for s, d, r, p, y in cell.scores[COLUMNS].itertuples(index=False)}
    turned = set()
    for place, name in enumerate(DOMAINS[:-1]):
        for row in range(100):
            (then, label), (now, _) = table[place, name, row], table[2, name, row]
            before, after = (then >= 0.5) == label, (now >= 0.5) == label
            if before and not after:
                turned.add((place, row, "missed" if label else "alarm"))
            elif after and not before:
                turned.add((place, row, "back"))
    return turned


COLUMNS = ["step", "domain", "row", "score", "label"]


def test_frames_that_turned_are_those_whose_side_of_the_threshold_changed(results):
    for cell in results.cells:
        turned = frames_that_turned(cell, DOMAINS)
        assert {(d, r, KINDS[k]) for d, k, r, *_ in turned.rows_of()} == by_hand(cell)


def test_of_every_video_the_largest_change_is_shown_with_its_seeds_and_all_frames_are_counted(results):
    data = faces_data(results, summarize(results), {}, 0)
    cells = [cell for cell in results.cells if cell.label == "finetuning"]
    for place in range(2):
        for kind in KINDS:
            count = sum(d == place and k == kind for cell in cells for d, _, k in by_hand(cell))
            assert data["counts"][0][place][kind] == count
    shown = [(face["kind"], face["domain"], face["name"]) for face in data["of"][0]]
    assert len(shown) == len(set(shown))
    assert {face["kind"] for face in data["of"][0]} == set(KINDS)
    changes = [abs(f["now"] - f["then"]) for f in data["of"][0] if (f["kind"], f["domain"]) == ("missed", 0)]
    assert changes == sorted(changes, reverse=True)
    assert all(face["fake"] for face in data["of"][0] if face["kind"] == "missed")


def test_without_the_store_faces_are_named_without_pictures_and_the_page_says_so(results):
    data = faces_data(results, summarize(results), {}, 10**6)
    assert data["pictures"] == []
    assert "crop store of these results (0123) is not on the machine" in data["words"]


def test_pictures_are_the_crops_of_the_rows_and_stop_at_the_budget(results):
    summary = summarize(results)
    whole = faces_data(results, summary, {"0123": Crops()}, 10**6)
    assert "not on the machine" not in whole["words"]
    assert all(face["picture"] is not None for faces in whole["of"] for face in faces)
    picture = Image.open(io.BytesIO(base64.b64decode(whole["pictures"][0])))
    assert picture.size == (64, 64)
    budget = sum(len(text) + 3 for text in whole["pictures"]) // 2
    half = faces_data(results, summary, {"0123": Crops()}, budget)
    assert 0 < sum(len(text) + 3 for text in half["pictures"]) <= budget
    assert "left out" in half["words"]
    # Both strategies keep the pictures of their largest changes.
    assert all(faces[0]["picture"] is not None for faces in half["of"])


def test_stores_are_found_by_their_content_wherever_built_in_ones_are_made(results, tmp_path, monkeypatch):
    monkeypatch.setenv("FRETAL_BENCH_CACHE", str(tmp_path))
    monkeypatch.delenv("FRETAL_BENCH_DATA", raising=False)
    rows = toy_rows()
    with CropStoreWriter(tmp_path / "stores" / "mine", size=8, name="mine") as writer:
        writer.add(np.zeros((len(rows), 8, 8, 3), np.uint8), rows)
        store = writer.finish()
    assert stores_of(results) == {}
    domains = [{**domain, "store": store.checksum} for domain in results.plan["stream"]["domains"]]
    plan = {**results.plan, "stream": {**results.plan["stream"], "domains": domains}}
    found = stores_of(dataclasses.replace(results, plan=plan))
    assert [of.path for of in found.values()] == [tmp_path / "stores" / "mine"]
