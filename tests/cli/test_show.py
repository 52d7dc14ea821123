"""`bench show`: what is printed and given as JSON of a strategy, a stream, a recipe and a table."""

import dataclasses
import json
import subprocess
import sys

import pytest

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.strategies.registry import find_strategy, list_strategies, names
from tests_support import tiny_stream


def shown(bench, *words):
    code, out, err = bench("show", *words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


@pytest.mark.parametrize("name", [name for name in names() if name != "finetuning"])
def test_every_strategy_has_a_formula_a_paper_and_words_for_each_of_its_constants(bench, name):
    of = shown(bench, "strategy", name)
    info = find_strategy(name)
    assert of["formula"]
    assert of["paper"] == info.paper
    assert of["links"] or info.paper == "baseline"
    assert [c["key"] for c in of["constants"]] == [f.name for f in dataclasses.fields(info.constants)]
    for constant in of["constants"]:
        assert constant["what"], constant
        assert constant["default"] == getattr(info.constants(), constant["key"])


def test_a_strategys_formula_is_its_docstrings_own(bench):
    from fretal_bench.strategies.penalties.ewc import EWC

    of = shown(bench, "strategy", "ewc")
    assert " ".join(EWC.__doc__.replace("``", "").split()).startswith(of["formula"])
    assert "lambda_/2 sum_i sum_k F_i[k]" in of["formula"]
    assert of["source"].startswith("Kirkpatrick")
    assert shown(bench, "strategy", "orthogonal-lora")["formula"].startswith("L = CE + orthogonality")
    (strength,) = (c for c in of["constants"] if c["key"] == "lambda_")
    assert (strength["takes"], strength["searched"]) == (
        "a finite number of at least 0",
        "0.1 to 10000, log-uniform",
    )


def test_what_a_strategy_needs_follows_its_row(bench):
    er, joint, kd, s_prompts = (shown(bench, "strategy", name) for name in ("er", "joint", "kd", "s-prompts"))
    assert "500" in er["needs"]["old data"]
    assert er["needs"]["source model"].startswith("cannot")
    assert joint["needs"]["old data"].startswith("all")
    assert joint["bound"]
    assert kd["needs"]["old data"] == "none"
    assert any("frozen copy" in sentence for sentence in kd["cost"])
    assert "vision transformer" in s_prompts["needs"]["backbone"]


def test_avalanches_own_have_the_link_of_the_suites_strategy_of_the_same_paper(bench):
    own, shipped = (shown(bench, "strategy", name) for name in ("ewc", "avalanche:ewc"))
    assert shipped["links"] == own["links"] != []
    assert "Fisher" in shipped["caution"]


def test_a_strategy_in_a_file_is_shown_with_its_own_docstring(bench, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from fretal_bench.strategies import ContinualStrategy, Record, StrategyInfo, tunable\n"
        "@dataclass(frozen=True)\n"
        "class Constants(Record):\n"
        '    """Constants.\n\n    Args:\n        pull: How\n            strongly.\n    """\n'
        "    pull: float = tunable(0.5, 0.1, 1, above=0)\n"
        "class Mine(ContinualStrategy):\n"
        '    """``L = CE + pull |w|``.\n\n    More.\n\n    Source: nobody.\n    """\n'
        'STRATEGY = StrategyInfo("mine", ":Mine", "weights pulled", "unpublished", constants=Constants)\n'
    )
    of = shown(bench, "strategy", "mine", "--plugin", "mine.py")
    assert (of["formula"], of["details"], of["source"]) == ("L = CE + pull |w|.", ["More."], "nobody.")
    assert (of["constants"][0]["default"], of["constants"][0]["what"]) == (0.5, "How strongly.")
    assert of["origin"].startswith("mine.py")


def test_a_streams_samples_are_those_of_its_store(bench, tmp_path):
    from fretal_bench.datasets.streams.stream import open_stream

    path = tiny_stream(tmp_path / "tiny")
    of = shown(bench, "stream", str(path))
    for domain, there in zip(open_stream(path), of["domains"], strict=True):
        for split, rows in domain.rows.items():
            labels = domain.store.index["label"].to_numpy()[rows]
            assert there["samples"][split] == {"reals": int(sum(labels == 0)), "fakes": int(sum(labels == 1))}
    out = bench("show", "stream", str(path)).out
    assert all(domain["name"] in out for domain in of["domains"])


def test_a_stream_whose_data_are_not_here_says_what_it_lacks(bench, monkeypatch, tmp_path):
    monkeypatch.setenv("FRETAL_BENCH_CACHE", str(tmp_path / "empty"))
    of = shown(bench, "stream", "ffpp-mini")
    assert of["data"].startswith("not made yet")
    assert of["folds"] == 5
    assert not any(domain["samples"] for domain in of["domains"])
    other = shown(bench, "stream", "cddb-hard")
    assert other["lacks"]
    assert other["commands"]


def test_a_recipe_is_shown_with_every_key(bench):
    of = shown(bench, "recipe", "mini")
    assert set(of) == {field.name for field in dataclasses.fields(Recipe)}
    out = bench("show", "recipe", "mini").out
    for field in dataclasses.fields(Recipe):
        if field.name not in ("name", "description", "hyperparameters", "tuning"):
            assert field.name in out


def test_a_table_is_shown_as_bench_paper_shows_it(bench):
    assert bench("show", "table", "cored-task2").out == bench("paper", "show", "cored-task2").out
    assert shown(bench, "table", "cored-task2")[0]["source"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("strategies", "ewc"), "unknown kind 'strategies'; did you mean 'strategy'"),
        (("strategy", "ewk"), "unknown strategy 'ewk'; did you mean 'ewc'"),
        (("stream", "ffpp-mimi"), "unknown stream 'ffpp-mimi'; did you mean 'ffpp-mini'"),
        (("recipe", "mimi"), "unknown recipe 'mimi'; did you mean 'mini'"),
        (("table", "cored-task9"), "unknown table 'cored-task9'"),
        (("strategy",), "NAME is missing"),
    ],
)
def test_a_wrong_name_is_one_line_with_the_nearest(bench, words, message):
    code, out, err = bench("show", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_showing_a_strategy_or_refusing_its_name_imports_nothing_slow(tmp_path):
    script = (
        "import sys\nfrom fretal_bench.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "slow = {'torch', 'avalanche', 'timm', 'numpy', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    for words in (("strategy", "sur-lid"), ("strategy", "ewk"), ("recipe", "mini")):
        done = subprocess.run(
            [sys.executable, "-c", script, "show", *words], capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr


def test_links_are_addresses_of_papers_and_no_strategy_but_a_baseline_is_without():
    for info in list_strategies():
        assert all(link.startswith(("https://arxiv.org/abs/", "https://doi.org/")) for link in info.links)
        assert info.links or info.paper == "baseline"
