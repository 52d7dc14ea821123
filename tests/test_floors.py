"""Imports run down the floors: cli > reporting > benchmark > strategies, datasets > metrics > errors."""

import ast
from pathlib import Path

import fretal_bench

ROOT = Path(fretal_bench.__file__).parent
COMMANDS = {
    "reporting",
    "benchmark",
    "testing",
    "scaffold",
    "strategies",
    "datasets",
    "metrics",
    "plugins",
    "errors",
}
BELOW = {
    "cli": {"data_commands", "new_commands", "paper_commands", "tune_commands", "options", *COMMANDS},
    "data_commands": {"options", *COMMANDS},
    "new_commands": {"options", *COMMANDS},
    "paper_commands": {"options", *COMMANDS},
    "tune_commands": {"options", *COMMANDS},
    "options": {"plugins", "errors"},
    "reporting": {"benchmark", "strategies", "datasets", "metrics", "plugins", "errors"},
    "testing": {"benchmark", "strategies", "datasets", "metrics", "plugins", "errors"},
    "benchmark": {"strategies", "datasets", "metrics", "plugins", "workers", "errors"},
    "scaffold": {"strategies", "errors"},
    "strategies": {"metrics", "plugins", "errors"},
    "datasets": {"metrics", "plugins", "workers", "errors"},
    "metrics": {"plugins", "errors"},
    "plugins": {"errors"},
    "workers": {"errors"},
    "errors": set(),
}


def imports(path):
    """Yield every module of ours that a file names, those inside functions and under TYPE_CHECKING included."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            if node.module == "fretal_bench":
                yield from (f"fretal_bench.{alias.name}" for alias in node.names)


def test_imports_run_down_the_floors_only():
    wrong = []
    seen = set()
    for path in sorted(ROOT.rglob("*.py")):
        floor = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if floor == "__init__":
            continue
        for module in imports(path):
            if module.startswith("fretal_bench."):
                target = module.split(".")[1]
                seen.add((floor, target))
                if target != floor and target not in BELOW[floor]:
                    wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert ("benchmark", "strategies") in seen
    assert not wrong
