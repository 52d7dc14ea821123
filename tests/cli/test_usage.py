"""Every command answers a wrong call with one line of the suite's own words and exit code 2."""

import shlex

import pytest

from fretal_bench import __version__
from fretal_bench.benchmark.runner.call import fitting
from fretal_bench.cli.examples import EXAMPLES
from fretal_bench.cli.main import GROUPS, the_command
from fretal_bench.strategies.registry import chosen, list_strategies
from tests_support import NEEDING_ATTENTION


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run", "name at least one strategy, e.g. `bench run fretal lwf ewc`"),
        (
            "run --strategies ewc --jobs x",
            "--jobs: expected a whole number, found 'x'; see `bench run --help`",
        ),
        ("run --strategies ewc --jobs", "--jobs: expected a value after it, found none"),
        ("run --strategies ewc --json=3", "--json takes no value"),
        ("run --strategies ewc --job 3", "unknown option '--job'; did you mean '--jobs'"),
        ("report a b c --level", "--level: expected a value after it, found none"),
        ("doctor a b", "too many words: b"),
        ("run --strategies ewc --seeds -1", "seed -1: expected a whole number from 0 to 4294967295"),
        ("run --strategies ewc --recipe .", "recipe file .: expected a file, found a folder"),
        ("run --strategies ewc --recipe a/b", "recipe 'a/b': there is no such file"),
        ("tune --strategies ewc --budget 2.5", "--budget: expected a whole number, found '2.5'"),
        ("tune --strategies ewc --seed 4294967296", "seed 4294967296: expected a whole number from 0 to"),
        ("tune --strategies ewc --write /proc/x.toml", "/proc/x.toml: cannot be written"),
        ("predict", "DETECTOR is missing"),
        ("predict a b --frames 0", "--frames: expected at least 1, found '0'"),
        ("predict nowhere b", "nowhere"),
        ("data check", "ROOT is missing"),
        ("data prepare x --margin wide", "--margin: expected a number, found 'wide'"),
        ("paper run", "TABLE is missing"),
        ("list", "WHAT is missing"),
        ("dat check", "unknown command 'dat'; did you mean 'data'"),
        ("data chek", "unknown command 'chek'; did you mean 'check'"),
    ],
)
def test_a_wrong_call_is_one_line_that_says_what_was_expected_and_found(bench, words, message, tmp_path):
    code, out, err = bench(*words.split())
    assert (code, out) == (2, "")
    assert err.startswith("bench: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", ["a\nb", "\x1b[31mred", "a\u202eb"])
def test_what_a_call_is_refused_for_moves_no_cursor_and_turns_no_text(bench, word):
    for words in (("run", "--strategies", word), ("run", "--strategies", "ewc", f"--{word}"), (word,)):
        code, _, err = bench(*words)
        assert code == 2
        assert err.count("\n") == 1
        assert err.rstrip("\n").isprintable()


def test_a_call_without_a_word_gets_the_help_and_help_names_the_exit_codes(bench):
    for words in ((), ("data",), ("paper",)):
        code, out, err = bench(*words)
        assert code == 2
        assert "Usage: bench" in out + err
    assert "Exit codes: 0 done" in " ".join(bench("--help").out.split())


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ImportError("libx.so: failed to map segment"), "a library cannot be loaded (libx.so: failed to map"),
        (MemoryError(), "out of memory"),
    ],
)
def test_a_machine_without_memory_is_no_traceback(bench, monkeypatch, error, message):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("fretal_bench.benchmark.runner.call.prepare", fail)
    code, _, err = bench("run", "--strategies", "ewc")
    assert code == 1
    assert err.count("\n") == 1
    assert message in err


def test_an_import_that_is_wrong_in_the_suite_itself_is_not_hidden(bench, monkeypatch):
    def fail(*_, **__):
        raise ImportError("no such name", name="fretal_bench.strategies")

    monkeypatch.setattr("fretal_bench.benchmark.runner.call.prepare", fail)
    with pytest.raises(ImportError):
        bench("run", "--strategies", "ewc")


def _calls():
    return [(words, rest) for words, examples in EXAMPLES.items() for rest in examples]


@pytest.mark.parametrize(("words", "rest"), _calls())
def test_an_example_in_the_help_is_a_call_that_can_be_made(words, rest):
    command, context = the_command(), None
    for word in words.split():
        context = command.make_context("bench", [word], parent=context, resilient_parsing=True)
        command = command.commands[word]
    # Reads every word and option, as the command would, without running it.
    command.make_context(words, shlex.split(rest), parent=context)


def test_every_command_has_examples_and_a_group_and_no_summary_is_cut(bench):
    help_ = bench("-h").out
    groups = [line[:-1] for line in help_.splitlines() if line.endswith(":") and line[0].isalpha()]
    assert groups[1:] == list(GROUPS)
    assert "..." not in help_.partition("\n")[2]
    for name, command in the_command().commands.items():
        for words in [f"{name} {sub}" for sub in getattr(command, "commands", {})] or [name]:
            assert len(EXAMPLES[words]) >= 2, words
            assert "Examples:\n" in bench(*words.split(), "-h").out


def test_the_version_is_printed_and_completion_can_be_installed(bench):
    assert bench("--version") == (0, f"fretal-bench {__version__}\n", "")
    assert "--install-completion" in bench("-h").out


@pytest.mark.parametrize(
    ("words", "unnamed"),
    [
        (["fretal", "ewc", "cored"], []),
        (["er", "*ewc*"], ["ewc", "ewc-by-class", "online-ewc"]),
        (["@merging"], ["weight-averaging", "task-arithmetic"]),
        (["@bounds", "joint"], ["finetuning", "zero-shot"]),
    ],
)
def test_words_choose_strategies_once_each_and_say_which_of_them_nobody_named(words, unnamed):
    names, of_groups = chosen(words)
    assert len(names) == len(set(names))
    assert set(unnamed) <= set(names)
    assert of_groups == set(unnamed)


def test_all_are_all_and_what_a_recipe_cannot_train_is_left_out_with_its_reason():
    names, unnamed = chosen(["all"])
    assert set(names) == {info.name for info in list_strategies()} == set(unnamed)
    left, left_out = fitting(names, unnamed, "mini", {})
    assert set(left_out) == NEEDING_ATTENTION
    assert set(left) | set(left_out) == set(names)
    assert all("attention" in reason or "tokens" in reason for reason in left_out.values())
    # What is named is refused later, by name.
    assert fitting(["domain-lora"], frozenset(), "mini", {}) == (["domain-lora"], {})


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("@replya", "unknown group of strategies 'replya'; did you mean 'replay'"),
        ("x*", "no strategy fits 'x*'"),
    ],
)
def test_a_group_that_is_none_is_said(bench, word, message):
    code, out, err = bench("run", word)
    assert (code, out) == (2, "")
    assert message in err
