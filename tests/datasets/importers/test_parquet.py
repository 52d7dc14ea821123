"""Parquet files with pictures: columns, labels that are certain or refused, splits, damage, and flat memory."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.faces.options import PrepareOptions
from fretal_bench.datasets.faces.prepare import prepare
from fretal_bench.datasets.importers import ReadOptions, parquet, read_dataset, recognise
from fretal_bench.datasets.importers.archives import unpack
from fretal_bench.errors import BenchError
from trees import manifest, png, told

OPTIONS = ReadOptions(val_fraction=0)
COLUMNS = ["path", "dataset", "method", "split", "label", "video", "source", "target", "frame"]
CROPS = PrepareOptions(size=8, detector="none")


def write(path, pictures=None, *, struct=True, names=None, group=None, **columns):
    """A Parquet file of grey pictures, one a row; ``names`` are those of a Hugging Face ``ClassLabel``."""
    count = len(next(iter(columns.values())))
    pictures = [png(n) for n in range(count)] if pictures is None else pictures
    images = [{"bytes": data, "path": "x.png"} for data in pictures] if struct else pictures
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())]) if struct else pa.binary()
    table = pa.table({"image": pa.array(images, kind), **columns})
    if names is not None:
        info = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=group)


def labels(read):
    return read.frame.sort_values("path")["label"].tolist()


def test_rows_become_pictures_that_are_their_own_people_split_by_the_files_names(tmp_path):
    for split in ("train", "validation", "test"):
        write(tmp_path / f"data/{split}-00000-of-00001.parquet", label=["real", "fake"])

    read = read_dataset(tmp_path, options=OPTIONS)

    name = tmp_path.name
    rows = manifest(read.frame, COLUMNS)
    real = "data/test-00000-of-00001.parquet::image/00000/0000000"
    fake = "data/train-00000-of-00001.parquet::image/00000/0000001"
    assert (real, name, "real", "test", 0, real, real, real, 0) in rows
    assert (fake, name, "fake", "train", 1, fake, "", fake, 0) in rows
    assert len(rows) == 6
    assert set(read.frame["split"]) == {"train", "val", "test"}
    assert recognise(tmp_path)[0].name == "parquet"
    assert any("a person of its own" in finding.found for finding in read.findings)


@pytest.mark.parametrize(
    ("values", "names", "given", "expected"),
    [
        (["real", "fake"], None, {}, [0, 1]),
        (["nature", "AI"], None, {}, [0, 1]),
        (["0_real", "1_fake"], None, {}, [0, 1]),
        ([0, 1], ["fake", "real"], {}, [1, 0]),
        ([0, 1], ["real", "aigc"], {}, [0, 1]),
        ([1, 0], None, {"0": "fake", "1": "real"}, [0, 1]),
        ([True, False], None, {"true": "fake", "false": "real"}, [1, 0]),
        (["pexels", "sdxl"], None, {"pexels": "real", "sdxl": "fake"}, [0, 1]),
        ([0, 1], ["pexels", "sdxl"], {"pexels": "real", "sdxl": "fake"}, [0, 1]),
    ],
)
def test_a_label_is_a_word_a_class_that_the_file_names_or_what_the_option_says(
    tmp_path, values, names, given, expected
):
    write(tmp_path / "test-0.parquet", label=values, names=names)

    read = read_dataset(tmp_path, options=ReadOptions(val_fraction=0, labels=given))

    assert labels(read) == expected
    assert read.left_out == ()


@pytest.mark.parametrize("struct", [True, False])
def test_columns_of_other_names_are_named_by_option(tmp_path, struct):
    columns = {"is": ["real", "fake", "fake"], "model": ["x", "a/b", "c"], "part": ["train", "test", "dev"]}
    write(tmp_path / "x.parquet", struct=struct, who=["p", "q", "q"], **columns)
    names = {"label": "is", "method": "model", "split": "part", "target": "who"}

    read = read_dataset(tmp_path / "x.parquet", options=ReadOptions(val_fraction=0, columns=names))

    chosen = ["dataset", "method", "split", "label", "source", "target"]
    assert manifest(read.frame, chosen) == [
        ("x", "real", "train", 0, "p", "p"),
        ("x", "a-b", "test", 1, "", "q"),
    ]
    assert [left.kind for left in read.left_out] == ["split"]
    assert check(tmp_path / "x.parquet", options=ReadOptions(columns=names)).command.count("--column") == 4


def test_a_column_video_gathers_the_frames_of_a_video(tmp_path):
    write(tmp_path / "test.parquet", label=["fake"] * 3, video=["v", "w", "v"])

    read = read_dataset(tmp_path, options=OPTIONS)

    assert manifest(read.frame, ["video", "target", "frame"]) == [("v", "v", 0), ("v", "v", 1), ("w", "w", 0)]


def test_without_a_split_people_are_dealt_out_by_identity(tmp_path):
    write(tmp_path / "part0.parquet", label=["real", "fake"] * 20, target=[str(n // 4) for n in range(40)])

    frame = read_dataset(tmp_path).frame

    assert set(frame["split"]) == {"train", "val", "test"}
    assert frame.groupby("target")["split"].nunique().max() == 1


def test_people_in_two_files_splits_stay_in_the_test(tmp_path):
    for split in ("train", "test"):
        write(tmp_path / f"{split}.parquet", label=["real", "fake"], target=["p", split])

    read = read_dataset(tmp_path, options=OPTIONS)

    assert [(left.path.split("::")[0], left.kind) for left in read.left_out] == [
        ("train.parquet", "crossing")
    ]


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        ({"label": [0, 1]}, {}, "holds numbers, and nothing says which is real; say it, e.g. --label 0=real"),
        ({"kind": ["real", "fake"]}, {}, "expected one column 'label' for label, found image, kind"),
        ({"label": ["real", "fake"]}, {"columns": {"split": "fold"}}, "expected one column 'fold' for split"),
        (
            {"label": ["real", "fake"]},
            {"columns": {"image": "label"}},
            "--column image=label: expected a column",
        ),
        ({"label": ["real", "fake"]}, {"columns": {"lable": "label"}}, "did you mean 'label'"),
        ({"label": ["real", "fake"], "mask": [b"", b""]}, {}, "one column of pictures, found image, mask"),
        (
            {"label": ["real", "fake"]},
            {"labels": {"real": "fake"}},
            "--label real=fake: the word says the opp",
        ),
    ],
)
def test_what_would_have_to_be_guessed_is_refused_in_one_line(tmp_path, columns, options, words):
    write(tmp_path / "test.parquet", **columns)

    with pytest.raises(BenchError) as caught:
        read_dataset(tmp_path, options=ReadOptions(**options))

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_option_that_is_neither_real_nor_fake_is_refused():
    with pytest.raises(BenchError, match="--label"):
        ReadOptions(labels={"0": "maybe"})


def test_rows_of_unknown_labels_and_damaged_files_are_counted(tmp_path):
    write(tmp_path / "test-0.parquet", label=["real", "fake", "surreal", "1_real", None])
    write(tmp_path / "test-1.parquet", label=["real"])
    data = (tmp_path / "test-1.parquet").read_bytes()
    (tmp_path / "test-1.parquet").write_bytes(data[:-30])
    (tmp_path / "test-2.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")

    result = check(tmp_path)

    assert result.left_out == {"label": 3, "unreadable": 2}
    assert told(result.findings, "error") >= {("unreadable", f"test-{n}.parquet") for n in (1, 2)}
    assert labels(read_dataset(tmp_path)) == [0, 1]


def test_pictures_that_pack_away_to_nothing_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_SMALL", 1 << 20)
    pictures = [bytes(1 << 20)] * 3
    table = pa.table({"image": pa.array(pictures, pa.binary()), "label": ["real", "fake", "fake"]})
    pq.write_table(table, tmp_path / "test.parquet", compression="zstd", use_dictionary=False)

    read = read_dataset(tmp_path)

    assert [(left.path, left.kind) for left in read.left_out] == [("test.parquet", "size")]


def test_pictures_are_cut_out_of_their_own_rows_and_what_is_none_is_counted(tmp_path):
    pictures = [png(n) if n not in (3, 5) else (b"no picture" if n == 3 else None) for n in range(12)]
    words = ["real", "fake"] * 6
    write(tmp_path / "set/test.parquet", pictures, label=words, method=list("abcabcabcabc"), group=5)

    made = prepare(tmp_path / "set", tmp_path / "store", options=CROPS)

    rows = made.store.index["path"].str.partition("::image/")[2].str.split("/", expand=True).astype(int)
    levels = np.array(made.store.crops)[:, 4, 4, 0]
    assert (rows[0] * 5 + rows[1]).tolist() == levels.tolist()
    assert sorted(levels) == [n for n in range(12) if n not in (3, 5)]
    assert (made.store.index["label"].to_numpy() == levels % 2).all()
    assert sum(count.videos for count in made.failures) == made.lost == 2


def test_memory_stays_flat_however_large_a_row_group_is(tmp_path):
    peaks = []
    for count in (40, 400):
        pictures = [png(0) + bytes(100_000)] * count
        table = pa.table({"image": pa.array(pictures, pa.binary()), "label": ["real", "fake"] * (count // 2)})
        root, folder = tmp_path / f"set{count}", tmp_path / f"out{count}"
        root.mkdir()
        folder.mkdir()
        # A page is what can't be read in parts.
        encoding = {"compression": "none", "use_dictionary": False, "write_batch_size": 10}
        pq.write_table(table, root / "test.parquet", **encoding)
        plain = pa.default_memory_pool()
        counting = pa.proxy_memory_pool(plain)
        pa.set_memory_pool(counting)
        try:
            paths = read_dataset(root).frame["path"].tolist()
            assert len(unpack(root, paths, folder)) == count
        finally:
            pa.set_memory_pool(plain)
        peaks.append(counting.max_memory())
    # The pictures of the larger set alone are 40 MB.
    assert peaks[1] < peaks[0] + 1_000_000 < 12_000_000, peaks
