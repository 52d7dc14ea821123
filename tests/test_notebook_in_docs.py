"""The notebook of the documentation: its cells run, and show frames and pictures."""

import builtins
import json
import shutil
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
STRATEGIES = ("finetuning", "ewc", "er", "joint")
"""Those whose cells the test looks at, among which are those that the notebook names: the others take as long again."""


@pytest.fixture(scope="module")
def cells():
    if not NOTEBOOK.exists():
        pytest.skip("not run from a source tree")
    return json.loads(NOTEBOOK.read_text("utf-8"))["cells"]


@pytest.fixture
def folder(tmp_path):
    """A result folder with the reference's plan, as it is while only some of its cells are done."""
    source = ROOT / "results" / "reference"
    plan = json.loads((source / "plan.json").read_text("utf-8"))
    shutil.copy(source / "plan.json", tmp_path)
    for cell in plan["cells"]:
        if cell["strategy"] in STRATEGIES and cell["seed"] < 3:
            shutil.copytree(source / "cells" / cell["id"], tmp_path / "cells" / cell["id"])
    return tmp_path


@pytest.fixture
def shell(tmp_path_factory, monkeypatch):
    """IPython in this process: a kernel takes seconds to start."""
    pytest.importorskip("IPython", reason="notebooks are run by IPython (extra dev)")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    for name in ("displayhook", "excepthook", "ps1", "ps2", "ps3"):
        monkeypatch.setattr(sys, name, getattr(sys, name, None), raising=False)
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    before = set(vars(builtins))
    shell = InteractiveShell(config=Config(HistoryManager={"enabled": False}))
    yield shell
    plt = sys.modules.get("matplotlib.pyplot")
    if plt is not None:
        plt.close("all")
    for name in set(vars(builtins)) - before:
        delattr(builtins, name)


def shown(shell, cell, **changes):
    """Run a cell, and return what a notebook shows of it by kind; nothing may be warned of."""
    source = "".join(cell["source"])
    for name, value in changes.items():
        lines = [
            f"{name} = {value!r}" if line.startswith(f"{name} = ") else line for line in source.splitlines()
        ]
        source = "\n".join(lines)
    done = shell.run_cell(source)
    done.raise_error()
    with warnings.catch_warnings():
        # IPython warns of what cannot show itself, and goes on.
        warnings.simplefilter("error")
        return {} if done.result is None else shell.display_formatter.format(done.result)[0]


def completed(shell, text):
    """What Tab offers after a text."""
    from IPython.core.completer import provisionalcompleter

    # Jedi reads whole libraries first.
    shell.Completer.use_jedi = False
    with provisionalcompleter():
        return {of.text.rpartition(".")[2] for of in shell.Completer.completions(text, len(text))}


def test_every_cell_of_the_notebook_runs_and_shows_what_it_is_for(shell, cells, folder, monkeypatch):
    monkeypatch.chdir(NOTEBOOK.parent)
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert any(line.startswith("FOLDER = ") for line in "".join(code[0]["source"]).splitlines())
    kinds = [shown(shell, cell, FOLDER=str(folder)) for cell in code]
    assert all(kinds)
    assert "<table>" in kinds[0]["text/html"]
    assert sum("text/html" in of for of in kinds) >= 5
    assert sum("image/png" in of for of in kinds) >= 3
    assert completed(shell, "results.plo") == {"plot"}
    assert completed(shell, "results.plot.tr") == {"tradeoff"}


def test_the_notebook_names_results_that_are_there_and_is_kept_without_outputs(cells):
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    namespace = {}
    exec(next(line for line in code[0]["source"] if line.startswith("FOLDER")), namespace)
    assert (NOTEBOOK.parent / namespace["FOLDER"] / "plan.json").is_file()
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert len({cell["id"] for cell in cells}) == len(cells)
