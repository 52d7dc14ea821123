"""The built-in protocols: each opens when its data are at hand, and says what is missing when they are not."""

from __future__ import annotations

import hashlib
import json
import pickle
import shlex
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fretal_bench import parsing, plugins
from fretal_bench.benchmark.recipes.recipe import open_recipe
from fretal_bench.benchmark.runner.call import STREAM_FILE, Call, prepare
from fretal_bench.benchmark.runner.plan import make_plan
from fretal_bench.benchmark.runner.run import run
from fretal_bench.datasets.importers import cddb, df40, importers
from fretal_bench.datasets.streams.builtin import builtin_stream_files
from fretal_bench.datasets.streams.data import stream_state
from fretal_bench.datasets.streams.data_folder import named_stores
from fretal_bench.datasets.streams.file import StreamFile, read_stream_file, toml_of_stream
from fretal_bench.datasets.streams.stream import find_stream, list_streams, open_stream
from fretal_bench.errors import BenchError, BenchWarning
from tests_support import TINY
from toy_stores import PEOPLE, toy_rows, toy_store

FFPP = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
SHORT = dict(zip(("df", "f2f", "fs", "nt"), FFPP, strict=True))
# What each importer calls its fakes; those of image folders are "fake".
METHODS = {
    "ffpp": (*FFPP, "FaceShifter"),
    "celeb-df-v2": ("Celeb-synthesis",),
    "dfd": ("DeepFakeDetection",),
    "dfdc-preview": ("method_A", "method_B"),
    "aigvdbench": ("EasyAnimate", "Pyramid-Flow", "LTX", "Sora"),
    "df40-ff": (
        *("mcnet", "blendface", "StyleGAN3", "StyleGANXL", "wav2lip", "sadtalker", "StyleGAN2", "simswap"),
        "inswap",
    ),
}
STREAMS = {name: file for name, file in builtin_stream_files().items() if file.needs_data}


def rows_of(dataset: str, compression: str, methods: tuple[str, ...] | None = None) -> pd.DataFrame:
    usual = METHODS.get(dataset, (dataset.removeprefix("cddb-") if "cddb" in dataset else "fake",))
    return toy_rows(methods or usual, dataset).assign(compression=compression)


@pytest.fixture(autouse=True)
def nothing_at_hand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FRETAL_BENCH_DATA", raising=False)
    monkeypatch.setenv("FRETAL_BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of stores that holds everything any built-in stream asks for."""
    folder = tmp_path_factory.mktemp("data")
    pairs = {
        (d, c) for file in STREAMS.values() for x in file.domains for d in x.datasets for c in x.compressions
    }
    for dataset, compression in sorted(pairs):
        if not dataset.startswith("cddb-"):
            toy_store(folder / f"{dataset}-{compression}", rows_of(dataset, compression), size=8)
    tasks = [rows_of(f"cddb-{task}", "none") for task in cddb.LONG]
    toy_store(folder / "cddb", pd.concat(tasks, ignore_index=True), size=8)
    return folder


def names(file: StreamFile) -> list[str]:
    return [domain.name for domain in file.domains]


@pytest.mark.parametrize("name", STREAMS)
def test_every_stream_opens_when_its_data_are_there_with_its_own_rows_alone(name: str, data: Path) -> None:
    stream = open_stream(name, data=[data])
    assert [domain.name for domain in stream] == names(STREAMS[name])
    for position, (domain, domain_file) in enumerate(zip(stream, STREAMS[name].domains, strict=True)):
        fakes_alone = position > 0 and not STREAMS[name].protocol.later_reals
        for split in ("train", "val", "test"):
            index = domain.store.index.iloc[domain.rows[split]]
            assert set(index["dataset"]) == set(domain_file.datasets)
            assert set(index["compression"]) == set(domain_file.compressions)
            every = {m for d in domain_file.datasets for m in rows_of(d, "none")["method"]}
            expected = {"real", *domain_file.methods} if domain_file.methods else every
            assert set(index["method"]) == expected - ({"real"} if fakes_alone and split != "test" else set())
            assert "FaceShifter" not in set(index["method"])
        few = STREAMS[name].protocol.videos_per_class if position else None
        reals = domain.store.index.iloc[domain.rows["train"]].query("label == 0")["video"].nunique()
        assert reals == (0 if fakes_alone else min(few or 99, len(PEOPLE["train"])))


def test_there_are_twelve_pairs_at_each_quality_and_the_qualities_stay_apart() -> None:
    every = {f"{a}-{b}" for a in SHORT for b in SHORT if a != b}
    assert len(every) == 12
    for quality, compression in (("hq", "c23"), ("lq", "c40"), ("jpeg25", "jpeg25")):
        pairs = {name: file for name, file in STREAMS.items() if file.group == f"ffpp-{quality}-A-B"}
        assert set(pairs) == {f"ffpp-{quality}-{pair}" for pair in every}
        for name, file in pairs.items():
            assert names(file) == [SHORT[short] for short in name.split("-")[2:]]
            assert {domain.compressions for domain in file.domains} == {(compression,)}
            assert (file.image_size, file.frames) == (128, 80)


@pytest.mark.parametrize(
    ("name", "domains"),
    [
        *((f"ffpp-{quality}", FFPP) for quality in ("hq", "lq", "jpeg25", "mixed")),
        ("ffpp-hq-df-f2f-fs", FFPP[:3]),
        ("ffpp-mixed-df-f2f", FFPP[:2]),
        ("hdp-ffpp", FFPP),
        ("hdp-datasets", ("FF++", "Celeb-DF", "WildDeepfake", "DFDC")),
        ("dfil", ("FF++", "DFDC-P", "DFD", "Celeb-DF")),
        ("sur-lid-1", ("SDv21", "FF++", "DFDC-P", "Celeb-DF")),
        ("sur-lid-1-videos", ("FF++", "DFDC-P", "Celeb-DF")),
        ("sur-lid-2", ("Hybrid", "FR", "FS", "EFS")),
        ("devfd-types", ("Hybrid", "FR", "FS", "EFS")),
        (
            "devfd-df40",
            (
                *(
                    "FF++",
                    "MCNet",
                    "BlendFace",
                    "StyleGAN3",
                    "StyleGAN-XL",
                    "Wav2Lip",
                    "SadTalker",
                    "StyleGAN2",
                ),
                *("SimSwap", "InSwapper"),
            ),
        ),
        ("devfd-datasets", ("FF++", "DFDC-P", "DFD", "Celeb-DF")),
        ("devfd-datasets-2", ("FF++", "DFDC-P", "Celeb-DF", "DFD")),
        ("devfd-datasets-3", ("FF++", "DFD", "DFDC-P", "Celeb-DF")),
        ("msfd-datasets", ("FF++", "DFD", "Celeb-DF", "DFDC-P", "FFIW", "KoDF")),
        ("msfd-few-shot", ("FF++", "DFDC-P", "DFD", "Celeb-DF")),
        ("msfd-fakes", ("EasyAnimate", "Pyramid-Flow", "LTX", "Sora")),
        (
            "chronological",
            ("DeepfakeTIMIT", "WildDeepfake", "DFFD", "FakeAVCeleb", "COCOFake", "CIFAKE"),
        ),
        ("cddb-easy", cddb.EASY),
        ("cddb-hard", cddb.HARD),
        ("cddb-hard-2", ("whichfaceisreal", "biggan", "wild", "san", "gaugan")),
        ("cddb-hard-3", ("wild", "san", "gaugan", "whichfaceisreal", "biggan")),
        ("cddb-long", cddb.LONG),
    ],
)
def test_the_domains_come_in_the_papers_order(name: str, domains: tuple[str, ...]) -> None:
    assert tuple(names(STREAMS[name])) == domains


@pytest.mark.parametrize("name", ["devfd-df40", "devfd-types", "sur-lid-2"])
def test_methods_of_df40_are_read_by_its_importer(name: str) -> None:
    methods = {domain.methods for domain in STREAMS[name].domains if domain.datasets == ("df40-ff",)}
    assert {method for (method,) in methods} <= set(df40.METHODS)
    assert len(methods) == len(STREAMS[name].domains) - 1
    (command,) = [command for command in list_streams(name)[0]["commands"] if "df40" in command]
    words = shlex.split(command)
    assert words[words.index("--as") + 1] == "df40"
    assert words[words.index("--out") + 1].endswith(
        f"/df40-{STREAMS[name].image_size}px-{STREAMS[name].frames}f"
    )


def test_a_data_set_of_celeb_df_pp_is_read_by_its_importer(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\n[[domains]]\nname = "a"\ndatasets = ["celeb-df-pp"]\nmethods = ["FLOAT"]\n'
    )
    (command,) = stream_state(read_stream_file(file))["commands"]
    assert shlex.split(command)[4:6] == ["--as", "celeb-df-pp"]


def test_few_videos_are_dfils_and_msfds_and_fakes_alone_msfds() -> None:
    assert {name: few for name, file in STREAMS.items() if (few := file.protocol.videos_per_class)} == {
        "dfil": 25,
        "msfd-datasets": 200,
        "msfd-few-shot": 25,
    }
    files = builtin_stream_files()
    assert [name for name in files if not files[name].protocol.later_reals] == [
        "ffpp-mini-fakes",
        "msfd-fakes",
    ]
    mini, fakes = files["ffpp-mini"], files["ffpp-mini-fakes"]
    assert mini.domains == fakes.domains
    assert all(file.protocol.shared_reals for file in STREAMS.values())


def test_no_two_streams_share_a_name_or_are_the_same_in_all_but_name() -> None:
    assert len({file.name for file in STREAMS.values()}) == len(STREAMS) == 65
    content = Counter((file.domains, file.protocol, file.source) for file in STREAMS.values())
    assert max(content.values()) == 1
    for file in STREAMS.values():
        assert file.source
        assert file.description
        assert file.image_size


def test_what_is_missing_is_named_with_the_command_that_makes_it(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError) as caught:
        open_stream("ffpp-lq", data=[data / "ffpp-c23", data / "dfd-c23"])
    assert str(caught.value) == (
        "stream 'ffpp-lq' lacks ffpp at c40; found ffpp-c23, dfd-c23; type: bench data prepare ROOT --as ffpp "
        "--out stores/ffpp-c40-128px-80f --compression c40 --frames 80 --size 128; then give --data stores, or set "
        "FRETAL_BENCH_DATA to it"
    )
    part = toy_store(tmp_path / "part", rows_of("ffpp", "c23", ("Deepfakes",)), size=8).path
    with pytest.raises(BenchError, match=r"lacks ffpp at c23 \(Face2Face\); found part; type:"):
        open_stream("ffpp-hq-df-f2f", data=[part])
    with pytest.raises(
        BenchError, match=r"lacks sdv21 \(image folders or a CSV of that name\); .*--as image-folders"
    ):
        open_stream("sur-lid-1", data=[p for p in data.glob("[!.]*") if p.name != "sdv21-none"])
    with pytest.raises(BenchError, match=r"--compression c23 --jpeg 25 "):
        open_stream("ffpp-jpeg25")


def test_every_command_is_one_that_bench_takes() -> None:
    from typer.testing import CliRunner

    from fretal_bench.cli.main import app

    commands = {command for row in list_streams() for command in row["commands"]}
    assert len(commands) == 33
    for command in commands:
        words = shlex.split(command)
        assert words[words.index("--as") + 1] in importers()
        done = CliRunner().invoke(app, [*words[1:], "--help"])
        assert done.exit_code == 0, (command, done.output)


def test_several_stores_that_fit_are_named_and_copies_of_one_store_are_no_choice(
    data: Path, tmp_path: Path
) -> None:
    other = toy_store(tmp_path / "bigger", rows_of("ffpp", "c23"), size=12).path
    with pytest.raises(BenchError) as caught:
        open_stream("ffpp-hq", data=[data, other])
    for word in (str(other), "(12 px)", str(data / "ffpp-c23"), "(8 px)", "--data"):
        assert word in str(caught.value)
    (row,) = list_streams("ffpp-hq", data=[data, other])
    assert row["data"] == "several stores fit: name one with --data"
    copy = shutil.copytree(data / "ffpp-c23", tmp_path / "copy")
    assert len(open_stream("ffpp-hq", data=[data, data, copy])) == 4


def test_of_several_stores_the_one_with_the_protocols_size_and_frames_is_meant(tmp_path: Path) -> None:
    rows = rows_of("ffpp", "c23")
    for size, frames in ((16, 80), (128, 32), (128, 80)):
        path = toy_store(tmp_path / f"{size}-{frames}", rows.assign(path=f"{frames}.mp4"), size=size).path
        info = json.loads((path / "store.json").read_text())
        info["details"] = {"options": {"frames": frames}}
        (path / "store.json").write_text(json.dumps(info))
    assert open_stream("ffpp-hq", data=[tmp_path])[0].store.path.name == "128-80"
    assert open_stream("hdp-ffpp", data=[tmp_path])[0].store.path.name == "128-32"


def test_a_named_store_goes_before_one_in_the_data_folder(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRETAL_BENCH_DATA", str(data))
    assert open_stream("ffpp-hq")[0].store.size == 8
    other = toy_store(tmp_path / "bigger", rows_of("ffpp", "c23"), size=12).path
    assert open_stream("ffpp-hq", data=[other])[0].store.path == other
    with pytest.raises(BenchError, match="mixes crops of 8 and 12 px"):
        open_stream("dfil", data=[other])


def test_a_bad_store_is_passed_over_in_the_data_folder_and_told_when_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(data / "dfd-c23", tmp_path / "a" / "dfd")
    for name, text in (("bad", "{"), ("listed", "[]")):
        (tmp_path / "a" / name).mkdir()
        (tmp_path / "a" / name / "store.json").write_text(text)
    shutil.copytree(data / "ffpp-c23", tmp_path / "a" / "cut")
    (tmp_path / "a" / "cut" / "index.parquet").write_bytes(b"PAR1")
    monkeypatch.setenv("FRETAL_BENCH_DATA", str(tmp_path / "a"))
    with pytest.warns(
        BenchWarning, match=r"3 of 4 crop stores cannot be used and are passed over, e\.g\. .*bad"
    ):
        (row,) = list_streams("dfil")
    assert row["lacks"] == ["ffpp at c23", "dfdc-preview", "celeb-df-v2"]
    with pytest.raises(BenchError, match=r"lacks ffpp at c23.*; .*3 of 4 crop stores cannot be used"):
        open_stream("dfil")
    assert row["commands"][0].split("--out ")[1].startswith(str(tmp_path / "a" / "ffpp-c23"))
    for name in ("bad", "listed", "cut"):
        with pytest.raises(BenchError, match=f"{name}/.*delete the store's folder"):
            named_stores(tmp_path / "a" / name)
    for path, words in ((tmp_path, "holds no crop store"), (tmp_path / "no", "is no folder")):
        with pytest.raises(BenchError, match=words):
            open_stream("ffpp-hq", data=[path])
    monkeypatch.setenv("FRETAL_BENCH_DATA", str(tmp_path / "no"))
    with pytest.warns(BenchWarning, match=r"\$FRETAL_BENCH_DATA: .*/no is no folder"):
        assert list_streams("dfil")[0]["data"].startswith("lacks ffpp at c23, dfdc-preview")


def test_what_a_store_holds_is_the_same_from_its_index_from_the_cache_and_without_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Counter(
        rows_of("dfd", "c23")[["dataset", "method", "compression"]].itertuples(index=False, name=None)
    )
    (first,) = named_stores(data / "dfd-c23")
    (kept,) = (tmp_path / "cache" / "contents").iterdir()
    (second,) = named_stores(data / "dfd-c23")
    kept.write_text("[[1]]")
    (third,) = named_stores(data / "dfd-c23")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FRETAL_BENCH_CACHE", str(tmp_path / "file"))
    (fourth,) = named_stores(data / "dfd-c23")
    assert first.contents == second.contents == third.contents == fourth.contents == expected
    assert json.loads(kept.read_text())["contents"][0]["method"] == "DeepFakeDetection"


def test_the_list_says_which_can_run_and_gathers_orders_in_a_terminal(data: Path) -> None:
    state = {row["name"]: row for row in list_streams(data=[data])}
    assert {row["data"] for row in state.values()} == {"yes"}
    some = {row["name"]: row["data"] for row in list_streams(data=[data / "ffpp-c23"])}
    assert [some[name] for name in ("ffpp-mini", "ffpp-hq", "hdp-ffpp", "ffpp-hq-nt-df")] == ["yes"] * 4
    assert some["ffpp-mixed"] == "lacks ffpp at c40"
    assert some["cddb-easy"] == "lacks cddb-gaugan, cddb-biggan, cddb-cyclegan, cddb-imle and 3 more"
    short = [row["name"] for row in list_streams(grouped=True)]
    assert short.count("ffpp-hq-A-B") == 1
    assert "ffpp-hq-df-f2f" not in short
    assert len(short) < 40


def test_data_for_a_stream_that_names_its_stores_is_refused(data: Path) -> None:
    with pytest.raises(BenchError, match="stream 'ffpp-mini' names its stores itself; leave --data out"):
        open_stream("ffpp-mini", data=[data])


def test_a_users_stream_may_leave_its_stores_open_too(data: Path, tmp_path: Path) -> None:
    toy_store(tmp_path / "own", size=8)
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\nsource = "me"\nframes = 7\n'
        '[[domains]]\nname = "own"\nstore = "own"\nmethods = ["FaceSwap"]\n'
        '[[domains]]\nname = "all"\ndatasets = ["dfdc-preview"]\n'
    )
    stream = open_stream(path, data=[data])
    assert set(stream[1].store.index.iloc[stream[1].rows["test"]]["method"]) == {
        "real",
        "method_A",
        "method_B",
    }
    assert stream[0].store.path == tmp_path / "own"
    with pytest.raises(BenchError, match="stream 'mine' lacks dfdc-preview; found no store"):
        open_stream(path)


@pytest.mark.parametrize("name", ["dfil", "ffpp-mini", "ffpp-mini-identity"])
def test_a_stream_file_that_is_written_reads_back_the_same(name: str, tmp_path: Path) -> None:
    file = find_stream(name)
    path = tmp_path / "again.toml"
    path.write_text(toml_of_stream(file), encoding="utf-8")
    again = read_stream_file(path)
    assert (again.domains, again.protocol, again.frames, again.hidden) == (
        file.domains,
        file.protocol,
        file.frames,
        file.hidden,
    )


def scores(out: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in out.glob("cells/*/scores.parquet")}


def test_a_run_goes_on_without_data_once_it_knows_its_stores(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / 'a "strange" Ordner ä'
    for name in ("ffpp-c23", "ffpp-c40"):
        shutil.copytree(data / name, folder / name)
    monkeypatch.chdir(tmp_path)
    call: dict[str, Any] = {"stream": "ffpp-mixed-df-f2f", "changes": {"recipe": TINY}, "jobs": 1}
    results = run(["finetuning"], **call, data=[Path(folder.name)])
    out = tmp_path / "results" / "ffpp-mixed-df-f2f-mini"
    assert results.path.resolve() == out
    assert not results.failures
    stores = [Path(domain.store) for domain in read_stream_file(out / STREAM_FILE).domains]
    assert stores == [folder / "ffpp-c23", folder / "ffpp-c40"]
    cell = json.loads(next(out.glob("cells/*/cell.json")).read_text())
    assert cell["stream"] == "ffpp-mixed-df-f2f"
    for machine in out.rglob("*.json"):
        assert folder.name not in machine.read_text(), (
            "where the data lie on this machine stands in stream.toml alone"
        )

    more = run(["finetuning", "lwf"], **call)
    assert [cell.strategy for cell in more.cells] == ["finetuning", "lwf"]
    # Another data folder with another store of the same kind doesn't get in the way.
    toy_store(tmp_path / "b" / "ffpp", rows_of("ffpp", "c23"), size=12)
    monkeypatch.setenv("FRETAL_BENCH_DATA", str(tmp_path / "b"))
    assert prepare(Call(["lwf"], **call)).total == 0
    monkeypatch.delenv("FRETAL_BENCH_DATA")

    # The ids are those of the data, wherever they lie; other data in the same place are other cells.
    moved = folder.rename(tmp_path / "moved")
    again = prepare(Call(["finetuning"], **call, data=[moved]))
    assert again.total == 0
    shutil.rmtree(moved)
    with pytest.raises(BenchError, match="lacks ffpp at c23, ffpp at c40; found no store"):
        prepare(Call(["finetuning"], **call))


def test_other_processes_open_the_stores_that_the_run_chose_wherever_they_start(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = prepare(Call(["finetuning", "joint"], "ffpp-hq-fs-nt", data=[data / "ffpp-c23"], out="r")).plan
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for cell in pickle.loads(pickle.dumps(plan.cells)):
        for step in cell.path:
            assert open_stream(step.stream, verify=False).fingerprint() == plan.stream
    assert plan.stream == open_stream("ffpp-hq-fs-nt", data=[data]).fingerprint()


def test_one_process_runs_over_other_data_at_the_same_place(data: Path, tmp_path: Path) -> None:
    call: dict[str, Any] = {
        "stream": "ffpp-hq-df-nt",
        "changes": {"recipe": TINY},
        "jobs": 1,
        "out": tmp_path / "r",
    }
    run(["finetuning"], **call, data=[data / "ffpp-c23"])
    first = scores(tmp_path / "r")
    shutil.rmtree(tmp_path / "r")
    rows = rows_of("ffpp", "c23")
    other = toy_store(tmp_path / "other", rows[rows["video"] != "x"], size=8)
    run(["finetuning"], **call, data=[other.path])
    assert scores(tmp_path / "r").keys().isdisjoint(first)
    tested = pd.read_parquet(next((tmp_path / "r").glob("cells/*/scores.parquet")))
    assert not tested["video"].str.endswith("/x").any()


def test_the_content_ids_of_ffpp_mini_are_what_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = toy_rows(FFPP)
    # Pairs, as there: five folds need five of them. Ids are of row numbers, whoever is in the rows.
    partners = dict(pair for pair in ("ab", "cd", "ef", "mn", "xy", "ba", "dc", "fe", "nm", "yx"))
    rows["source"] = rows["target"].map(partners).where(rows["label"] == 1, rows["target"])
    store = toy_store(tmp_path / "store", rows)
    object.__setattr__(store.info, "checksum", "0" * 64)
    monkeypatch.setattr("fretal_bench.datasets.ffpp_mini.build.ffpp_mini_store", lambda *_, **__: store)
    fingerprint = open_stream("ffpp-mini").fingerprint()
    text = json.dumps(fingerprint, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "13b486dd9d3d9ac17b0eddc229c8390eb56717cc7d9e307f18f80839c76028d0"
    )
    recipe = open_recipe("mini").changed({"device": "cpu"})
    plan = make_plan(["fretal"], "ffpp-mini", fingerprint, recipe, [0])
    # Cells also depend on the recipe and the strategy's defaults, which may change; how they are put together may not.
    (cell,) = plan.cells
    content = {
        "stream": fingerprint,
        "recipe": recipe.content(),
        "seed": 0,
        "strategy": "fretal",
        "hyperparameters": dict(cell.hyperparameters),
        **({"revision": cell.revision} if cell.revision else {}),
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert cell.id == hashlib.sha256(text.encode()).hexdigest()[:16]
    np.testing.assert_array_equal(store.index["label"].unique(), [0, 1])


def test_a_data_set_that_a_plugin_imports_is_prepared_with_that_importer(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    plugin = tmp_path / "ours.py"
    plugin.write_text(
        "from fretal_bench.datasets.importers import Importer, Match\n"
        "IMPORTER = Importer('our-set', 'Ours', '*.mp4', lambda root: Match(0), lambda root, options: None)\n"
    )
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\nframes = 8\n[[domains]]\nname = "a"\ndatasets = ["our-set"]\n')
    (without,) = stream_state(read_stream_file(file))["commands"]
    request.addfinalizer(plugins.forget)
    plugins.use_files([plugin])
    (command,) = stream_state(read_stream_file(file))["commands"]
    assert shlex.split(without)[5] == "image-folders"
    assert shlex.split(command)[5:] == ["our-set", "--out", "stores/our-set-8f", "--frames", "8"]


def test_the_files_of_the_suites_own_streams_are_read_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    before = builtin_stream_files()
    monkeypatch.setattr(parsing, "read_toml", lambda *_: pytest.fail("a protocol's file was read again"))
    assert builtin_stream_files() == before
    # Nobody's change of what is returned reaches the next caller.
    builtin_stream_files().clear()
    assert builtin_stream_files() == before
