"""Facts of files that tell real from fake: found where they are, silent where they are not."""

import json
from dataclasses import asdict, replace
from math import nan

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from fretal_bench.benchmark.recipes.recipe import open_recipe
from fretal_bench.benchmark.runner.folder import ResultFolder
from fretal_bench.benchmark.runner.plan import make_plan
from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.check.facts import Facts
from fretal_bench.datasets.check.shortcuts import (
    SAMPLED,
    TOGETHER,
    find_shortcuts,
    sentence,
    stored_shortcuts,
)
from fretal_bench.datasets.check.tables import check_tables
from fretal_bench.datasets.faces.options import PrepareOptions
from fretal_bench.datasets.faces.prepare import prepare
from fretal_bench.datasets.manifest import COLUMNS
from fretal_bench.datasets.store.store import CropStore
from fretal_bench.datasets.streams.domain import Domain
from fretal_bench.datasets.streams.stream import Protocol, Stream
from fretal_bench.errors import BenchError
from trees import Tree

PLAIN = Facts(".jpg", "JPEG", 96, 96, "RGB", 8, quality=90.0, tables="a")


def rows(real, fake, *, same_people=True, method="swap", split="train", videos=1):
    """A manifest of so many people of each class; the real and the fake of the same people, or of others."""
    entries = []
    for label, count in ((0, real), (1, fake)):
        for person in range(count):
            name = f"{split}-{person}" if same_people or not label else f"{split}-other-{person}"
            for video in range(videos):
                path = f"{split}/{method if label else 'real'}/{person}-{video}"
                entries.append(
                    (path, "set", method if label else "real", "none", split, label, path, name, name, -1)
                )
    return pd.DataFrame(entries, columns=list(COLUMNS))


def by_class(real, fake):
    return lambda path: fake if "/swap/" in path else real


def told(frame, facts_of):
    return [shortcut.fact for shortcut in find_shortcuts(frame, facts_of).shortcuts]


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"suffix": ".png"}, "suffix"),
        ({"format": "PNG"}, "format"),
        ({"width": 192, "height": 192}, "width"),
        ({"height": 192}, "height"),
        ({"quality": 75.0, "tables": "b"}, "JPEG quality"),
        ({"tables": "b"}, "JPEG tables"),
        ({"bits": 16}, "bit depth"),
        ({"pixels": "L"}, "pixel format"),
        ({"bit_rate": 1e6}, "bit rate"),
        ({"frame_rate": 25.0}, "frame rate"),
        ({"duration": 10.0}, "duration"),
    ],
)
@pytest.mark.parametrize("same_people", [True, False])
def test_each_fact_that_differs_is_told_by_name_with_what_each_class_has(change, fact, same_people):
    (shortcut,) = find_shortcuts(
        rows(20, 20, same_people=same_people), by_class(PLAIN, replace(PLAIN, **change))
    ).shortcuts

    assert (shortcut.fact, shortcut.accuracy, shortcut.split) == (fact, 1.0, "train")
    assert shortcut.real != shortcut.fake
    assert shortcut.p <= 0.05


def test_the_same_facts_in_both_classes_are_silent():
    search = find_shortcuts(rows(40, 40), by_class(PLAIN, PLAIN))

    assert search.shortcuts == ()
    assert search.tested == 1


def random_facts(random):
    return lambda _: Facts(
        random.choice([".jpg", ".png"]),
        width=int(random.integers(50, 500)),
        height=96,
        quality=float(random.choice([75, 90])),
        bit_rate=float(random.lognormal()),
    )


@pytest.mark.parametrize("people", [(12, 12, True), (12, 12, False), (6, 30, False)])
def test_sets_without_a_shortcut_get_a_word_no_more_often_than_stated(people):
    sets = 40
    real, fake, same_people = people
    frame = rows(real, fake, same_people=same_people)
    random = np.random.default_rng(3)

    alarms = sum(bool(told(frame, random_facts(random))) for _ in range(sets))

    print(f"{alarms} false alarms in {sets} sets, {people}")
    # A procedure that keeps its 5% has more with a probability of one in 10,000.
    assert alarms <= binom.ppf(0.9999, sets, 0.05)


def test_several_domains_together_get_a_word_no_more_often_than_stated():
    frame = pd.concat(
        [rows(10, 10, method="swap", split=s) for s in ("train", "val", "test")], ignore_index=True
    )
    more = [frame, *(frame[frame["label"] == 1].assign(method=m, path=m + frame["path"]) for m in "abc")]
    frame = pd.concat(more, ignore_index=True)
    random = np.random.default_rng(4)

    alarms = sum(bool(told(frame, random_facts(random))) for _ in range(8))

    assert alarms <= binom.ppf(0.9999, 8, 0.05)


def test_videos_of_a_few_people_with_cameras_of_their_own_are_not_taken_for_many():
    frame = rows(3, 3, same_people=False, videos=20)

    search = find_shortcuts(frame, lambda path: replace(PLAIN, width=int(path.split("/")[2][0]) * 100))

    assert search.shortcuts == ()
    assert search.few == ("set/swap train",)


@pytest.mark.parametrize(("people", "tested"), [(1, 0), (2, 0), (33, 1)])
def test_domains_of_too_few_people_are_counted_and_not_tested(people, tested):
    search = find_shortcuts(rows(people, people), by_class(PLAIN, replace(PLAIN, suffix=".png")))

    assert (search.tested, len(search.few), bool(search.shortcuts)) == (tested, 1 - tested, bool(tested))


def test_a_domain_of_one_class_is_counted_and_not_tested():
    assert find_shortcuts(rows(0, 30), by_class(PLAIN, PLAIN)).few == ("set/swap train",)
    assert find_shortcuts(rows(30, 0), by_class(PLAIN, PLAIN)) == find_shortcuts(
        rows(0, 0), by_class(PLAIN, PLAIN)
    )


def test_facts_that_tell_nothing_alone_are_tried_together():
    def facts_of(path):
        odd = int(path.split("/")[2].split("-")[0]) % 2
        small = bool(odd) != ("/swap/" in path)
        return replace(PLAIN, width=96 if odd else 192, quality=75.0 if small else 95.0)

    (shortcut,) = find_shortcuts(rows(40, 40), facts_of).shortcuts

    assert shortcut.fact == TOGETHER
    assert shortcut.accuracy == 1.0


def test_at_most_a_stated_number_of_files_is_looked_at_each_once():
    asked = []

    def facts_of(path):
        asked.append(path)
        return PLAIN

    frame = pd.concat([rows(900, 900), rows(0, 900, method="other")], ignore_index=True)
    find_shortcuts(frame, facts_of)

    assert len(asked) == len(set(asked)) == 3 * SAMPLED


def test_a_fake_set_without_real_of_its_own_is_held_against_those_of_others():
    frame = rows(20, 20)
    frame.loc[frame["label"] == 1, "dataset"] = "another"

    (shortcut,) = find_shortcuts(frame, by_class(PLAIN, replace(PLAIN, suffix=".png"))).shortcuts

    assert (shortcut.dataset, shortcut.method) == ("another", "swap")


def test_the_result_is_the_same_for_the_same_files_in_any_order():
    frame = rows(30, 30)
    random = np.random.default_rng(1)
    facts = {
        path: replace(PLAIN, bit_rate=float(random.lognormal(0.8 * ("swap" in path))))
        for path in frame["path"]
    }

    first = find_shortcuts(frame, facts.__getitem__)

    assert first == find_shortcuts(frame, facts.__getitem__)
    assert first == find_shortcuts(frame.iloc[::-1].reset_index(drop=True), facts.__getitem__)


def test_what_a_store_keeps_is_read_back_and_said_in_a_sentence():
    frame = pd.concat([rows(20, 20, split=split) for split in ("train", "test")], ignore_index=True)
    search = find_shortcuts(frame, by_class(PLAIN, replace(PLAIN, suffix=".png", format="PNG")))
    details = json.loads(json.dumps({"shortcuts": search.to_dict()}, allow_nan=False))

    assert sentence(stored_shortcuts(details, "store.json")) == (
        "suffix alone tells real from fake in train and test (real: all .jpg; fake: all .png), right in 100%, "
        "chance is 50%; so does format"
    )
    assert stored_shortcuts({}, "store.json") == ()


@pytest.mark.parametrize(
    ("key", "value"), [("split", "dev"), ("accuracy", 1.5), ("accuracy", nan), ("files", -1), ("fact", 3)]
)
def test_a_kept_value_that_cannot_be_is_refused_by_its_key(key, value):
    search = find_shortcuts(rows(20, 20), by_class(PLAIN, replace(PLAIN, suffix=".png")))
    (entry,) = search.to_dict()["found"]

    with pytest.raises(BenchError, match=key):
        stored_shortcuts({"shortcuts": {"found": [{**entry, key: value}]}}, "store.json")


@pytest.mark.parametrize("kept", [[], {}, {"found": 3}, {"found": [1]}, {"found": [{"fact": "suffix"}]}])
def test_a_store_that_keeps_something_else_is_refused_by_name(kept):
    with pytest.raises(BenchError, match=r"store\.json: details\.shortcuts"):
        stored_shortcuts({"shortcuts": kept}, "store.json")


def pictures(root, real, fake):
    """Image folders of 12 pictures a class and split; ``real`` and ``fake`` encode an array and name the suffix."""
    random = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for number in range(12):
            picture = np.repeat(np.repeat(random.integers(0, 255, (12, 12, 3), np.uint8), 8, 0), 8, 1)
            for label, (encode, suffix) in (("real", real), ("fake", fake)):
                Tree(root).data(f"A/{split}/{label}/{number}{suffix}", encode(picture))
    return root


def jpeg(quality, size=96):
    import cv2

    def encode(picture):
        sized = cv2.resize(picture, (size, size))
        return cv2.imencode(".jpg", sized, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()

    return encode, ".jpg"


def png():
    import cv2

    return lambda picture: cv2.imencode(".png", picture)[1].tobytes(), ".png"


@pytest.mark.parametrize(
    ("real", "fake", "facts"),
    [
        (jpeg(75), png(), {"suffix", "format", "JPEG quality"}),
        (jpeg(75, 96), jpeg(95, 192), {"width", "JPEG quality"}),
        (jpeg(90), jpeg(90), set()),
        (png(), png(), set()),
    ],
)
def test_a_check_says_which_fact_of_the_files_tells_real_from_fake(tmp_path, real, fake, facts):
    result = check(pictures(tmp_path / "data", real, fake))

    assert {shortcut.fact for shortcut in result.shortcuts.shortcuts} == facts
    assert {shortcut.split for shortcut in result.shortcuts.shortcuts} == (
        {"train", "val", "test"} if facts else set()
    )
    assert [f.severity for f in result.findings if f.kind == "shortcut"] == (["warning"] if facts else [])
    assert result.errors == 0
    tables = {title: cells for title, _, cells in check_tables(result)}
    (table,) = [cells for title, cells in tables.items() if title.startswith("Facts")] or [[]]
    assert {row[2] for row in table} == facts
    assert all(row[0] == "A/fake" and row[5] == "100%" for row in table)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store made of JPEG real and PNG fake pictures."""
    folder = tmp_path_factory.mktemp("stores")
    root = pictures(folder / "data", jpeg(75), png())
    return prepare(root, folder / "store", options=PrepareOptions(size=32, detector="none")), root


def test_prepare_keeps_what_a_check_says_and_a_second_time_gives_it_again(store):
    made, root = store

    again = prepare(root, made.store.path, options=PrepareOptions(size=32, detector="none"))

    kept = made.store.info.details["shortcuts"]
    assert kept == json.loads(json.dumps(check(root).shortcuts.to_dict()))
    assert not again.made
    assert again.shortcuts == made.shortcuts
    assert made.to_dict()["shortcuts"]["A/fake/none"].startswith(
        "suffix alone tells real from fake in train, val"
    )


def test_a_stream_says_it_of_the_domains_and_splits_that_have_it(store):
    made, _ = store
    index = made.store.index
    rows = {split: np.flatnonzero(index["split"] == split) for split in ("train", "val", "test")}
    whole = Domain("whole", made.store, rows)
    old = CropStore(made.store.path, made.store.crops, index, replace(made.store.info, details={}))

    said = Stream("s", [whole, Domain("old", old, rows)]).shortcuts()

    assert list(said) == ["whole"]
    assert "suffix alone tells real from fake in train, val and test" in said["whole"]


def test_a_domain_does_not_say_what_holds_of_another_method(store):
    made, _ = store
    index = made.store.index.assign(
        method=lambda index: index["method"].where(index["label"] == 0, "another")
    )
    rows = {split: np.flatnonzero(index["split"] == split) for split in ("train", "val", "test")}

    assert (
        Domain(
            "another", CropStore(made.store.path, made.store.crops, index, made.store.info), rows
        ).shortcuts()
        == ""
    )


def test_the_shortcuts_of_a_stream_change_no_id_and_stand_in_the_plan_where_there_are_any(tmp_path):
    digest = "0" * 64
    domain = {"name": "A", "store": digest, "rows": dict.fromkeys(("train", "val", "test"), digest)}
    fingerprint = {"name": "s", "protocol": asdict(Protocol()), "domains": [domain]}
    recipe = open_recipe("mini")
    plan = make_plan(["finetuning"], "s", fingerprint, recipe, [0])
    told_of = replace(plan, shortcuts={"A": "suffix alone"})

    ResultFolder(tmp_path / "without").create(plan)
    ResultFolder(tmp_path / "with").create(told_of)
    ResultFolder(tmp_path / "without").create(told_of)

    without, with_ = (json.loads((tmp_path / name / "plan.json").read_text()) for name in ("without", "with"))
    assert with_["stream"]["shortcuts"] == {"A": "suffix alone"}
    assert without == with_
    ResultFolder(tmp_path / "with").create(plan)
    assert "shortcuts" not in json.loads((tmp_path / "with" / "plan.json").read_text())["stream"]


def test_unknown_facts_are_a_value_of_their_own():
    facts = told(rows(20, 20), by_class(replace(PLAIN, duration=4.0), replace(PLAIN, duration=nan)))

    assert facts == ["duration"]
