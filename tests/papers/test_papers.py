"""Published tables: which cells they need, what stands in for missing data, and that the numbers are the table's."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fretal_bench.benchmark.recipes.recipe import open_recipe
from fretal_bench.datasets.streams.stream import find_stream
from fretal_bench.errors import BenchError
from fretal_bench.papers.file import list_papers, open_paper, paper_of_table
from fretal_bench.papers.published import published_tables
from fretal_bench.papers.run import execute_paper, prepare_paper
from fretal_bench.papers.stand_in import stand_ins
from fretal_bench.papers.streams import TableStreams
from fretal_bench.papers.table import NO_STRATEGY, Setting
from fretal_bench.strategies.registry import strategies
from tests_support import TINY, tiny_stream
from toy_stores import toy_rows, toy_store

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
FAST = {"recipe": {**TINY, "source_epochs": 1}}
DOMAIN = {"name": "D", "store": "s", "methods": ["m"]}
ONE_COLUMN = {"streams": {"s": "ffpp-hq"}, "columns": {"A": {"quantity": "average"}}}


def table_of(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return open_paper(path)


def streams_of(path):
    """A table file's head: one stream ``all`` over the three domains of ``tiny_stream``."""
    assert Path(path).parent.joinpath("store").is_dir(), "stores are relative to the table's file"
    domains = ", ".join(f'{{ name = "D{k}", store = "store", methods = ["m{k}"] }}' for k in range(3))
    return f"[streams.all]\ndomains = [{domains}]\n"


def test_every_published_table_has_a_file_with_exactly_its_rows_and_columns():
    papers, tables = list_papers(), published_tables()
    assert set(papers) == set(tables)
    for name, paper in papers.items():
        if not paper.cannot:
            assert list(paper.rows) == list(tables[name].methods), name
            assert list(paper.columns) == list(tables[name].columns), name


def test_recipes_that_tables_name_exist_and_take_what_rows_and_columns_change():
    changed = 0
    for paper in list_papers().values():
        recipe = open_recipe(paper.recipe)
        for setting in (*paper.rows.values(), *(setting for setting, _ in paper.columns.values())):
            changed += recipe.changed(dict(setting.recipe)) != recipe
    assert changed > 10


def test_a_row_of_a_registered_strategy_is_run_and_one_of_another_says_so():
    for name, paper in list_papers().items():
        for value in () if paper.cannot else published_tables()[name].values:
            for column in paper.parts(value.column):
                setting = paper.setting(value.method, column)
                wanted = paper.rows[value.method].strategy
                if wanted in strategies():
                    assert isinstance(setting, Setting), (name, value.method, setting)
                else:
                    assert setting == NO_STRATEGY + wanted
    kd = open_paper("cored-task3").setting("KD-only", "HQ")
    assert dict(kd.set) == {"teacher": "previous"}
    assert dict(open_paper("cddb-hard").setting("iCaRL (50/class)", "AF").set) == {"memory": 500}


def test_task_1_trains_first_on_the_domain_of_its_row():
    paper = open_paper("cored-task1-ffpp")
    for row, first in zip(published_tables()["cored-task1-ffpp"].methods, METHODS, strict=True):
        stream = paper.streams[paper.setting(row, "DF").stream]
        names = [domain.name for domain in stream.domains]
        assert names[0] == first
        assert sorted(names) == sorted(METHODS)
        assert {domain.compressions for domain in stream.domains} == {("c23",)}


def test_cddb_hard_says_that_memory_is_a_constant_total():
    (note,) = [note for note in open_paper("cddb-hard").notes if "constant total" in note]
    assert "equals the paper's budget a class only at the end" in note


def test_a_users_own_row_is_run_if_it_is_the_name_of_a_strategy():
    paper = open_paper("cored-task2")
    assert paper.setting("ewc", "HQ").strategy == "ewc"
    assert open_paper("dfil").setting("ewc", "AF").stream == "all"
    assert "is no strategy of the suite" in paper.setting("Mine", "HQ")
    assert "names no column" in paper.setting("ewc", "SD")


def test_a_table_without_a_file_cannot_be_run_and_says_why():
    assert "no file says which cells" in open_paper("nobodys-table").setting("a", "b")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"recipee": "mini"}, "unknown key of the file 'recipee'; did you mean 'recipe'"),
        ({"metric": "acuracy"}, "unknown metric 'acuracy'; did you mean 'accuracy'"),
        ({"scale": "100"}, "scale must be of type int, found '100'"),
        ({"streams": {"a": {"of": "ffpp-hq", "order": ["Deepfake"]}}}, "did you mean 'Deepfakes'"),
        ({"streams": {"a": "ffpp-hg"}}, "unknown stream 'ffpp-hg'"),
        ({"columns": {"A": {}}}, "give exactly one of domain, quantity and mean"),
        ({"columns": {"A": {"domain": "x", "quantity": "average"}}}, "give exactly one of"),
        ({"columns": {"A": {"quantity": "forgeting"}}}, "did you mean 'forgetting'"),
        ({"columns": {"A": {"quantity": "average", "sign": 2}}}, "sign must be 1 or -1, found 2"),
        ({"columns": {"A": {"domain": "x", "after": "middle"}}}, "unknown column 'A': after 'middle'"),
        ({"columns": {"A": {"mean": ["B"]}}}, "unknown column 'A': mean 'B'"),
        ({"notes": [1, 2]}, "the file: notes must be a list of texts, found [1, 2]"),
        ({"notes_data": [{}]}, "notes_data must be a list of texts"),
        ({"scale": 0}, "scale must be 1 or more, found 0"),
        ({"scale": True}, "scale must be of type int, found True"),
        ({"streams": {"a": {"of": "ffpp-hq", "order": [3]}}}, "order must be a list of texts, found [3]"),
        ({"streams": {"a": {"of": "ffpp-hq", "order": []}}}, "stream 'a': order is empty"),
        (
            {"streams": {"a": {"of": "ffpp-hq", "order": ["Deepfakes", "Deepfakes"]}}},
            "stream 'a': order names 'Deepfakes' twice",
        ),
        ({"streams": {"a": {"name": "../x", "domains": [DOMAIN]}}}, "'../x' cannot be that of a file"),
        ({"streams": {"a": {"domains": [DOMAIN], "optional": 1}}}, "optional must be of type bool, found 1"),
        (
            {"streams": {"a b": {"domains": [DOMAIN]}, "a-b": {"domains": [{**DOMAIN, "name": "E"}]}}},
            "streams 'a b' and 'a-b' are both called 'mine-a-b'",
        ),
        ({"columns": {"A": {"mean": [["A"]]}}}, "column 'A': mean must be a list of texts, found [['A']]"),
        ({"columns": {"A": {"mean": ["A"]}}}, "column 'A': mean of 'A', which is a mean itself"),
        (
            {"columns": {"A": {"mean": ["B"]}, "B": {"mean": ["C"]}, "C": {"quantity": "average"}}},
            "column 'A': mean of 'B', which is a mean itself",
        ),
        (
            {"columns": {"A": {"mean": ["C", "C"]}, "C": {"quantity": "average"}}},
            "column 'A': mean names 'C' twice",
        ),
        ({"columns": {"A": {"mean": ["B"], "sign": -1}}}, "column 'A': sign goes with quantity only"),
        ({"columns": {"A": {"domain": "x", "sign": -1}}}, "column 'A': sign goes with quantity only"),
        (
            {"columns": {"A": {"quantity": "average", "after": "first"}}},
            "column 'A': after goes with domain only",
        ),
        ({"columns": {"A": {"mean": ["B"], "stream": "s"}}}, "column 'A': a mean takes nothing else"),
        (
            {"rows": {"r": {"strategy": "ewc", "recipe": {"backbone": ["a"]}}}},
            "recipe.backbone must be a single value, found ['a']",
        ),
        (
            {**ONE_COLUMN, "rows": {"r": {"strategy": "fretel"}}},
            "row 'r', column 'A': unknown strategy 'fretel'; did you mean 'fretal'",
        ),
        ({**ONE_COLUMN, "rows": {"r": {}}}, "row 'r', column 'A': no strategy is named"),
        (
            {**ONE_COLUMN, "rows": {"r": {"strategy": "kd", "set": {"temprature": 2.0}}}},
            "did you mean 'temperature'",
        ),
        (
            {"rows": {"r": {"strategy": "ewc", "stream": "b"}}, "columns": {"A": {"quantity": "average"}}},
            "unknown column 'A': stream 'b'",
        ),
        (
            {
                "streams": {"s": "ffpp-hq"},
                "rows": {"r": {"strategy": "ewc", "stream": "s"}},
                "columns": {"A": {"domain": "Deepfake"}},
            },
            "unknown column 'A': domain 'Deepfake'; did you mean 'Deepfakes'",
        ),
    ],
)
def test_a_wrong_key_or_name_in_a_table_file_is_named_with_the_nearest(table, message):
    with pytest.raises(BenchError) as error:
        paper_of_table(Path("mine.toml"), table)
    assert message in str(error.value)
    assert "mine.toml" in str(error.value)


def test_stand_ins_are_found_by_name_then_by_position_then_not_at_all():
    mini = find_stream("ffpp-mini")
    task3 = open_paper("cored-task3").streams
    lent = stand_ins(task3.values(), mini)
    assert {name: domain.methods for name, domain in lent.domains.items()} == {
        "Deepfakes": ("Deepfakes",),
        "Face2Face": ("Face2Face",),
        "FaceSwap": ("FaceSwap",),
        "ProGAN": ("NeuralTextures",),
    }
    dfil = stand_ins([find_stream("dfil")], mini)
    assert [dfil.domains[name].methods[0] for name in ("FF++", "DFDC-P", "DFD", "Celeb-DF")] == list(METHODS)
    assert "san" not in stand_ins([find_stream("cddb-hard")], mini).domains


def test_a_data_set_of_all_manipulations_is_stood_in_for_by_all_together_and_no_data_stand_in_twice():
    streams = open_paper("deepfakebench").streams
    lent = stand_ins(streams.values(), find_stream("ffpp-mini"))
    assert lent.domains["FF++ c23"].methods == METHODS
    assert "FF++ c40" not in lent.domains
    assert lent.domains["FaceSwap"].methods == ("FaceSwap",)


def test_replaced_streams_keep_their_domains_names_and_differ_in_nothing_but_quality_are_one():
    mini, streams = find_stream("ffpp-mini"), open_paper("cored-task2").streams
    lent = stand_ins(streams.values(), mini)
    high, low = lent.replace(streams["HQ"]), lent.replace(streams["LQ"])
    assert high == low
    assert [domain.name for domain in high.domains] == ["Deepfakes", "Face2Face"]
    assert not high.needs_data
    assert high.name != mini.name
    whole = stand_ins([find_stream("ffpp-hq")], mini).replace(find_stream("ffpp-hq"))
    assert (whole.name, whole.domains) == (mini.name, mini.domains)


def test_a_stream_whose_first_domain_or_whose_second_has_no_stand_in_cannot_run(tmp_path):
    paper = open_paper("cored-task3")
    streams = TableStreams(paper, tmp_path, "ffpp-mini")
    assert streams.lacks("HQ") == ""
    assert "too few domains" in streams.lacks("GAN")
    task1 = TableStreams(open_paper("cored-task1-ffpp"), tmp_path, str(tiny_stream(tmp_path)))
    assert task1.lacks("on NT") == "tiny has no stand-in for NeuralTextures"
    assert task1.lacks("on DF", "FaceSwap") == ""
    assert task1.lacks("on DF", "NeuralTextures") == "tiny has no stand-in for NeuralTextures"


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory):
    """A table over the tiny stream, run with two seeds: (the table, its run, what was measured, its folder)."""
    folder = tmp_path_factory.mktemp("paper")
    text = (
        streams_of(tiny_stream(folder))
        + """
[rows]
FT = { strategy = "finetuning", stream = "all" }
KD = { strategy = "kd", stream = "all" }
"KD refreshed" = { strategy = "kd", stream = "all", set = { teacher = "previous" } }
[columns]
first = { domain = "D1", after = "first" }
last = { domain = "D0" }
AA = { quantity = "average" }
AF = { quantity = "backward_transfer", sign = -1 }
BWT = { quantity = "backward_transfer" }
both = { mean = ["first", "AA"] }
"""
    )
    paper = table_of(folder, text)
    places = [(row, column) for row in paper.rows for column in paper.columns]
    prepared = prepare_paper(paper, places, folder / "out", seeds=(0, 1), changes=FAST, jobs=1)
    return paper, prepared, execute_paper(prepared, places), folder / "out"


def matrix(scores):
    """R of a cell's scores as percent, written out: row = step 0, 1, ..., column = domain in order."""
    steps = sorted(step for step in scores["step"].unique() if step >= 0)
    names = ["D0", "D1", "D2"]
    rows = []
    for step in steps:
        row = []
        for name in names:
            part = scores[(scores["step"] == step) & (scores["domain"] == name)]
            right = [
                (score >= 0.5) == (label == 1)
                for score, label in zip(part["score"], part["label"], strict=True)
            ]
            row.append(100 * sum(right) / len(right))
        rows.append(row)
    return np.array(rows)


def test_values_are_the_tables_formulas_of_the_cells_that_belong_to_row_and_seed(tiny_run):
    _, prepared, measured, out = tiny_run
    (folder,) = [path for path in out.iterdir() if path.name != "streams"]
    seen = set()
    for row, teacher in [("FT", None), ("KD", "source"), ("KD refreshed", "previous")]:
        for seed in (0, 1):
            id = prepared.cells[(row, "AA")][seed]
            about = pd.read_json(folder / "cells" / id / "cell.json", typ="series")
            assert about["seed"] == seed
            assert about["hyperparameters"].get("teacher") == teacher
            r = matrix(pd.read_parquet(folder / "cells" / id / "scores.parquet"))
            bwt = ((r[2, 0] - r[0, 0]) + (r[2, 1] - r[1, 1])) / 2
            expected = {"first": r[0, 1], "last": r[2, 0], "AA": r[2].mean(), "AF": -bwt, "BWT": bwt}
            expected["both"] = (r[0, 1] + r[2].mean()) / 2
            for column, value in expected.items():
                assert measured[(row, column)].values[seed] == pytest.approx(value, abs=1e-5), (row, column)
            seen.add(id)
    assert len(seen) == 6
    assert any(value for value in measured[("FT", "AF")].values.values()), (
        "a case without forgetting shows no sign"
    )


def test_a_row_that_is_not_in_the_suite_has_the_reason_and_no_value(tiny_run):
    paper, _, _, out = tiny_run
    own = dataclasses.replace(paper, rows={**paper.rows, "Gone": Setting(strategy="gone", stream="all")})
    places = [("FT", "AA"), ("Gone", "AA"), ("Gone", "both")]
    measured = execute_paper(prepare_paper(own, places, out, changes=FAST, jobs=1), places)
    assert measured[("FT", "AA")].values
    assert measured[("Gone", "AA")].reason == NO_STRATEGY + "gone"
    assert measured[("Gone", "both")].reason == f"needs first: {NO_STRATEGY}gone"
    assert measured[("Gone", "AA")].values == {}


def test_a_run_goes_on_where_it_stopped_and_measures_the_same(tiny_run):
    paper, prepared, measured, out = tiny_run
    assert prepared.total > 0
    again = prepare_paper(paper, measured, out, seeds=(0, 1), changes=FAST, jobs=1)
    assert again.total == 0
    assert execute_paper(again, measured) == measured
    more = prepare_paper(paper, [("FT", "AA")], out, seeds=(0, 1, 2), changes=FAST, jobs=1)
    # Fine-tuning's three steps of the new seed, and its source model.
    assert more.total == 4


def test_hyperparameters_from_the_call_go_before_the_tables(tiny_run):
    paper, _, _, out = tiny_run
    changes = {**FAST, "kd": {"temperature": "5"}}
    places = [("KD refreshed", "AA")]
    (cell,) = prepare_paper(paper, places, out, changes=changes, jobs=1).jobs[0].prepared.plan.cells
    assert cell.hyperparameters["temperature"] == 5
    assert cell.hyperparameters["teacher"] == "previous"
    for changes, message in [
        ({"ewc": {"lambda_": "3"}}, "the table has no value of ewc"),
        ({"kd": {"temprature": "3"}}, "did you mean 'temperature'"),
        ({"recipe": {"epoch": "3"}}, "did you mean 'epochs'"),
    ]:
        with pytest.raises(BenchError, match=message):
            prepare_paper(paper, places, out, changes=changes)


def test_a_failed_cell_carries_its_reason(tmp_path, monkeypatch):
    from fretal_bench.strategies.bounds.finetuning import FineTuning

    paper = table_of(
        tmp_path,
        streams_of(tiny_stream(tmp_path))
        + '[rows]\nFT = { strategy = "finetuning", stream = "all" }\n[columns]\nAA = { quantity = "average" }\n',
    )
    prepared = prepare_paper(paper, [("FT", "AA")], tmp_path / "out", changes=FAST, jobs=1)
    monkeypatch.setattr(FineTuning, "penalty", lambda self: 1 / 0)
    measured = execute_paper(prepared, [("FT", "AA")])[("FT", "AA")]
    assert measured.failed
    assert "finetuning, seed 0: ZeroDivisionError" in measured.reason


def test_a_diverged_run_has_no_value_and_says_why(tmp_path):
    text = (
        streams_of(tiny_stream(tmp_path))
        + """
[rows]
FT = { strategy = "finetuning" }
[columns]
AA = { quantity = "average" }
last = { domain = "D0" }
both = { mean = ["AA", "last"] }
"""
    )
    paper = table_of(tmp_path, text)
    places = [("FT", column) for column in paper.columns]
    # Weights and scores are no numbers any more after a few such steps.
    changes = {"recipe": {**FAST["recipe"], "lr": 1e30}}
    prepared = prepare_paper(paper, places, tmp_path / "out", changes=changes, jobs=1)
    measured = execute_paper(prepared, places)
    why = "not finite: training diverged: finetuning, seed 0; try a lower learning rate"
    assert measured[("FT", "AA")].reason == why
    assert measured[("FT", "both")].reason == f"needs AA: {why}"
    assert all(one.failed for one in measured.values())


def test_a_number_that_a_stream_does_not_have_is_no_failure(tmp_path):
    path = tiny_stream(tmp_path)
    assert path.exists()
    text = """
[streams.all]
domains = [{ name = "D0", store = "store", methods = ["m0"] }]
[rows]
FT = { strategy = "finetuning" }
[columns]
AF = { quantity = "backward_transfer" }
"""
    paper = table_of(tmp_path, text)
    prepared = prepare_paper(paper, [("FT", "AF")], tmp_path / "out", changes=FAST, jobs=1)
    measured = execute_paper(prepared, [("FT", "AF")])[("FT", "AF")]
    assert measured.reason.startswith("not finite: the number does not exist")
    assert not measured.failed


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{ strategy = "kd", recipe = { backbon = "x" } }', "did you mean 'backbone'"),
        ('{ strategy = "kd", stream = "wrong" }', "methods: unknown method in the store"),
    ],
)
def test_nothing_is_written_if_the_second_plan_of_a_table_is_wrong(tmp_path, row, message):
    text = (
        streams_of(tiny_stream(tmp_path))
        + f"""
[streams.wrong]
domains = [{{ name = "D0", store = "store", methods = ["m9"] }}, {{ name = "D1", store = "store", methods = ["m1"] }}]
[rows]
FT = {{ strategy = "finetuning", stream = "all" }}
KD = {row.replace("strategy", 'stream = "all", strategy') if "stream" not in row else row}
[columns]
AA = {{ quantity = "average" }}
"""
    )
    paper = table_of(tmp_path, text)
    out = tmp_path / "out"
    with pytest.raises(BenchError, match=message):
        prepare_paper(paper, [("FT", "AA"), ("KD", "AA")], out, recipe="mini", device="cpu")
    assert not out.exists()


def store_of(path, methods, dataset="ffpp", compression="c23"):
    return toy_store(path, toy_rows(methods, dataset).assign(compression=compression), size=32).path


def test_the_papers_streams_run_on_stores_that_are_named_and_remember_them(tmp_path, monkeypatch):
    monkeypatch.delenv("FRETAL_BENCH_DATA", raising=False)
    paper = open_paper("fretal-fig1-hq")
    places = [(value.method, value.column) for value in published_tables()["fretal-fig1-hq"].values]
    changes = {"recipe": {**FAST["recipe"], "precision": "fp32", "image_size": 32}}
    with pytest.raises(
        BenchError, match=r"no value can be run here: lacks ffpp at c23.*--stream-as ffpp-mini"
    ):
        prepare_paper(paper, places, tmp_path / "out", changes=changes)
    store = store_of(tmp_path / "store", METHODS)
    ready = prepare_paper(paper, places, tmp_path / "out", changes=changes, data=[store], jobs=1)
    assert ready.recipe.name == "paper-fretal"
    assert ready.recipe.batchnorm == "released"
    (job,) = ready.jobs
    assert {cell.strategy for cell in job.prepared.plan.cells} == {"zero-shot", "finetuning", "fretal"}
    assert job.prepared.plan.stream["name"] == "ffpp-hq-f2f-fs"
    again = prepare_paper(paper, places, tmp_path / "out", changes=changes, jobs=1)
    assert [c.id for c in again.jobs[0].prepared.plan.cells] == [c.id for c in job.prepared.plan.cells]


def test_values_without_their_data_are_left_out_and_the_others_run(tmp_path, monkeypatch):
    monkeypatch.delenv("FRETAL_BENCH_DATA", raising=False)
    paper = open_paper("cored-task2")
    places = [(value.method, value.column) for value in published_tables()["cored-task2"].values]
    store = store_of(tmp_path / "store", METHODS)
    ready = prepare_paper(paper, places, tmp_path / "out", recipe="mini", changes=FAST, data=[store], jobs=1)
    assert {column for _, column in ready.cells} == {"HQ"}
    assert ready.reasons[("CoReD", "LQ")] == "lacks ffpp at c40"
    assert ready.reasons[("CoReD", "GAN")] == "lacks progan, stylegan"
    assert any("--as image-folders" in command for command in ready.commands)


def test_of_a_stream_that_is_only_tested_on_the_domains_at_hand_are_enough(tmp_path, monkeypatch):
    monkeypatch.delenv("FRETAL_BENCH_DATA", raising=False)
    paper = open_paper("deepfakebench")
    places = [(value.method, value.column) for value in published_tables()["deepfakebench"].values]
    store_of(tmp_path / "data" / "ffpp", METHODS)
    ready = prepare_paper(
        paper, places, tmp_path / "out", recipe="mini", changes=FAST, data=[tmp_path / "data"], jobs=1
    )
    (job,) = ready.jobs
    names = [domain["name"] for domain in job.prepared.plan.stream["domains"]]
    assert names == ["FF++ c23", *METHODS]
    assert ready.reasons[("Xception", "UADFV")] == "lacks uadfv"
    assert ready.reasons[("Xception", "FSh")].startswith("lacks ffpp at c23 (FaceShifter)")
    # Another recipe than the paper's is one for all: both rows are the same cell.
    assert ready.cells[("Xception", "DF")] == ready.cells[("EfficientNet-B4", "DF")]


def test_a_rows_own_backbone_has_a_result_folder_of_its_own_with_the_papers_recipe(tmp_path, monkeypatch):
    monkeypatch.delenv("FRETAL_BENCH_DATA", raising=False)
    paper = open_paper("deepfakebench")
    store = store_of(tmp_path / "store", METHODS)
    places = [("Xception", "DF"), ("EfficientNet-B4", "DF")]
    ready = prepare_paper(paper, places, tmp_path / "out", data=[store], device="cpu", jobs=1)
    backbones = {job.prepared.folder.path.name: job.prepared.plan.recipe.backbone for job in ready.jobs}
    assert sorted(backbones.values()) == ["legacy_xception", "tf_efficientnet_b4"]
    assert ready.cells[places[0]] != ready.cells[places[1]]
    (name,) = [name for name, backbone in backbones.items() if backbone == "tf_efficientnet_b4"]
    assert name.endswith("-deepfakebench-tf_efficientnet_b4")
