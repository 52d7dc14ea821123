"""Plugins, installed or in a file: found, checked before anything trains, and part of what a result is."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import pytest
from torch.optim import SGD

from fretal_bench import plugins
from fretal_bench.benchmark.runner.call import Call, check_names
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import run
from fretal_bench.errors import BenchError
from fretal_bench.metrics import registry
from fretal_bench.strategies import life
from fretal_bench.strategies.loading import load
from fretal_bench.strategies.registry import find_strategy, list_strategies, names
from installed import an_installation
from tests_support import TINY, recipe_options, tiny_backbone, tiny_stream

pytestmark = pytest.mark.usefixtures("undrawn")

INFO = """
from dataclasses import dataclass
from fretal_bench.strategies.record import StrategyInfo, tunable

@dataclass(frozen=True)
class Constants:
    strength: float = tunable(0.1, 0.001, 10)

INFO = StrategyInfo("pulled", "{module}:Pulled", "weights pulled to 0", "none"{constants}{more})
"""
CODE = """
from fretal_bench.strategies.template import ContinualStrategy

class Pulled(ContinualStrategy):
    "The squared weights as penalty."

    {own}

    def {hook}:
        return {strength} * sum((w ** 2).sum() for w in self.model.parameters())
"""


def code(
    module="a_strategy",
    hook="penalty(self)",
    strength="self.hyperparameters.strength",
    constants=", constants=Constants",
    own="Hyperparameters = Constants",
    more="",
):
    """The text of a module with the record of a strategy and the strategy."""
    row = INFO.format(module=module, constants=constants, more=more)
    return row + CODE.format(hook=hook, strength=strength, own=own)


@pytest.fixture(autouse=True)
def no_plugins():
    """Every test begins and ends without plugins."""
    plugins.forget()
    yield
    plugins.forget()
    for name in ("a_strategy", "a_light_one", "a_broken_one"):
        sys.modules.pop(name, None)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution with one kind of entry points."""
    monkeypatch.syspath_prepend(tmp_path / "site")

    def install(modules, points, kind="strategies", name="my-dist", version="1.2", direct_url=""):
        (tmp_path / "site").mkdir(exist_ok=True)
        an_installation(tmp_path / "site", name, version, modules, kind, points, direct_url)
        plugins.forget()

    return install


@pytest.fixture
def write(tmp_path):
    """Write a plugin file."""

    def write(text, name="mine.py"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return str(tiny_stream(tmp_path_factory.mktemp("tiny"), domains=2))


@pytest.fixture(scope="module")
def trained(stream, tmp_path_factory):
    """A folder in which fine-tuning has been run without plugins."""
    folder = tmp_path_factory.mktemp("trained")
    run(("finetuning",), stream, changes={"recipe": TINY}, jobs=1, out=folder / "results" / "tiny-mini")
    return folder


def test_an_installed_strategy_is_one_like_any_other_and_says_where_it_comes_from(install):
    install({"a_strategy": code()}, {"pulled": "a_strategy:INFO"})

    info = find_strategy("pulled")

    assert info.origin == "my-dist 1.2"
    assert load(info).__name__ == "Pulled"
    assert info in list_strategies("pul*")
    assert all(not find_strategy(name).origin for name in ("ewc", "fretal"))
    assert plugins.plugin_versions() == {"my-dist": "1.2"}


def test_the_class_is_imported_only_when_it_is_used(install):
    light = INFO.format(module="a_strategy", constants="", more="")
    install(
        {"a_light_one": light, "a_strategy": "raise RuntimeError('slow')"}, {"pulled": "a_light_one:INFO"}
    )

    assert find_strategy("pulled").name == "pulled"
    with pytest.raises(BenchError, match=r"my-dist 1.2: strategy 'pulled': cannot load .*RuntimeError: slow"):
        load(find_strategy("pulled"))


def test_an_editable_installation_has_another_origin_when_its_code_changes(install, tmp_path):
    editable = json.dumps({"url": "file:///home/me", "dir_info": {"editable": True}})
    install({"a_strategy": code()}, {"pulled": "a_strategy:INFO"}, direct_url=editable)
    first = find_strategy("pulled").origin
    module = tmp_path / "site" / "a_strategy.py"

    module.write_text(module.read_text() + "# changed\n")
    plugins.forget()

    assert re.fullmatch(r"my-dist 1\.2 sha256:[0-9a-f]{16}", first)
    assert find_strategy("pulled").origin != first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit", "SystemExit: "),
        ("INFO = 3", "expected a StrategyInfo, found int"),
        (code().replace('"pulled"', '"ewc"'), "the name 'ewc' is taken"),
        (code().replace('"pulled"', '"Pulled Weights"'), "expected lower-case words joined by '-'"),
        (
            code().replace('"none", constants', "7, constants"),
            "strategy 'pulled': paper must be str, found 7",
        ),
        (code(more=", memory='some'"), "memory 'some': expected 'none', 'budget', 'all'"),
        (code().replace("a_strategy:Pulled", "Pulled"), "expected 'package.module:Class'"),
        (code().replace("(frozen=True)", ""), "constants Constants must be a dataclass that is frozen"),
        (code().replace(" = tunable(0.1, 0.001, 10)", ""), "strength needs a default"),
        (code(more=", bound='no'"), "bound must be bool, found 'no'"),
    ],
)
def test_a_wrong_plugin_is_named_once_and_stops_nothing_else(install, text, message):
    good = code("a_strategy").replace('"pulled"', '"good"')
    install({"a_broken_one": text}, {"pulled": "a_broken_one:INFO"}, name="broken-dist")
    install({"a_strategy": good}, {"good": "a_strategy:INFO"})

    with pytest.warns(plugins.PluginWarning) as caught:
        known = names()

    (sentence,) = [str(warning.message) for warning in caught if warning.category is plugins.PluginWarning]
    assert sentence.startswith("broken-dist 1.2: strategy plugin 'pulled': ")
    assert message in sentence
    assert "\n" not in sentence
    assert {"good", "ewc", "fretal"} <= set(known)
    assert find_strategy("ewc").origin == ""
    with warnings.catch_warnings():
        warnings.simplefilter("error", plugins.PluginWarning)
        names()
    with pytest.raises(BenchError, match=r"strategy 'pulled' is left out: broken-dist 1\.2"):
        find_strategy("pulled")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (code(hook="before_domain(self)"), "before_domain(self) takes no 'experience'"),
        (code(hook="penalty(self, scale)"), "penalty(self, scale) needs 'scale', which it is not given"),
        (code(hook="after_domain(self, experience, *, more)"), "needs 'more', which it is not given"),
        (code(hook="__init__(self, model)"), "__init__ takes no **kwargs"),
        (code().replace("(ContinualStrategy)", ""), "is not a ContinualStrategy class"),
        (
            code(constants=""),
            "its class takes Constants, which its row does not have; add constants=Constants",
        ),
        (code().replace("class Pulled", "class Other"), "cannot load 'a_strategy:Pulled'"),
    ],
)
def test_a_wrong_class_is_named_with_its_distribution_and_hook_before_anything_trains(install, text, message):
    install({"a_strategy": text}, {"pulled": "a_strategy:INFO"})

    with pytest.raises(BenchError) as caught:
        load(find_strategy("pulled"))

    assert str(caught.value).startswith("my-dist 1.2: strategy 'pulled': ")
    assert message in str(caught.value)


def test_hooks_may_take_more_arguments_if_they_have_defaults(install):
    text = code(hook="penalty(self, scale=1, *rest, **more)")
    install({"a_strategy": text}, {"pulled": "a_strategy:INFO"})

    assert load(find_strategy("pulled"))


def as_file(text):
    """The same module as a file on the desk: the variable is STRATEGY, the class is looked up in the file itself."""
    return text.replace("INFO = ", "STRATEGY = ")


@pytest.mark.parametrize(
    ("constants", "own"),
    [
        (", constants=Constants", "Hyperparameters = Constants"),
        (", constants=Constants", "info = STRATEGY"),
        ("", "Hyperparameters = Constants"),
        (", constants=Constants", ""),
    ],
    ids=["in both", "class from row", "row from class", "row alone"],
)
def test_the_constants_of_a_file_are_declared_once_or_in_both_places(write, constants, own):
    plugins.use_files([write(as_file(code(module="", constants=constants, own=own)))])

    info = find_strategy("pulled")
    strategy = life.build(
        info, model := tiny_backbone(), SGD(model.parameters(), 0.1), values={"strength": 3}
    )

    assert info.hyperparameters({"strength": "3"}).strength == 3.0
    assert strategy.hyperparameters.strength == 3.0
    if own:
        by_keyword = load(info)(model=model, optimizer=SGD(model.parameters(), 0.1), strength=3)
        assert by_keyword.hyperparameters == strategy.hyperparameters


OLDER = """
from dataclasses import dataclass
from fretal_bench.strategies.info import StrategyInfo, tunable
from fretal_bench.strategies.batches import generator_for
from fretal_bench.strategies.template import ContinualStrategy

@dataclass(frozen=True)
class Constants:
    lambda_: float = tunable(0.1, 0.001, 10)

    def __post_init__(self):
        if self.lambda_ < 0:
            raise ValueError(f"lambda_ must be >= 0, found {self.lambda_}")

class MyMethod(ContinualStrategy):
    Hyperparameters = Constants

    def penalty(self):
        return self.hyperparameters.lambda_ * sum((w ** 2).sum() for w in self.model.parameters())

STRATEGY = StrategyInfo("my-method", ":MyMethod", "weights pulled to 0", "unpublished", constants=Constants)
"""
"""A plugin as the documentation of the first version had it."""


def test_a_file_written_for_the_first_version_still_works(write):
    plugins.use_files([write(OLDER)])
    info = find_strategy("my-method")
    model = tiny_backbone()

    strategy = life.build(info, model, SGD(model.parameters(), 0.1), values={"lambda_": "2"})

    squares = sum(float((weight.detach() ** 2).sum()) for weight in model.parameters())
    assert float(strategy.penalty().detach()) == pytest.approx(2 * squares)
    with pytest.raises(BenchError, match="my-method: lambda_ must be >= 0, found -1"):
        info.hyperparameters({"lambda_": -1})


def test_a_file_on_the_desk_adds_a_strategy(write):
    path = write(as_file(code(module="")))
    plugins.use_files([path])

    info = find_strategy("pulled")

    assert re.fullmatch(r"mine\.py sha256:[0-9a-f]{16}", info.origin)
    assert load(info).__name__ == "Pulled"
    assert set(plugins.plugin_versions()) == {"mine.py"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name' (mine.py, line 1); fix it"),
        ("x = 1\n\ny = fading\n", "NameError: name 'fading' is not defined (mine.py, line 3); fix it"),
        ("def f(a): return int(a)\n\nf('x')\n", "for int() with base 10: 'x' (mine.py, line 1); fix it"),
        ("x = 1\nx =\n", "cannot be imported: SyntaxError: invalid syntax (mine.py, line 2); fix it"),
        ("import sys; sys.exit(0)", "cannot be imported: SystemExit: 0 (mine.py, line 1); fix it"),
        ("raise KeyboardInterrupt", "cannot be imported: KeyboardInterrupt: (mine.py, line 1); fix it"),
        ("raise GeneratorExit('a\\nb')", "cannot be imported: GeneratorExit: a (mine.py, line 1); fix it"),
        ("raise MemoryError", "cannot be imported: MemoryError: (mine.py, line 1); fix it"),
        ("raise StopIteration", "cannot be imported: StopIteration: (mine.py, line 1); fix it"),
        ("def f(): f()\nf()", "cannot be imported: RecursionError: maximum recursion depth exceeded"),
        ("x = 1", "expected one of STRATEGY, STRATEGIES"),
        (as_file(code(module="")).replace('"pulled"', '"recipe"'), "choose another name"),
        (as_file(code(module="")).replace('"pulled"', '"' + "a" * 300 + '"'), "it has 300 characters"),
        (as_file(code(module="")).replace('"pulled"', '"ewc"'), "the name 'ewc' is taken"),
    ],
)
def test_a_wrong_file_is_an_error_since_it_was_asked_for(bench, write, text, message):
    code, out, err = bench("list", "strategies", "--plugin", write(text))

    assert (code, out) == (2, "")
    assert "mine.py" in err
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    [
        "while True: pass",
        "import time\ntime.sleep(1000)",
        "while True:\n    try: pass\n    except Exception: pass",
        "import threading\nthreading.Event().wait()",
    ],
)
def test_a_file_whose_import_does_not_end_is_named_after_a_while(bench, write, text, monkeypatch):
    monkeypatch.setenv("FRETAL_BENCH_PLUGIN_SECONDS", "0.2")
    code, out, err = bench("list", "strategies", "--plugin", write(text))

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "mine.py: cannot be imported: importing takes longer than 0.2 seconds" in err


def test_an_installed_plugin_that_does_not_end_is_waited_for_once_and_left_out(install, monkeypatch):
    monkeypatch.setenv("FRETAL_BENCH_PLUGIN_SECONDS", "0.2")
    install({"a_broken_one": "import time\ntime.sleep(1000)"}, {"pulled": "a_broken_one:INFO"})

    with pytest.warns(plugins.PluginWarning, match="importing takes longer than 0.2 seconds"):
        names()
    begun = time.monotonic()
    assert "ewc" in names()
    assert time.monotonic() - begun < 0.2


@pytest.mark.parametrize(
    ("loop", "status"),
    [
        ("while True:\n    try: time.sleep(1000)\n    except BaseException: pass", 2),
        ("9 ** 9 ** 9 ** 9", 1),
    ],
    ids=["holds every error up", "never lets go of the interpreter"],
)
def test_a_file_that_cannot_be_interrupted_ends_the_command(write, loop, status):
    path = write(f"import time\n{loop}")
    script = f"""
        from fretal_bench import guard, plugins
        guard._GRACE = 0.5
        plugins.use_files([{str(path)!r}])
    """
    words = [sys.executable, "-c", textwrap.dedent(script)]
    environment = {**os.environ, "FRETAL_BENCH_PLUGIN_SECONDS": "0.2"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=120, check=False)

    assert (done.returncode, done.stdout) == (status, "")
    assert str(path) in done.stderr
    assert done.stderr.count("\n") == 1 or status == 1


def test_what_a_plugin_prints_while_it_is_imported_stays_off_standard_output(write):
    text = "import os\nprint('hello')\nos.system('echo hi')\n" + INFO.format(module="", constants="", more="")
    path = write(as_file(text))
    words = [sys.executable, "-m", "fretal_bench.cli.main", "list", "strategies", "pulled", "--json"]
    words += ["--plugin", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    assert [row["name"] for row in json.loads(done.stdout)] == ["pulled"]
    assert done.stderr == "hello\nhi\n"


def test_a_wrong_number_of_seconds_is_named(bench, write, monkeypatch):
    monkeypatch.setenv("FRETAL_BENCH_PLUGIN_SECONDS", "soon")
    code, _, err = bench("list", "strategies", "--plugin", write("x = 1"))
    assert (code, err.count("\n")) == (2, 1)
    assert "FRETAL_BENCH_PLUGIN_SECONDS: expected seconds above 0" in err


def test_ctrl_c_while_a_plugin_is_imported_is_the_users(write):
    text = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhile True: pass"
    with pytest.raises(KeyboardInterrupt):
        plugins.use_files([write(text)])


def test_a_pattern_that_fits_nothing_has_one_exit_code(bench):
    plain, as_json = (bench("list", "strategies", "zzz*", *more) for more in ((), ("--json",)))
    assert plain == as_json
    assert plain.code == 2


def test_a_file_that_is_not_there_is_named(bench):
    code, _, err = bench("list", "strategies", "--plugin", "absent.py")

    assert code == 2
    assert "absent.py: cannot be read (No such file or directory); give a Python file" in err


def test_a_run_with_a_file_reaches_worker_processes_and_an_edited_file_is_trained_anew(bench, write, stream):
    path = write(as_file(code(module="")))
    words = [
        "run",
        "--strategies",
        "pulled",
        "--seeds",
        "0,1",
        "--stream",
        stream,
        "--jobs",
        "2",
        *recipe_options(),
    ]
    assert bench(*words)[0] == 2, "unknown without the file"
    status, _, err = bench(*words, "--plugin", path)
    assert (status, err) == (0, "")
    status, out, _ = bench(*words, "--plugin", path)
    assert "nothing to train" in out
    first = load_results("results/tiny-mini").cells
    about = json.loads((first[0].path / "cell.json").read_text())
    assert about["origin"].startswith("mine.py sha256:")
    assert first[0].environment["versions"]["mine.py"] == about["origin"].partition(" ")[2]

    write(as_file(code(module="", strength="100")))
    status, out, _ = bench(*words, "--plugin", path, "--jobs", "1", "--seeds", "0")

    assert status == 0
    assert "nothing to train" not in out
    second = load_results("results/tiny-mini").cells
    assert [cell.seed for cell in second] == [1, 0], "the new cell has taken the old one's place"
    assert second[0].id == first[1].id
    assert second[1].id != first[0].id
    assert not second[1].scores["score"].equals(first[0].scores["score"])


def test_a_class_that_is_not_there_is_refused_before_anything_trains(bench, write, stream, tmp_path):
    path = write(as_file(code(module="")).replace("class Pulled", "class Pulled2"))
    there = set(tmp_path.iterdir())

    status, out, err = bench("run", "finetuning", "pulled", "--stream", stream, "--plugin", path)

    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert (
        "strategy 'pulled': cannot load ':Pulled': mine.py has no class Pulled; did you mean 'Pulled2'?"
        in err
    )
    assert set(tmp_path.iterdir()) == there
    assert bench("list", "strategies", "--plugin", path)[0] == 0


def test_a_class_with_a_wrong_hook_is_refused_by_the_names_alone(write, stream):
    plugins.use_files([write(as_file(code(module="", hook="penalty(self, scale)")))])

    with pytest.raises(BenchError, match="needs 'scale'"):
        check_names(Call(("finetuning", "pulled"), stream, changes={"recipe": TINY}))
    check_names(Call(("finetuning",), stream, changes={"recipe": TINY}))


def test_show_says_that_a_class_is_not_there(bench, write):
    path = write(as_file(code(module="")).replace("class Pulled", "class Pulled2"))

    status, out, _ = bench("show", "strategy", "pulled", "--plugin", path)
    assert status == 0
    assert re.search(r"formula +mine\.py has no class Pulled;", out)
    of = json.loads(bench("show", "strategy", "pulled", "--plugin", path, "--json")[1])
    assert (of["formula"], of["fault"].partition(";")[0]) == ("", "mine.py has no class Pulled")


def test_a_strategy_that_fails_in_training_is_told_with_the_line_of_its_file(bench, write, stream):
    text = as_file(code(module="", strength="self.old"))
    path = write(text)
    line = 1 + text[: text.index("self.old")].count("\n")

    words = ["--stream", stream, "--plugin", path, *recipe_options(), "--jobs", "1"]
    status, _, err = bench("run", "finetuning", "pulled", *words)
    (failure,) = Path("results/tiny-mini/failures").iterdir()
    told = (
        f"AttributeError: 'Pulled' object has no attribute 'old' (mine.py, line {line}; traceback: {failure})"
    )

    assert status == 1
    assert f"bench: failed: pulled, seed 0: {told}\n" in err
    assert "(mine.py" not in Path("reports/tiny-mini/summary.md").read_text()
    (problem,) = json.loads(bench("report", "results/tiny-mini", "--json").out)["problems"]
    assert set(problem) == {"label", "seed", "kind", "reason"}
    assert f"results/tiny-mini:pulled:0: {told}\n" in bench("cells", "results/tiny-mini").out
    cells = json.loads(bench("cells", "results/tiny-mini", "--json").out)["cells"]
    assert [cell["place"] for cell in cells] == ["", told[told.index(" (mine.py") :]]
    status, _, err = bench("run", "pulled", *words, "--out", "results/alone")
    assert "no cell has numbers, 1 failed; the first: pulled, seed 0: AttributeError" in err
    assert f" (mine.py, line {line}; traceback: results/alone/failures/" in err


def test_two_files_of_one_name_are_both_in_the_versions(write, tmp_path):
    paths = [tmp_path / folder / "mine.py" for folder in ("a", "b")]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        path.write_text(
            as_file(code(module="", strength=str(number))).replace('"pulled"', f'"pulled{number}"')
        )
    plugins.use_files(paths)
    origins = {find_strategy(f"pulled{number}").origin for number in (0, 1)}
    assert len(origins) == 2
    versions = plugins.plugin_versions()["mine.py"]
    assert all(origin.removeprefix("mine.py ") in versions for origin in origins)


def test_an_edited_file_of_the_same_size_and_second_is_imported_anew(write, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    defaults = []
    for strength in (0.1, 0.2):
        path = write(as_file(code(module="")).replace("tunable(0.1,", f"tunable({strength},"))
        os.utime(path, (1_000_000_000, 1_000_000_000))
        plugins.forget()
        plugins.use_files([path])
        defaults.append(find_strategy("pulled").hyperparameters().strength)
    assert defaults == [0.1, 0.2]


def test_a_file_with_blanks_in_its_name_is_whole_in_the_versions(write):
    plugins.use_files([write(as_file(code(module="")), "my own.py")])
    assert plugins.plugin_versions()["my own.py"].startswith("sha256:")


def test_results_of_a_plugin_that_is_gone_are_reported_and_cannot_predict(bench, write, stream, tmp_path):
    path = write(as_file(code(module="")))
    words = ["run", "--strategies", "pulled,finetuning", "--stream", stream, "--jobs", "1", *recipe_options()]
    assert bench(*words, "--plugin", path)[0] == 0
    made = next(cell.path for cell in load_results("results/tiny-mini").cells if cell.strategy == "pulled")

    status, _, err = bench("report", "results/tiny-mini", "--out", "again")
    assert (status, err) == (0, "")
    summary = json.loads(bench("report", "results/tiny-mini", "--out", "again", "--json")[1])
    (told,) = [one for one in summary["strategies"] if one["label"] == "pulled"]
    assert not told["bound"], "a competitor"

    (tmp_path / "any.png").touch()
    status, _, err = bench("predict", made, tmp_path / "any.png")
    assert status == 2
    assert "strategy 'pulled' comes from the plugin mine.py sha256:" in err
    assert "which is not here; give --plugin mine.py" in err


def test_a_file_that_changes_while_a_run_is_going_fails_the_cell(write, stream, tmp_path, monkeypatch):
    from fretal_bench.benchmark.runner.call import Call, prepare
    from fretal_bench.benchmark.runner.run import execute

    path = write(as_file(code(module="")))
    plugins.use_files([path])
    ready = prepare(Call(["pulled"], stream, changes={"recipe": TINY}, jobs=1, out=tmp_path / "out"))
    write(as_file(code(module="", strength="100")))
    plugins.forget()
    plugins.use_files([path])

    results = execute(ready)

    assert "was planned from mine.py sha256:" in results.failures[0].reason
    assert "run the same command again" in results.failures[0].reason


STREAM = """
name = "{name}"
description = "from a plugin"
[[domains]]
name = "only"
store = "store"
methods = ["m0"]
"""


def test_a_stream_of_a_plugin_is_listed_opened_and_checked(install, bench, write, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "mine.toml").write_text(STREAM.format(name="their-stream"))
    module = "from importlib import resources\nfrom pathlib import Path\nSTREAMS = [Path(__file__).parent / 'mine.toml']"
    install({"a_strategy": module}, {"streams": "a_strategy:STREAMS"}, kind="streams")
    write(STREAM.format(name="desk-stream"), "desk.toml")
    file = write("STREAM = 'desk.toml'")

    code, out, _ = bench("list", "streams", "*-stream", "--plugin", file)

    assert code == 0
    assert "their-stream" in out
    assert "desk-stream" in out


def test_a_stream_that_is_wrong_is_named_and_left_out(install, bench, tmp_path):
    install({"a_strategy": "STREAM = 'absent.toml'"}, {"theirs": "a_strategy:STREAM"}, kind="streams")

    code, out, err = bench("list", "streams")

    assert code == 0
    assert "ffpp-mini" in out
    assert err.startswith(
        "bench: my-dist 1.2: stream plugin 'theirs': stream file absent.toml: cannot be read"
    )
    assert err.count("\n") == 1


METRIC = """
from fretal_bench.metrics.registry import Metric

def unsure(labels, scores):
    scores.sort()  # an ill-behaved function
    return 0.25

def picky(labels, scores):
    raise ValueError("needs a third class")

METRICS = (
    Metric("unsure", "unsure", False, "something", unsure),
    Metric("picky", "picky", True, "something else", picky),
    Metric("share", "share", True, "share of fakes", lambda labels, scores: float(labels.mean())),
)
"""


def test_metrics_of_a_plugin_are_columns_of_the_report(bench, write, trained, tmp_path):
    shutil.copytree(trained / "results", tmp_path / "results")
    before = bench("report", "results/tiny-mini", "--json")[1]
    code, _, err = bench("report", "results/tiny-mini", "--json", "--plugin", write(METRIC))

    assert (code, err) == (0, "")
    (table,) = (tmp_path / "reports" / "tiny-mini").rglob("detection.csv")
    lines = table.read_text().splitlines()
    row = dict(zip(lines[0].split(","), lines[1].split(","), strict=True))
    labels = load_results("results/tiny-mini").cells[0].scores.query("step == 1")
    share = labels.groupby("domain")["label"].mean().mean()
    assert float(row["plugin_unsure"]) == 0.25
    assert float(row["plugin_share"]) == pytest.approx(share, abs=5e-4)
    assert row["plugin_picky"] in ("", "nan", "–")
    summary = (tmp_path / "reports" / "tiny-mini" / "summary.md").read_text()
    assert "picky (frame level) does not exist on D0: needs a third class" in summary
    assert "plugin_unsure" not in before


def test_a_metric_of_a_plugin_may_be_that_of_the_matrices(bench, write, trained, tmp_path):
    shutil.copytree(trained / "results", tmp_path / "results")
    call = ("report", "results/tiny-mini", "--metric", "share", "--json")
    code, out, _ = bench(*call, "--plugin", write(METRIC))

    assert code == 0
    report = json.loads(out)
    labels = load_results("results/tiny-mini").cells[0].scores.query("step == 1")
    shares = labels.groupby("domain", sort=False)["label"].mean()
    assert report["metric"] == "share"
    assert report["strategies"][0]["accuracy"] == [pytest.approx(list(shares))] * len(shares)

    plugins.forget()
    code, _, err = bench(*call)
    assert (code, "unknown metric 'share'" in err) == (2, True)


def test_a_metric_may_not_take_a_name_of_the_suites_own(write):
    plugins.use_files([write(METRIC.replace('"share"', '"auc"'))])

    with pytest.raises(BenchError, match=r"mine.py sha256:.*the name 'auc' is taken"):
        registry.metrics()


def test_listing_strategies_with_plugins_imports_nothing_slow(write, tmp_path):
    light = INFO.format(module="nowhere", constants="", more="").replace("INFO = ", "STRATEGY = ")
    script = textwrap.dedent(
        """
        import sys
        from fretal_bench.cli.main import main
        sys.argv = ["bench", "list", "strategies", "pulled", "--plugin", sys.argv[1]]
        main()
        slow = {"torch", "avalanche", "timm", "pandas", "numpy"} & set(sys.modules)
        sys.exit(f"imported {slow}" if slow else 0)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(write(light))], cwd=tmp_path, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert "pulled" in done.stdout


def test_an_importer_in_a_file_reads_a_folder_of_its_own(bench, write, tmp_path):
    text = """
    from fretal_bench.datasets.importers import Importer, Match, csv_manifest

    def sees(root):
        return Match(1.0 if (root / "ours.csv").exists() else 0.0)

    def read(root, options):
        return csv_manifest.IMPORTER.read(root / "ours.csv", options)

    IMPORTER = Importer("ours", "Ours", "ours.csv", sees, read)
    """
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "ours.csv").write_text("path,label\n")
    file = write(textwrap.dedent(text))

    code, out, err = bench("data", "check", folder, "--plugin", file, "--json")

    assert (code, err) == (1, ""), "nothing is in it"
    assert json.loads(out)["family"] == "ours"


@pytest.mark.parametrize(
    ("mark", "find"),
    [
        ("# my_method.py", lambda: find_strategy("my-method")),
        ("import numpy", lambda: registry.find("doubt")),
    ],
)
def test_the_examples_in_the_documentation_are_plugins(write, mark, find):
    page = Path(__file__).parents[1] / "docs" / "plugins.md"
    if not page.exists():
        pytest.skip("not run from a source tree")
    blocks = re.findall(r"(?:^    .*\n|^\n)+", page.read_text("utf-8"), re.MULTILINE)
    (block,) = [textwrap.dedent(block).strip() + "\n" for block in blocks if block.strip().startswith(mark)]
    plugins.use_files([write(block)])

    record = find()

    if mark.startswith("#"):
        assert load(record).__name__ == "MyMethod"
    else:
        assert record.evaluate([0, 1], [0.5, 1.0]) == (0.5, "")
