"""The documentation: links, paths, commands, quoted errors, tables from the code; prose is wrapped; every page found."""

import ast
import functools
import re
import shlex
import textwrap
from pathlib import Path

import pytest

import documents
import fretal_bench
from fretal_bench import strategies, testing
from fretal_bench.datasets import importers
from fretal_bench.datasets.streams.file import stream_of_table
from fretal_bench.parsing import parse_toml

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "fretal_bench"
DOCS = ROOT / "docs"
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *ROOT.glob(".github/*.md"), *DOCS.rglob("*.md"))
)
# A path in backticks; capital words in it stand for any name.
PATH = re.compile(r"`((?:[\w.-]+/)*[\w.-]+(?:/|\.(?:py|toml|csv|css|j2|md|txt)))`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
GROUPS = ("data", "paper", "new")


@functools.cache
def text_of(page):
    return (ROOT / page).read_text("utf-8")


def without_code(page):
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_files_that_a_page_names_exist(page):
    paths = PATH.findall(text_of(page))
    assert len(paths) > 5
    missing = [path for path in paths if not exists(path)]
    assert not missing


def exists(path):
    pattern = re.sub(r"[A-Z]{3,}", "*", path).rstrip("/")
    return any(any(folder.glob(pattern)) for folder in (ROOT, PACKAGE)) or path in MADE_BY_RUNS


MADE_BY_RUNS = {"my_method.py", "reports/"}


@pytest.mark.parametrize("page", PAGES)
def test_prose_is_wrapped_at_100_columns(page):
    too_long = [
        line
        for line in without_code(page).splitlines()
        if len(line) > 100 and not line.startswith(("|", "    ", "!["))
    ]
    assert not too_long


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings_that_exist(page):
    for link in LINK.findall(without_code(page)):
        if re.match("https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def anchors(path):
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_page_is_in_the_index_and_in_the_navigation():
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    linked = {link.partition("#")[0] for link in LINK.findall(text_of("docs/index.md"))}
    assert pages - linked == {"index.md"}
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    named = re.findall(r": (\S+\.md)$", navigation, re.MULTILINE)
    assert sorted(named) == sorted(pages)


@pytest.mark.parametrize(
    ("page", "module", "prefix"),
    [
        ("docs/api/index.md", fretal_bench, "fretal_bench"),
        ("docs/api/strategies.md", strategies, "fretal_bench.strategies"),
        ("docs/api/testing.md", testing, "fretal_bench.testing"),
        ("docs/api/streams.md", importers, "fretal_bench.datasets.importers"),
    ],
)
def test_the_reference_has_every_public_name(page, module, prefix):
    named = set(re.findall(r"^::: (\S+)$", text_of(page), re.MULTILINE))
    for name in set(module.__all__) - {"__version__"}:
        # run's arguments are those of the function that it hands them to.
        place = {"fretal_bench.run": "fretal_bench.benchmark.runner.run.run"}.get(
            f"{prefix}.{name}", f"{prefix}.{name}"
        )
        assert place in named, name


@pytest.mark.parametrize("name", documents.DOCUMENTS)
def test_what_a_page_says_of_the_code_is_so(name):
    text = text_of(name)
    assert "<!-- written: " in text
    assert documents.written(text) == text, f"{name}: run `python -m documents` in tests/"


def test_the_streams_of_the_page_are_read():
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", text_of("docs/streams.md"), re.MULTILINE)
    streams = [textwrap.dedent(block) for block in blocks if "[[domains]]" in block]
    assert len(streams) == 3
    for stream in streams:
        # Without the command that stands before it.
        table = parse_toml(
            re.sub(r"^bench (?:.*\\\n)*.*\n", "", stream, flags=re.MULTILINE), "docs/streams.md"
        )
        assert stream_of_table(Path("mine.toml"), {"name": "a-part", **table}).domains


def commands_of(page):
    """The commands of a page's indented blocks and shell blocks."""
    blocks = re.findall(r"(?:^    .*\n)+", without_code(page), re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    parts = [part.strip() for line in lines for part in re.split(r"&&|#|;|\s{4,}", line)]
    # A call is of lower-case words; prose that is set in, and lines of help, are none.
    return [part for part in parts if re.match(r"bench [a-z]", part)]


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_every_command_in_a_page_is_one_that_bench_takes(page, help_of):
    for command in commands_of(page):
        words = shlex.split(command)[1:]
        # A group's command is its second word.
        shown = help_of(*words[: 2 if words[0] in GROUPS else 1])
        assert shown.code == 0, command
        for word in words:
            if word.startswith("--") and word != "--help":
                assert word.partition("=")[0] in shown.out, command


def test_the_pages_show_many_commands():
    assert len(commands_of("README.md")) > 8
    assert len(commands_of("docs/commands.md")) > 30


@pytest.fixture
def help_of(bench):
    def help_of(*words):
        if words not in HELP:
            HELP[words] = bench(*words, "--help")
        return HELP[words]

    return help_of


HELP = {}


def test_every_command_is_on_the_page_of_commands(bench):
    shown = {words[1] for words in map(shlex.split, commands_of("docs/commands.md"))}
    listed = set(re.findall(r"^  ([a-z]+)  ", bench("--help").out, re.MULTILINE))
    assert len(listed) > 10
    assert listed - shown == set()


@functools.cache
def texts_of_the_code():
    """Every text in the code, f-strings in their constant parts, one a line; what whitespace is in them counts once."""
    texts = [
        " ".join(node.value.split())
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return "\n".join(texts)


def test_errors_that_are_explained_are_what_the_code_says():
    blocks = re.findall(r"^```text\n(.*?)^```", text_of("docs/troubleshooting.md"), re.DOTALL | re.MULTILINE)
    lines = [" ".join(part.split()) for block in blocks for part in block.split("\n\n")]
    assert len(lines) > 30
    for line in lines:
        fragments = [part for part in re.split(r"\s*…\s*", line) if len(part) > 3]
        assert fragments, line
        for fragment in fragments:
            assert fragment in texts_of_the_code(), f"{fragment!r} of {line!r}"


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {fretal_bench.__version__}\n" in text


def test_the_workflow_tests_versions_that_the_package_names():
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8")
    named = re.findall(r":: Python :: (3\.\d+)", (ROOT / "setup.cfg").read_text("utf-8"))
    tested = re.findall(r'"(3\.\d+)"', text)
    assert {named[0], named[-1]} <= set(tested) <= set(named)
    assert "pip install tox && tox" in text
    assert "pip install tox && tox" in text_of("README.md")
