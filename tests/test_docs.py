"""The documentation: files that it names exist, commands that it shows are ones that bench takes, prose is wrapped."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "fretal_bench"
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/adapt.md",
    "docs/architecture.md",
    "docs/data-check.md",
    "docs/detectors.md",
    "docs/ffpp-mini.md",
    "docs/inference.md",
    "docs/layouts.md",
    "docs/own-scores.md",
    "docs/papers.md",
    "docs/plugins.md",
    "docs/preparing.md",
    "docs/recipes.md",
    "docs/reports.md",
    "docs/scale.md",
    "docs/streams.md",
    "docs/tuning.md",
]
# A path in backticks; capital words in it stand for any name.
PATH = re.compile(r"`((?:[\w.-]+/)*[\w.-]+(?:/|\.(?:py|toml|csv|css|j2|md|txt)))`")


def text_of(page):
    return (ROOT / page).read_text("utf-8")


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_files_that_a_page_names_exist(page):
    paths = PATH.findall(text_of(page))
    assert len(paths) > 5
    missing = [path for path in paths if not exists(path)]
    assert not missing


def exists(path):
    pattern = re.sub(r"[A-Z]{3,}", "*", path).rstrip("/")
    return any(any(folder.glob(pattern)) for folder in (ROOT, PACKAGE)) or path in MADE_BY_RUNS


MADE_BY_RUNS = {"my_method.py"}


@pytest.mark.parametrize("page", PAGES)
def test_prose_is_wrapped_at_100_columns(page):
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    too_long = [
        line for line in prose.splitlines() if len(line) > 100 and not line.startswith(("|", "    ", "!["))
    ]
    assert not too_long


def test_every_command_in_the_readme_is_one_that_bench_takes(bench):
    blocks = re.findall(r"(?:^    .*\n)+", text_of("README.md"), re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    commands = [
        part for line in lines for part in re.split(r"&&|#|\s{4,}", line) if part.strip()[:6] == "bench "
    ]
    assert len(commands) > 15
    for command in commands:
        options = [word for word in shlex.split(command) if word.startswith("--")]
        words = [word for word in shlex.split(command)[1:3] if re.fullmatch("[a-z-]+", word)]
        # A group's command is its second word.
        shown = bench(*words[: 2 if words[0] in ("data", "paper", "new") else 1], "--help")
        assert shown.code == 0, command
        for option in options:
            assert option in shown.out, command
