"""What plugin authors import: from one place, without torch where a record needs none, and each name there."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fretal_bench.strategies as public
from fretal_bench import testing

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("module", [public, testing])
def test_every_name_that_is_promised_is_there(module):
    for name in module.__all__:
        assert getattr(module, name) is not None, name
    with pytest.raises(AttributeError, match="no_such_name"):
        module.no_such_name  # noqa: B018


def test_the_names_are_told_to_the_type_checker_as_they_are_found():
    tree = ast.parse(Path(public.__file__).read_text("utf-8"))
    (block,) = [
        part for part in tree.body if isinstance(part, ast.If) and not part.orelse and len(part.body) > 1
    ]
    prefix = "fretal_bench.strategies."
    told = {(line.module.removeprefix(prefix), alias.name) for line in block.body for alias in line.names}
    given = {(module, name) for module, names in public._PLACES.items() for name in names}
    assert told == given
    assert {name for _, name in given} | {"Invalid", "Record", "limited", "draws"} == set(public.__all__)


def test_a_record_costs_no_import_of_torch():
    code = (
        "import sys; from fretal_bench.strategies import Record, StrategyInfo, fixed, limited, tunable; "
        "from fretal_bench.testing import strategy_checks; "
        "print([name for name in ('torch', 'avalanche', 'timm', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


def test_the_documentation_names_every_export_and_no_other_place():
    page = ROOT / "docs" / "plugins.md"
    if not page.exists():
        pytest.skip("not run from a source tree")
    text = page.read_text("utf-8")
    for name in public.__all__:
        assert f"`{name}`" in text, name
    assert set(re.findall(r"from (fretal_bench\.strategies\S*) import", text)) == {"fretal_bench.strategies"}
