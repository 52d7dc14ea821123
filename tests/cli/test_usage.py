"""Every command answers a wrong call with one line of the suite's own words and exit code 2."""

import pytest


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run", "--strategies is missing; see `bench run --help`"),
        (
            "run --strategies ewc --jobs x",
            "--jobs: expected a whole number, found 'x'; see `bench run --help`",
        ),
        ("run --strategies ewc --jobs", "--jobs: expected a value after it, found none"),
        ("run --strategies ewc --json=3", "--json takes no value"),
        ("run --strategies ewc --job 3", "unknown option '--job'; did you mean '--jobs'"),
        ("run --strategies ewc more", "too many words: more"),
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
