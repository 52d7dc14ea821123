"""Streams: sequence protocol, files checked key by key, protocols, and the Avalanche benchmark."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fretal_bench.datasets.manifest import video_key
from fretal_bench.datasets.streams.builtin import builtin_stream_files
from fretal_bench.datasets.streams.domain import Domain
from fretal_bench.datasets.streams.file import read_stream_file, toml_of_stream
from fretal_bench.datasets.streams.stream import Stream, list_streams, open_stream
from fretal_bench.errors import BenchError
from toy_stores import FRAMES, PEOPLE, toy_rows, toy_store

DOMAINS = """
[[domains]]
name = "first"
store = "toy"
methods = ["Deepfakes"]

[[domains]]
name = "second"
store = "toy"
methods = ["FaceSwap"]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("streams")
    toy_store(path / "toy")
    return path


def stream_of(folder: Path, head: str = "", domains: str = DOMAINS) -> Stream:
    path = folder / "mine.toml"
    path.write_text(f'name = "mine"\n{head}\n{domains}', encoding="utf-8")
    return open_stream(path)


def videos(domain: Domain, split: str, label: int) -> set[str]:
    rows = domain.store.index.iloc[domain.rows[split]]
    return set(video_key(rows[rows["label"] == label]))


def test_a_stream_behaves_like_a_sequence_of_domains(folder: Path) -> None:
    stream = stream_of(folder)
    assert (stream.name, len(stream), [domain.name for domain in stream]) == ("mine", 2, ["first", "second"])
    assert stream[1].name == stream[-1].name == "second"
    assert [domain.name for domain in stream[:1]] == ["first"]
    with pytest.raises(IndexError):
        stream[2]


def test_a_domain_holds_its_own_fakes_and_the_reals(folder: Path) -> None:
    stream = stream_of(folder)
    index = stream[1].store.index.iloc[stream[1].rows["test"]]
    assert set(index["method"]) == {"real", "FaceSwap"}
    assert len(index) == 2 * FRAMES * len(PEOPLE["test"])
    assert set(index["split"]) == {"test"}


def test_a_stream_that_is_opened_again_has_the_same_fingerprint(folder: Path) -> None:
    stream = stream_of(folder)
    assert stream_of(folder).fingerprint() == stream.fingerprint()
    assert json.loads(json.dumps(stream.fingerprint())) == stream.fingerprint()
    assert stream[:1].fingerprint() != stream.fingerprint()


def test_few_shot_thins_the_training_videos_of_later_domains_alone(folder: Path) -> None:
    full, few = stream_of(folder), stream_of(folder, "protocol = {videos_per_class = 2}")
    for split in ("train", "val", "test"):
        np.testing.assert_array_equal(few[0].rows[split], full[0].rows[split])
    np.testing.assert_array_equal(few[1].rows["test"], full[1].rows["test"])
    for label in (0, 1):
        assert len(videos(few[1], "train", label)) == 2
        assert videos(few[1], "train", label) < videos(full[1], "train", label)
    assert len(few[1].rows["train"]) == 4 * FRAMES


def test_the_choice_of_videos_is_fixed_and_follows_the_protocols_seed(folder: Path) -> None:
    choices = [
        tuple(stream_of(folder, f"protocol = {{videos_per_class = 2, seed = {seed}}}")[1].rows["train"])
        for seed in (0, 0, 1, 2, 3)
    ]
    assert choices[0] == choices[1]
    assert len(set(choices)) > 1


def test_reals_that_are_not_shared_are_dealt_to_the_domains(folder: Path) -> None:
    stream = stream_of(folder, "protocol = {shared_reals = false}")
    first, second = (videos(domain, "train", 0) for domain in stream)
    assert not first & second
    assert len(first) == len(second) == len(PEOPLE["train"]) // 2
    assert videos(stream[0], "test", 0) == videos(stream[1], "test", 0)
    assert len(videos(stream[0], "train", 1)) == len(PEOPLE["train"])


@pytest.mark.parametrize("later", [False, True])
def test_two_names_of_one_store_and_a_copy_of_it_are_dealt_reals_as_one(folder: Path, later: bool) -> None:
    shutil.copytree(folder / "toy", folder / "copy", dirs_exist_ok=True)
    head = "protocol = {shared_reals = false}"
    plain = stream_of(folder, head)
    for other in ("./toy", str(folder / "toy"), "copy"):
        # With `first = 1` the second domain's store is not opened, and its share of the reals is still its own.
        stream = stream_of(
            folder, f"{head}\nfirst = 1" if later else head, DOMAINS.replace('"toy"', f'"{other}"', 1)
        )
        assert stream.fingerprint()["domains"] == plain.fingerprint()["domains"][: len(stream)]


def test_a_domain_that_is_not_learned_may_be_in_a_store_that_is_not_there(folder: Path) -> None:
    head = "protocol = {shared_reals = false}\nfirst = 1"
    domains = DOMAINS.replace('"toy"', '"gone"').replace('"gone"', '"toy"', 1)
    assert len(videos(stream_of(folder, head, domains)[0], "train", 0)) == len(PEOPLE["train"])


def test_a_stream_file_that_is_written_reads_back_equal(tmp_path: Path) -> None:
    (tmp_path / "all.toml").write_text(
        'name = "a \\"b\\" \\u00e9"\nhidden = true\nfirst = 1\nwithhold_test = true\nsource = "s"\nframes = 3\n'
        f"protocol = {{videos_per_class = 2, shared_reals = false, seed = 5}}\n{DOMAINS}"
    )
    for file in [*builtin_stream_files().values(), read_stream_file(tmp_path / "all.toml")]:
        path = tmp_path / "written.toml"
        path.write_text(toml_of_stream(file), encoding="utf-8")
        again = read_stream_file(path)
        own = {"path": file.path, "group": file.group, "group_description": file.group_description}
        assert replace(again, **own) == file


@pytest.mark.parametrize(
    ("head", "domains", "words"),
    [
        ("descripton = ''", DOMAINS, "mine.toml: unknown key 'descripton'; did you mean 'description'"),
        ("protocol = {video_per_class = 2}", DOMAINS, "did you mean 'videos_per_class'"),
        (
            "protocol = {videos_per_class = 0}",
            DOMAINS,
            "'protocol.videos_per_class': expected a whole number of at least 1",
        ),
        ("protocol = {seed = true}", DOMAINS, "key 'protocol.seed': expected a whole number, found True"),
        ("", DOMAINS.replace("methods", "method"), "unknown key 'domains[0].method'; did you mean 'methods'"),
        ("", DOMAINS.replace("FaceSwap", "FaceSwp"), "did you mean 'FaceSwap'"),
        ("", DOMAINS.replace("second", "first"), "key 'domains': expected domains of different names"),
        ("", DOMAINS.replace('"toy"', '"nowhere"'), "no crop store at"),
        ("", DOMAINS.replace('"toy"', '"builtin:ffpp-mini-c25"'), "did you mean 'builtin:ffpp-mini-c23'"),
        (
            "",
            '[[domains]]\nname = "d"\nstore = "toy"',
            "key 'domains[0].methods': expected names of manipulations",
        ),
        (
            "",
            '[[domains]]\nname = "d"\nmethods = ["FaceSwap"]',
            "key 'domains[0].store': expected a crop store",
        ),
        ("", '[[domains]]\nname = "d"\nmethods = ["real"]\nstore = "toy"', "('real' is always included)"),
        ("image_size = -1", DOMAINS, "key 'image_size': expected a whole number of at least 1, found -1"),
        ("first = 3", DOMAINS, "key 'first': expected no more than the 2 domains, found 3"),
        ("frame = 32", DOMAINS, "unknown key 'frame'; did you mean 'frames'"),
        ("domains = []", "", "key 'domains': expected at least one [[domains]] table"),
        ("name = ", "", "not valid TOML"),
        ("x = " + "[" * 5000, DOMAINS, "within each other"),
        ("protocol = {seed = nan}", DOMAINS, "key 'protocol.seed': expected a whole number, found nan"),
        ("domains = [1]", "", "key 'domains[0]': expected a table, found 1"),
        ("description = 'a\u202eb'", DOMAINS, "key 'description': expected text without control"),
        ("", DOMAINS.replace('"toy"', '"to\\ny"'), "key 'domains[0].store': expected a folder"),
        ("", DOMAINS.replace('"toy"', '"~nobody-at-all/toy"'), "~nobody-at-all is no user's home folder"),
        ("", DOMAINS.replace('"toy"', f'"{"n" * 300}"'), "cannot be read (File name too long)"),
        ("", DOMAINS.replace('"toy"', '"mine.toml"'), "no crop store at"),
        (
            "",
            DOMAINS.replace('["FaceSwap"]', '["FaceSwap", "FaceSwap"]'),
            "key 'domains[1].methods': expected each name once",
        ),
        (
            "",
            DOMAINS + 'compressions = ["c32"]',
            "key 'domains[1].compressions[0]': expected one of 'raw', 'c23', 'c40', 'jpeg25', 'none'",
        ),
    ],
)
def test_a_mistake_in_a_stream_file_is_one_line_that_names_it(
    folder: Path, head: str, domains: str, words: str
) -> None:
    with pytest.raises(BenchError) as caught:
        stream_of(folder, head, domains)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "../../x",
        "/abs",
        "..",
        ".hidden",
        "a\\\\b",
        "",
        " ",
        "a" * 101,
        "\\u0000",
        "\\u001b[31m",
        "\\u202ea",
        "a\\nb",
    ],
)
@pytest.mark.parametrize("place", ["name", "domains[0].name", "domains[1].methods[0]"])
def test_a_name_that_is_a_path_or_hides_something_is_refused_wherever_it_stands(
    folder: Path, name: str, place: str
) -> None:
    path = folder / "mine.toml"
    before = {"name": "mine", "domains[0].name": "first", "domains[1].methods[0]": "FaceSwap"}[place]
    path.write_text(f'name = "mine"\n{DOMAINS}'.replace(f'"{before}"', f'"{name}"'), encoding="utf-8")
    with pytest.raises(BenchError) as caught:
        open_stream(path)
    assert f"mine.toml: key '{place}': expected a name" in str(caught.value)
    assert str(caught.value).isprintable()


def test_what_is_no_stream_file_is_refused_at_once(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    for name, words in (
        ("pipe.toml", "found a pipe"),
        ("folder.toml", "found a folder"),
        ("loop.toml", "cannot be read"),
        ("n" * 300 + ".toml", "cannot be read"),
        ("a\0b.toml", "holds a NUL"),
    ):
        with pytest.raises(BenchError, match=words):
            open_stream(tmp_path / name)
    with pytest.raises(BenchError) as caught:
        open_stream("n" * 5000)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("split", "label", "words"),
    [
        ("train", 0, "has no real rows in its train split"),
        ("train", 1, "has no fake rows in its train split"),
        ("test", 0, "has no real rows in its test split"),
        ("test", None, "has no real rows in its test split"),
        ("val", 1, "has no fake rows in its val split"),
        ("val", None, None),
    ],
)
def test_a_domain_needs_both_classes_to_train_and_test_and_may_lack_validation(
    tmp_path: Path, split: str, label: int | None, words: str | None
) -> None:
    rows = toy_rows()
    absent = (rows["split"] == split) & ((rows["label"] == label) | (label is None))
    toy_store(tmp_path / "toy", rows[~absent])
    if words is None:
        assert len(stream_of(tmp_path)[0].rows["val"]) == 0
        return
    with pytest.raises(BenchError, match=rf"domain 'first' {words} of .*toy; name other methods, prepare"):
        stream_of(tmp_path)


@pytest.mark.parametrize("frames", [1, 16, 17])
def test_a_domain_of_two_training_samples_is_a_domain(tmp_path: Path, frames: int) -> None:
    rows = toy_rows(("Deepfakes",))
    train = rows[(rows["split"] == "train") & (rows["target"] == "a") & (rows["frame"] == 0)]
    longer = train.loc[train.index.repeat(frames)].assign(frame=[*range(frames)] * 2)
    toy_store(tmp_path / "toy", pd.concat([longer, rows[rows["split"] == "test"]]))
    stream = stream_of(tmp_path, domains=DOMAINS.partition('[[domains]]\nname = "second"')[0])
    assert len(stream[0].rows["train"]) == 2 * frames
    assert stream[0].batches("train").targets.tolist() == [0] * frames + [1] * frames


def test_an_unknown_name_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="unknown stream 'ffpp-mni'; did you mean 'ffpp-mini'"):
        open_stream("ffpp-mni")
    with pytest.raises(BenchError, match=r"stream file .*none\.toml: cannot be read"):
        open_stream(tmp_path / "none.toml")


def test_a_person_who_is_trained_on_in_one_domain_and_tested_in_another_is_refused(tmp_path: Path) -> None:
    rows = toy_rows()
    swapped = rows.assign(split=rows["split"].map({"train": "test", "test": "train", "val": "val"}))
    first, second = toy_store(tmp_path / "1", rows), toy_store(tmp_path / "2", swapped)
    domains = [
        Domain(name, store, {s: np.flatnonzero(store.index["split"] == s) for s in ("train", "val", "test")})
        for name, store in (("one", first), ("two", second))
    ]
    assert len(Stream("fine", domains[:1])) == 1
    with pytest.raises(BenchError, match="person 'toy/a' is in more than one split"):
        Stream("leaky", domains)


def test_crops_of_two_sizes_do_not_make_a_stream(tmp_path: Path) -> None:
    domains = []
    for size in (16, 24):
        store = toy_store(tmp_path / str(size), size=size)
        rows = {s: np.flatnonzero(store.index["split"] == s) for s in ("train", "val", "test")}
        domains.append(Domain(str(size), store, rows))
    with pytest.raises(BenchError, match="mixes crops of 16 and 24 px"):
        Stream("mixed", domains)


def test_the_built_in_streams_are_listed_without_the_control() -> None:
    names = [entry["name"] for entry in list_streams("ffpp-mini*")]
    assert names == ["ffpp-mini", "ffpp-mini-c40", "ffpp-mini-fakes"]
    assert list_streams("*-c40")[0]["domains"] == ["Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"]
    assert "ffpp-mini-identity" in [entry["name"] for entry in list_streams(hidden=True)]


def test_listing_streams_with_data_imports_neither_torch_nor_pandas(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from fretal_bench.datasets.streams.stream import list_streams;"
        f"list_streams(data=[{str(folder)!r}]);"
        "print({'torch', 'pandas', 'avalanche', 'cv2', 'av'} & set(sys.modules), 'pyarrow' in sys.modules)"
    )
    for pyarrow in (True, False):  # what a store holds is counted once, and then known
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "FRETAL_BENCH_CACHE": str(tmp_path)},
        )
        assert done.stdout.strip() == f"set() {pyarrow}"


def test_the_avalanche_benchmark_has_an_experience_a_domain_with_both_classes(folder: Path) -> None:
    stream = stream_of(folder)
    benchmark = stream.as_avalanche()
    assert set(benchmark.streams) == {"train", "val", "test"}
    for split, experiences in benchmark.streams.items():
        assert [experience.domain_name for experience in experiences] == ["first", "second"]
        for experience, domain in zip(experiences, stream, strict=True):
            assert experience.source is domain.batches(split)
            assert list(experience.dataset.targets) == experience.source.targets.tolist()
            assert set(experience.dataset.targets_task_labels) == {0}
            assert set(experience.classes_in_this_experience) == {0, 1}
    image, label, task = benchmark.train_stream[1].dataset[4]
    row = stream[1].rows["train"][4]
    expected = (stream[1].store.crops[row].transpose(2, 0, 1) / 255 - 0.5) / 0.5
    np.testing.assert_allclose(image.numpy(), expected, atol=1e-6)
    assert (label, task) == (stream[1].store.index["label"].iloc[row], 0)


def test_avalanches_own_naive_strategy_learns_the_toy_stream(folder: Path) -> None:
    from avalanche.evaluation.metrics import accuracy_metrics
    from avalanche.training.plugins import EvaluationPlugin
    from avalanche.training.supervised import Naive

    torch.manual_seed(0)
    benchmark = stream_of(folder).as_avalanche()
    model = torch.nn.Sequential(torch.nn.AvgPool2d(16), torch.nn.Flatten(), torch.nn.Linear(3, 2))
    strategy = Naive(
        model=model,
        optimizer=torch.optim.Adam(model.parameters(), lr=0.1),
        criterion=torch.nn.CrossEntropyLoss(),
        train_mb_size=8,
        train_epochs=5,
        eval_mb_size=8,
        evaluator=EvaluationPlugin(accuracy_metrics(stream=True), loggers=[]),
    )
    for experience in benchmark.train_stream:
        strategy.train(experience, num_workers=0)
    (accuracy,) = strategy.eval(benchmark.test_stream, num_workers=0).values()
    assert accuracy == 1.0
