"""Published tables: which cells they need, what stands in for missing data, and that the numbers are the table's."""

import dataclasses
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fretal_bench.benchmark.recipes.recipe import open_recipe
from fretal_bench.datasets.streams.stream import find_stream
from fretal_bench.errors import BenchError
from fretal_bench.papers.file import open_paper, paper_of_table
from fretal_bench.papers.published import published_tables
from fretal_bench.papers.run import PaperCall, execute_paper, prepare_paper
from fretal_bench.papers.setting import Cannot, Setting
from fretal_bench.papers.stand_in import stand_ins
from fretal_bench.papers.streams import TableStreams
from fretal_bench.papers.table import setting_of
from fretal_bench.papers.values import measure
from fretal_bench.strategies import registry
from tests_support import TINY, tiny_stream
from toy_stores import toy_rows, toy_store

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
FAST = {"recipe": {**TINY, "source_epochs": 1}}
DOMAIN = {"name": "D", "store": "s", "methods": ["m"]}
ONE_COLUMN = {"streams": {"s": "ffpp-hq"}, "columns": {"A": {"quantity": "average"}}}


def prepare(paper, places, out, building=None, **options):
    return prepare_paper(PaperCall(paper, list(places), out, **options), building)


def run(prepared, places):
    """Train what is missing and return what was measured."""
    execute_paper(prepared)
    return measure(prepared, places)


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
    tables = published_tables()
    folder = Path(str(resources.files("fretal_bench.papers"))) / "tables"
    assert {path.stem for path in folder.iterdir()} == set(tables)
    for name, table in tables.items():
        paper = open_paper(name)
        if not paper.cannot:
            assert list(paper.rows) == list(table.methods), name
            assert list(paper.columns) == list(table.columns), name


def test_recipes_that_tables_name_exist_and_take_what_rows_and_columns_change():
    changed = 0
    for paper in map(open_paper, published_tables()):
        recipe = open_recipe(paper.recipe)
        for setting in (*paper.rows.values(), *paper.columns.values()):
            changed += recipe.changed(setting.recipe) != recipe
    assert changed > 10


def test_a_row_of_a_registered_strategy_is_run_and_one_of_another_says_so():
    for name, table in published_tables().items():
        paper = open_paper(name)
        for value in () if paper.cannot else table.values:
            for column in paper.parts(value.column):
                setting = setting_of(paper, value.method, column)
                strategy = paper.rows[value.method].strategy
                if strategy in registry.names():
                    assert isinstance(setting, Setting), (name, value.method, setting)
                else:
                    assert setting == Cannot("strategy", strategy)
    assert setting_of(open_paper("cored-task3"), "KD-only", "HQ").set == {"teacher": "previous"}
    assert setting_of(open_paper("cddb-hard"), "iCaRL (50/class)", "AF").set == {"memory": 500}


def test_task_1_trains_first_on_the_domain_of_its_row():
    paper = open_paper("cored-task1-ffpp")
    for row, first in zip(published_tables()["cored-task1-ffpp"].methods, METHODS, strict=True):
        stream = paper.streams[setting_of(paper, row, "DF").stream]
        names = [domain.name for domain in stream.domains]
        assert names[0] == first
        assert sorted(names) == sorted(METHODS)
        assert {domain.compressions for domain in stream.domains} == {("c23",)}


def test_cddb_hard_says_that_memory_is_a_constant_total():
    (note,) = [note for note in open_paper("cddb-hard").notes if "constant total" in note]
    assert "equals the paper's budget a class only at the end" in note


def test_a_users_own_row_is_run_if_it_is_the_name_of_a_strategy():
    paper = open_paper("cored-task2")
    assert setting_of(paper, "ewc", "HQ").strategy == "ewc"
    assert setting_of(open_paper("dfil"), "ewc", "AF").stream == "all"
    assert setting_of(paper, "Mine", "HQ").kind == "row"
    assert "is no strategy of the suite" in str(setting_of(paper, "Mine", "HQ"))
    assert setting_of(paper, "ewc", "SD").kind == "column"


@pytest.mark.parametrize("name", ["avalanche:ewc", "Avalanche:EWC"])
def test_what_avalanche_ships_can_stand_in_a_users_table(name):
    table = {**ONE_COLUMN, "rows": {"shipped": {"strategy": name}}}
    setting = setting_of(paper_of_table(Path("mine.toml"), table), "shipped", "A")
    assert isinstance(setting, Setting), str(setting)
    assert setting.strategy == "avalanche:ewc"
    assert setting_of(open_paper("cored-task2"), name, "HQ").strategy == "avalanche:ewc"


def test_a_table_without_a_file_cannot_be_run_and_says_why():
    reason = setting_of(open_paper("nobodys-table"), "a", "b")
    assert reason.kind == "table"
    assert "no file says which cells" in str(reason)


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ({"recipee": "mini"}, ["unknown key 'recipee'", "'recipe'"]),
        ({"metric": "acuracy"}, ["key 'metric'", "unknown metric 'acuracy'", "'accuracy'"]),
        ({"level": "clip"}, ["key 'level'", "'frame', 'video'", "'clip'"]),
        ({"scale": "100"}, ["key 'scale'", "a whole number", "'100'"]),
        ({"scale": 0}, ["key 'scale'", "at least 1", "found 0"]),
        ({"scale": True}, ["key 'scale'", "found True"]),
        ({"notes": [1, 2]}, ["key 'notes[0]'", "text", "found 1"]),
        ({"notes_data": [{}]}, ["key 'notes_data[0]'", "text"]),
        ({"streams": {"a": "ffpp-hg"}}, ["stream 'a'", "unknown stream 'ffpp-hg'"]),
        ({"streams": {"a": 3}}, ["key 'streams.a'", "the name of a stream", "found 3"]),
        ({"streams": {"a": {"of": "ffpp-hq", "order": ["Deepfake"]}}}, ["streams.a.order", "'Deepfakes'"]),
        ({"streams": {"a": {"of": "ffpp-hq", "order": [3]}}}, ["stream 'a'", "key 'order[0]'", "found 3"]),
        ({"streams": {"a": {"of": "ffpp-hq", "order": []}}}, ["stream 'a'", "order is empty"]),
        (
            {"streams": {"a": {"of": "ffpp-hq", "order": ["Deepfakes", "Deepfakes"]}}},
            ["stream 'a'", "order names 'Deepfakes' twice"],
        ),
        ({"streams": {"a": {"name": "../x", "domains": [DOMAIN]}}}, ["stream 'a'", "'../x'", "it is a path"]),
        ({"streams": {"a": {"domains": [DOMAIN], "optional": 1}}}, ["stream 'a'", "'optional'", "found 1"]),
        (
            {"streams": {"a b": {"domains": [DOMAIN]}, "a-b": {"domains": [{**DOMAIN, "name": "E"}]}}},
            ["streams 'a b' and 'a-b'", "'mine-a-b'", "rename one"],
        ),
        ({"rows": {"r": {"strateg": "ewc"}}}, ["unknown key 'rows.r.strateg'", "'strategy'"]),
        (
            {"rows": {"r": {"strategy": "ewc", "recipe": {"backbone": ["a"]}}}},
            ["key 'rows.r.recipe.backbone'", "a single value", "['a']"],
        ),
        ({"columns": {"A": {}}}, ["columns.A", "exactly one of domain, quantity and mean"]),
        ({"columns": {"A": {"domain": "x", "quantity": "average"}}}, ["columns.A", "exactly one of"]),
        ({"columns": {"A": {"quantity": "forgeting"}}}, ["key 'columns.A.quantity'", "'forgetting'"]),
        (
            {"columns": {"A": {"quantity": "average", "sign": 2}}},
            ["key 'columns.A.sign'", "1, -1", "found 2"],
        ),
        (
            {"columns": {"A": {"domain": "x", "after": "middle"}}},
            ["key 'columns.A.after'", "unknown step 'middle'", "first, last"],
        ),
        ({"columns": {"A": {"mean": ["B"]}}}, ["key 'columns.A.mean'", "unknown column 'B'"]),
        ({"columns": {"A": {"mean": [["A"]]}}}, ["key 'columns.A.mean[0]'", "text", "['A']"]),
        ({"columns": {"A": {"mean": ["A"]}}}, ["key 'columns.A.mean'", "'A' is a mean itself"]),
        (
            {"columns": {"A": {"mean": ["B"]}, "B": {"mean": ["C"]}, "C": {"quantity": "average"}}},
            ["key 'columns.A.mean'", "'B' is a mean itself"],
        ),
        (
            {"columns": {"A": {"mean": ["C", "C"]}, "C": {"quantity": "average"}}},
            ["columns.A", "mean names 'C' twice"],
        ),
        ({"columns": {"A": {"mean": ["B"], "sign": -1}}}, ["columns.A", "sign goes with quantity only"]),
        ({"columns": {"A": {"domain": "x", "sign": -1}}}, ["columns.A", "sign goes with quantity only"]),
        (
            {"columns": {"A": {"quantity": "average", "after": "first"}}},
            ["columns.A", "after goes with domain only"],
        ),
        ({"columns": {"A": {"mean": ["B"], "stream": "s"}}}, ["columns.A", "a mean takes no stream"]),
        (
            {**ONE_COLUMN, "rows": {"r": {"strategy": "fretel"}}},
            ["row 'r', column 'A'", "unknown strategy 'fretel'", "'fretal'"],
        ),
        ({**ONE_COLUMN, "rows": {"r": {}}}, ["row 'r', column 'A'", "no strategy is named"]),
        (
            {**ONE_COLUMN, "rows": {"r": {"strategy": "kd", "set": {"temprature": 2.0}}}},
            ["row 'r', column 'A'", "'temprature'", "'temperature'"],
        ),
        (
            {"rows": {"r": {"strategy": "ewc", "stream": "b"}}, "columns": {"A": {"quantity": "average"}}},
            ["key 'columns.A'", "unknown stream 'b'"],
        ),
        (
            {
                "streams": {"s": "ffpp-hq"},
                "rows": {"r": {"strategy": "ewc", "stream": "s"}},
                "columns": {"A": {"domain": "Deepfake"}},
            },
            ["key 'columns.A.domain'", "unknown domain 'Deepfake'", "'Deepfakes'"],
        ),
    ],
)
def test_what_is_wrong_in_a_table_file_is_named_with_file_and_key(table, parts):
    with pytest.raises(BenchError) as error:
        paper_of_table(Path("mine.toml"), table)
    assert str(error.value).startswith("mine.toml: ")
    for part in parts:
        assert part in str(error.value)


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
    assert streams.lacks("HQ") is None
    assert "too few domains" in str(streams.lacks("GAN"))
    task1 = TableStreams(open_paper("cored-task1-ffpp"), tmp_path, str(tiny_stream(tmp_path)))
    none = Cannot("stand-in", "tiny has no stand-in for NeuralTextures")
    assert task1.lacks("on NT") == none
    assert task1.lacks("on DF", "FaceSwap") is None
    assert task1.lacks("on DF", "NeuralTextures") == none


def test_a_stream_none_of_whose_domains_has_a_stand_in_cannot_run(tmp_path):
    paper = open_paper("cored-task3")
    streams = TableStreams(paper, tmp_path, str(tiny_stream(tmp_path, domains=2)))
    assert "too few domains" not in str(streams.lacks("HQ"))
    assert streams.lacks("GAN") == Cannot("stand-in", "tiny has no stand-in for ProGAN")


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
"KD from the source" = { strategy = "kd", stream = "all", set = { teacher = "source" } }
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
    prepared = prepare(paper, places, folder / "out", seeds=(0, 1), changes=FAST, jobs=1)
    return paper, prepared, run(prepared, places), folder / "out"


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
    for row, teacher in [("FT", None), ("KD", "previous"), ("KD from the source", "source")]:
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
    measured = run(prepare(own, places, out, changes=FAST, jobs=1), places)
    assert measured[("FT", "AA")].values
    assert measured[("Gone", "AA")].reason == "the suite has no strategy gone"
    assert measured[("Gone", "both")].reason == "needs first: the suite has no strategy gone"
    assert measured[("Gone", "AA")].values == {}


def test_a_run_goes_on_where_it_stopped_and_measures_the_same(tiny_run):
    paper, prepared, measured, out = tiny_run
    assert prepared.total > 0
    again = prepare(paper, measured, out, seeds=(0, 1), changes=FAST, jobs=1)
    assert again.total == 0
    assert run(again, measured) == measured
    more = prepare(paper, [("FT", "AA")], out, seeds=(0, 1, 2), changes=FAST, jobs=1)
    # The source model of the new seed, and fine-tuning's two domains after that.
    assert more.total == 3


def test_hyperparameters_from_the_call_go_before_the_tables(tiny_run):
    paper, _, _, out = tiny_run
    changes = {**FAST, "kd": {"temperature": "5"}}
    places = [("KD from the source", "AA")]
    (cell,) = prepare(paper, places, out, changes=changes, jobs=1).jobs[0].prepared.plan.cells
    assert cell.hyperparameters["temperature"] == 5
    assert cell.hyperparameters["teacher"] == "source"
    for changes, message in [
        ({"ewc": {"lambda_": "3"}}, "the table has no value of ewc"),
        ({"kd": {"temprature": "3"}}, "did you mean 'temperature'"),
        ({"recipe": {"epoch": "3"}}, "did you mean 'epochs'"),
    ]:
        with pytest.raises(BenchError, match=message):
            prepare(paper, places, out, changes=changes)


def test_a_failed_cell_carries_its_reason(tmp_path, monkeypatch):
    from fretal_bench.strategies.bounds.finetuning import FineTuning

    paper = table_of(
        tmp_path,
        streams_of(tiny_stream(tmp_path))
        + '[rows]\nFT = { strategy = "finetuning", stream = "all" }\n[columns]\nAA = { quantity = "average" }\n',
    )
    prepared = prepare(paper, [("FT", "AA")], tmp_path / "out", changes=FAST, jobs=1)
    monkeypatch.setattr(FineTuning, "penalty", lambda self: 1 / 0)
    measured = run(prepared, [("FT", "AA")])[("FT", "AA")]
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
    changes = {"recipe": {**FAST["recipe"], "lr": 1000, "weight_decay": 1000}}
    prepared = prepare(paper, places, tmp_path / "out", changes=changes, jobs=1)
    measured = run(prepared, places)
    why = measured[("FT", "AA")].reason
    assert why.startswith("failed: finetuning, seed 0: ")
    assert "diverged" in why
    assert measured[("FT", "both")].reason == f"needs AA: {why}"
    assert all(value.failed for value in measured.values())


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
    prepared = prepare(paper, [("FT", "AF")], tmp_path / "out", changes=FAST, jobs=1)
    measured = run(prepared, [("FT", "AF")])[("FT", "AF")]
    assert measured.reason.startswith("not finite: the number does not exist")
    assert not measured.failed


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{ strategy = "kd", recipe = { backbon = "x" } }', "did you mean 'backbone'"),
        ('{ strategy = "kd", stream = "wrong" }', "domain 'D0'.*'m9'"),
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
        prepare(paper, [("FT", "AA"), ("KD", "AA")], out, recipe="mini", device="cpu")
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
        prepare(paper, places, tmp_path / "out", changes=changes)
    store = store_of(tmp_path / "store", METHODS)
    ready = prepare(paper, places, tmp_path / "out", changes=changes, data=[store], jobs=1)
    assert ready.recipe.name == "paper-fretal"
    assert ready.recipe.batchnorm == "released"
    (job,) = ready.jobs
    assert {cell.strategy for cell in job.prepared.plan.cells} == {"zero-shot", "finetuning", "fretal"}
    assert job.prepared.plan.stream["name"] == "ffpp-hq-f2f-fs"
    again = prepare(paper, places, tmp_path / "out", changes=changes, jobs=1)
    assert [c.id for c in again.jobs[0].prepared.plan.cells] == [c.id for c in job.prepared.plan.cells]


def test_values_without_their_data_are_left_out_and_the_others_run(tmp_path, monkeypatch):
    monkeypatch.delenv("FRETAL_BENCH_DATA", raising=False)
    paper = open_paper("cored-task2")
    places = [(value.method, value.column) for value in published_tables()["cored-task2"].values]
    store = store_of(tmp_path / "store", METHODS)
    ready = prepare(paper, places, tmp_path / "out", recipe="mini", changes=FAST, data=[store], jobs=1)
    assert {column for _, column in ready.cells} == {"HQ"}
    assert ready.reasons[("CoReD", "LQ")] == Cannot("data", "lacks ffpp at c40")
    assert ready.reasons[("CoReD", "GAN")] == Cannot("data", "lacks progan, stylegan")
    assert any("--as image-folders" in command for command in ready.commands)


def test_of_a_stream_that_is_only_tested_on_the_domains_at_hand_are_enough(tmp_path, monkeypatch):
    monkeypatch.delenv("FRETAL_BENCH_DATA", raising=False)
    paper = open_paper("deepfakebench")
    places = [(value.method, value.column) for value in published_tables()["deepfakebench"].values]
    store_of(tmp_path / "data" / "ffpp", METHODS)
    ready = prepare(
        paper, places, tmp_path / "out", recipe="mini", changes=FAST, data=[tmp_path / "data"], jobs=1
    )
    (job,) = ready.jobs
    names = [domain["name"] for domain in job.prepared.plan.stream["domains"]]
    assert names == ["FF++ c23", *METHODS]
    assert ready.reasons[("Xception", "UADFV")] == Cannot("data", "lacks uadfv")
    assert str(ready.reasons[("Xception", "FSh")]).startswith("lacks ffpp at c23 (FaceShifter)")
    # Another recipe than the paper's is one for all: both rows are the same cell.
    assert ready.cells[("Xception", "DF")] == ready.cells[("EfficientNet-B4", "DF")]


def test_a_rows_own_backbone_has_a_result_folder_of_its_own_with_the_papers_recipe(tmp_path, monkeypatch):
    monkeypatch.delenv("FRETAL_BENCH_DATA", raising=False)
    paper = open_paper("deepfakebench")
    store = store_of(tmp_path / "store", METHODS)
    places = [("Xception", "DF"), ("EfficientNet-B4", "DF")]
    ready = prepare(paper, places, tmp_path / "out", data=[store], device="cpu", jobs=1)
    backbones = {job.prepared.folder.path.name: job.prepared.plan.recipe.backbone for job in ready.jobs}
    assert sorted(backbones.values()) == ["legacy_xception", "tf_efficientnet_b4"]
    assert ready.cells[places[0]] != ready.cells[places[1]]
    (name,) = [name for name, backbone in backbones.items() if backbone == "tf_efficientnet_b4"]
    assert name.endswith("-deepfakebench-tf_efficientnet_b4")


def remember(out, name, domain, store):
    """Write what an earlier run of a table left: a stream of one domain with its store."""
    (out / "streams").mkdir(parents=True, exist_ok=True)
    (out / "streams" / f"{name}.toml").write_text(
        f'name = "{name}"\n[[domains]]\nname = "{domain["name"]}"\nstore = "{store}"\n'
        f"datasets = {domain['datasets']}\nmethods = {domain.get('methods', [])}\n"
    )


def test_a_stream_remembers_its_own_stores_and_none_of_a_stream_whose_name_begins_alike(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("FRETAL_BENCH_DATA", raising=False)
    domain = {"name": "D", "datasets": ["ffpp"], "methods": ["Deepfakes"]}
    table = {"streams": {"a": {"domains": [domain]}, "ab": {"domains": [domain]}}}
    streams = TableStreams(paper_of_table(tmp_path / "mine.toml", table), tmp_path / "out")
    stores = [
        toy_store(tmp_path / name, toy_rows(METHODS, "ffpp"), size=n).path
        for n, name in [(8, "s8"), (9, "s9")]
    ]
    for name, store in zip(["mine-a", "mine-ab"], stores, strict=True):
        remember(tmp_path / "out", name, domain, store)
    assert [streams.at_hand(key).domains[0].store for key in ("a", "ab")] == list(map(str, stores))


def test_a_store_of_a_domain_that_was_described_otherwise_is_not_remembered(tmp_path, monkeypatch):
    monkeypatch.delenv("FRETAL_BENCH_DATA", raising=False)
    domain = {"name": "D", "datasets": ["ffpp"], "methods": ["Deepfakes"]}
    paper = paper_of_table(tmp_path / "mine.toml", {"streams": {"a": {"domains": [domain]}}})
    store = store_of(tmp_path / "store", METHODS)
    for methods, reason in [(["FaceSwap"], "data"), (["Deepfakes"], None)]:
        remember(tmp_path / "out", "mine-a", {**domain, "methods": methods}, store)
        lack = TableStreams(paper, tmp_path / "out").lacks("a")
        assert (lack and lack.kind) == reason


def test_an_optional_stream_that_gains_a_domain_still_remembers_the_stores_of_the_others(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("FRETAL_BENCH_DATA", raising=False)
    domains = [{"name": name, "datasets": [name]} for name in ("a", "b", "c")]
    paper = paper_of_table(
        tmp_path / "mine.toml",
        {
            "streams": {"s": {"optional": True, "domains": domains}},
            "rows": {"r": {"strategy": "zero-shot"}},
            "columns": {name: {"domain": name} for name in "abc"},
        },
    )
    stores = {name: store_of(tmp_path / name, ["m"], name, "none") for name in "abc"}
    places = [("r", name) for name in "abc"]
    for data, names in [("ab", {"a", "b"}), ("c", {"a", "b", "c"}), ("", {"a", "b", "c"})]:
        ready = prepare(
            paper, places, tmp_path / "out", changes=FAST, data=[stores[name] for name in data], jobs=1
        )
        assert {column for _, column in ready.cells} == names
