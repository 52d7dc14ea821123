"""A class that is missing: from the whole set an error, from a part of it a warning."""

import pytest

from fretal_bench.datasets.check.check import check
from trees import Tree


def findings(tmp_path, *lines):
    tree = Tree(tmp_path)
    tree.image(*(line.split(",")[0] for line in lines))
    tree.text("all.csv", "path,label,split,dataset\n" + "\n".join(lines) + "\n")
    result = check(tmp_path / "all.csv")
    return [(f.severity, f.file, f.found) for f in result.findings if f.kind == "classes"], result.errors


@pytest.mark.parametrize(("label", "word"), [(0, "real"), (1, "fake")])
def test_a_set_of_one_class_is_an_error(tmp_path, label, word):
    ((severity, file, words),), errors = findings(tmp_path, f"a.png,{label},train,A", f"b.png,{label},test,A")

    assert (severity, file, errors) == ("error", "", 1)
    assert words.startswith(f"only {word} files")


def test_a_data_set_of_one_class_next_to_another_is_a_warning(tmp_path):
    both = [f"{split}{label}.png,{label},{split},A" for split in ("train", "val") for label in (0, 1)]
    found, errors = findings(tmp_path, *both, "c.png,1,train,B")

    assert [entry[:2] for entry in found] == [("warning", "B")]
    assert errors == 0


def test_a_split_of_one_class_is_a_warning_that_names_the_split(tmp_path):
    found, errors = findings(
        tmp_path, "a.png,0,train,A", "b.png,1,train,A", "c.png,1,val,A", "d.png,1,test,A"
    )

    assert [entry[:2] for entry in found] == [("warning", "A")]
    assert "nothing real in val and test" in found[0][2]
    assert errors == 0


def test_a_set_with_both_classes_in_every_split_gets_no_word(tmp_path):
    lines = [
        f"{n}.png,{n % 2},{split},A"
        for n, split in enumerate(("train", "train", "val", "val", "test", "test"))
    ]

    assert findings(tmp_path, *lines) == ([], 0)
