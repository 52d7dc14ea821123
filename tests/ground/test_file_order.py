"""The order of test files: longest first, each in one piece, by a table that names files that are there."""

from pathlib import Path
from types import SimpleNamespace

import file_order

ROOT = Path(__file__).parents[2]


def test_the_longest_files_come_first_and_no_file_is_torn_apart():
    names = ["a.py::x", "a.py::y", "b.py::x[::]", "c.py::x", "c.py::y", "d.py::x"]
    items = [SimpleNamespace(nodeid=name) for name in names]
    file_order.longest_first(items, {"c.py": 20, "b.py": 7})
    assert [item.nodeid for item in items] == [
        *("c.py::x", "c.py::y", "b.py::x[::]"),
        *("a.py::x", "a.py::y", "d.py::x"),
    ]


def test_what_was_run_is_renewed_and_the_rest_of_the_table_stays(tmp_path):
    table = tmp_path / "seconds.toml"
    file_order.renew({"a.py": 30.4, "b.py": 12, "short.py": 0.2}, table)
    file_order.renew({"a.py": 8.6, "c.py": 40}, table)
    assert list(file_order.seconds(table).items()) == [("c.py", 40), ("b.py", 12), ("a.py", 9)]


def test_the_table_names_files_that_are_there():
    assert [file for file in file_order.seconds() if not (ROOT / file).exists()] == []
