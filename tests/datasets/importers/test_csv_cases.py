"""CSV manifests that lie, are damaged or are odd: refused in one line, or lines counted; nothing is guessed."""

import pytest

from fretal_bench.datasets.importers import ReadOptions, read_dataset
from fretal_bench.errors import BenchError
from trees import Tree

HEAD = "path,label,split\n"
BASE = "x/i0.png,0,train\nx/i1.png,1,train\n"
BOTH = {"x/i0.png": 0, "x/i1.png": 1}
LONG = "x" * 140_000


@pytest.fixture
def tree(tmp_path):
    tree = Tree(tmp_path / "set")
    tree.image(*(f"x/i{n}.png" for n in range(4)))
    return tree


def read(tree, content):
    tree.data("all.csv", content if isinstance(content, bytes) else content.encode())
    return read_dataset(tree.root / "all.csv", options=ReadOptions(val_fraction=0))


REFUSED = {
    "label twice": ("path,label,label\nx/i0.png,0,1\n", "'label' is there twice"),
    "path twice": ("path,path,label\nx/i0.png,x/i1.png,1\n", "'path' is there twice"),
    "split twice": ("path,label,split,split\nx/i0.png,0,train,test\n", "'split' is there twice"),
    "label twice, blanks apart": ("path,label, label\nx/i0.png,0,1\n", "'label' is there twice"),
    "unknown column": ("path,label,lable\nx/i0.png,0,1\n", "unknown column 'lable'"),
    "unnamed column between": ("path,,label\nx/i0.png,1,0\n", "unknown column ''"),
    "no label": ("path,split\nx/i0.png,train\n", "found no label"),
    "no path": ("label,split\n0,train\n", "found no path"),
    "label in capitals": ("path,LABEL\nx/i0.png,0\n", "unknown column 'LABEL'"),
    "empty": ("", "found no path, label"),
    "blanks only": ("\n \n", "found no path, label"),
    "semicolons": ("path;label\nx/i0.png;0\n", "unknown column 'path;label'"),
    "tabs": ("path\tlabel\nx/i0.png\t0\n", "unknown column"),
    "no header": ("x/i0.png,0\n", "unknown column 'x/i0.png'"),
    "open quote in the header": ('path,"label\nx/i0.png,0\n', "not valid CSV"),
    "long header": (f"path,label,{LONG}\nx/i0.png,0,1\n", "not valid CSV"),
    "UTF-16": ("path,label\n".encode("utf-16"), "not UTF-8"),
    "Latin-1 header": (b"path,label,m\xe9thod\n", "not UTF-8"),
    "NUL in a column's name": ("path,label,\0\nx/i0.png,0,1\n", "unknown column '\\\\x00'"),
    "control characters in a column's name": ("path,label,a\x1b[31m\n", "unknown column 'a\\\\x1b"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_header_that_means_two_things_or_nothing_is_refused_in_one_line(tree, case):
    content, words = REFUSED[case]

    with pytest.raises(BenchError, match=words) as caught:
        read(tree, content)

    assert "all.csv" in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.exit_code == 2


# Lines after two good ones; none of them gives a row.
LINES = {
    "a field too many": ("x/i2.png,0,train,zzz", "bad-file"),
    "a field too few": ("x/i2.png,0", "bad-file"),
    "a path with a bare comma": ("x/i2,1.png,0,train", "bad-file"),
    "label 2": ("x/i2.png,2,train", "label"),
    "label -1": ("x/i2.png,-1,train", "label"),
    "label 1.0": ("x/i2.png,1.0,train", "label"),
    "label 01": ("x/i2.png,01,train", "label"),
    "label true": ("x/i2.png,true,train", "label"),
    "label nan": ("x/i2.png,nan,train", "label"),
    "label empty": ("x/i2.png,,train", "label"),
    "label 0_fake": ("x/i2.png,0_fake,train", "label"),
    "label 1_real": ("x/i2.png,1_real,train", "label"),
    "label 7 real": ("x/i2.png,7 real,train", "label"),
    "label notfake": ("x/i2.png,notfake,train", "label"),
    "label unreal": ("x/i2.png,unreal,train", "label"),
    "label Surreal": ("x/i2.png,Surreal,train", "label"),
    "label not_real": ("x/i2.png,not_real,train", "label"),
    "label real/fake": ("x/i2.png,real/fake,train", "label"),
    "label of many digits": ("x/i2.png," + "9" * 6000 + "_real,train", "label"),
    "label in full-width digits": ("x/i2.png,１_fake,train", "label"),
    "label with a control character": ("x/i2.png,fake\x07,train", "label"),
    "split dev": ("x/i2.png,0,dev", "split"),
    "split empty": ("x/i2.png,0,", "split"),
    "split trainval": ("x/i2.png,0,trainval", "split"),
    "split null": ("x/i2.png,0,null", "split"),
    "path above": ("../i2.png,0,train", "outside"),
    "path above, within": ("x/../../i2.png,0,train", "outside"),
    "absolute path": ("/etc/passwd,0,train", "outside"),
    "path of a drive": ("C:\\i2.png,0,train", "outside"),
    "path from home": ("~/i2.png,0,train", "outside"),
    "empty path": (",0,train", "outside"),
    "no such file": ("x/gone.png,0,train", "missing"),
    "a folder": ("x,0,train", "missing"),
    "path with NUL": ("x/i2.png\0,0,train", "missing"),
    "long path": ("a/" * 3000 + ",0,train", "missing"),
    "path with a new line": ('"x/i\n2.png",0,train', "missing"),
    "text behind a quote": ('"x/i2.png"x,0,train', "bad-file"),
    "quote that stays open": ('"x/i2.png,0,train', "bad-file"),
    "long field": (f"{LONG},0,train", "bad-file"),
    "no UTF-8": (b"x/i\xff2.png,0,train", "bad-file"),
}


@pytest.mark.parametrize("case", LINES)
def test_a_wrong_line_gives_no_row_and_is_counted_by_its_number(tree, case):
    line, kind = LINES[case]
    line = line if isinstance(line, bytes) else line.encode()

    got = read(tree, (HEAD + BASE).encode() + line + b"\n")

    assert dict(zip(got.frame["path"], got.frame["label"], strict=True)) == BOTH
    (finding,) = (finding for finding in got.findings if finding.kind == kind and finding.severity == "error")
    assert kind == "outside" or "line " in finding.found
    assert (finding.file + finding.found).isprintable()
    assert len(finding.found) < 400


COLUMNS = {
    "frame in words": ("frame", "first"),
    "frame below -1": ("frame", "-2"),
    "frame of many digits": ("frame", "9" * 6000),
    "frame with a fraction": ("frame", "1.5"),
    "frame above 32 bits": ("frame", "3000000000"),
    "compression unknown": ("compression", "c24"),
    "data set with a slash": ("dataset", "a/b"),
    "data set above": ("dataset", ".."),
    "data set of 300 letters": ("dataset", "d" * 300),
    "data set with a control character": ("dataset", "d\x07"),
    "method real of a fake": ("method", "real"),
    "method with a slash": ("method", "a/b"),
    "video with a bidirectional character": ("video", "a\u202eb"),
    "person with a control character": ("target", "a\x1bb"),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_a_value_that_breaks_its_columns_rule_leaves_its_line_out(tree, case):
    column, value = COLUMNS[case]

    got = read(
        tree, f"path,label,split,{column}\nx/i0.png,0,train,\nx/i1.png,1,train,\nx/i2.png,1,train,{value}\n"
    )

    assert dict(zip(got.frame["path"], got.frame["label"], strict=True)) == BOTH
    assert [(left.path, left.kind in ("label", "name")) for left in got.left_out] == [("x/i2.png", True)]
    assert all((finding.file + finding.found).isprintable() for finding in got.findings)


LEGITIMATE = {
    "byte order mark": "\ufeff" + HEAD + BASE,
    "carriage returns": (HEAD + BASE).replace("\n", "\r\n"),
    "old line ends": (HEAD + BASE).replace("\n", "\r"),
    "no line end": (HEAD + BASE).rstrip(),
    "quotes": HEAD + '"x/i0.png","0","train"\n"x/i1.png","1","train"\n',
    "blanks around": HEAD + " x/i0.png , 0 , train \n x/i1.png , 1 , train \n",
    "empty lines": HEAD + "\n" + BASE.replace("\n", "\n\n"),
    "empty columns of a spreadsheet": "path,label,split,,\nx/i0.png,0,train,,\nx/i1.png,1,train,,\n",
    "words": HEAD + "x/i0.png,Real,training\nx/i1.png,FAKE,TRAIN\n",
    "numbered words": HEAD + "x/i0.png,0_real,train\nx/i1.png,1_fake,train\n",
    "nature and AI": HEAD + "x/i0.png,nature,train\nx/i1.png,ai,train\n",
    "paths from here": HEAD + "./x/i0.png,0,train\n./x/i1.png,1,train\n",
    "paths of Windows": HEAD + "x\\i0.png,0,train\nx\\i1.png,1,train\n",
    "a line twice": HEAD + BASE + BASE,
    "no split": "path,label\nx/i0.png,0\nx/i1.png,1\n",
    "names that begin a formula": "path,label,method,dataset\nx/i0.png,0,real,=A\nx/i1.png,1,@SUM,=A\n",
}


@pytest.mark.parametrize("case", LEGITIMATE)
def test_what_people_and_spreadsheets_write_is_read(tree, case):
    got = read(tree, LEGITIMATE[case])

    assert dict(zip(got.frame["path"], got.frame["label"], strict=True)) == BOTH
    assert [finding for finding in got.findings if finding.severity == "error"] == []


@pytest.mark.parametrize("labels", ["01", "10", "011", "101", "0110"])
def test_a_file_with_two_labels_is_left_out_however_often_it_comes_again(tree, labels):
    lines = "".join(f"x/i2.png,{label},train\n" for label in labels)

    got = read(tree, HEAD + BASE + lines)

    assert dict(zip(got.frame["path"], got.frame["label"], strict=True)) == BOTH
    assert {left.kind for left in got.left_out} == {"label"}


def test_a_fault_of_every_line_is_told_once_with_its_number_and_an_example(tree):
    got = read(tree, HEAD + "".join(f"x/i{n % 4}.png,maybe,train\n" for n in range(500)))

    (finding,) = (finding for finding in got.findings if finding.kind == "label")
    assert "500 times" in finding.found
    assert "line 2" in finding.found
    assert len(got.left_out) == 500


def test_a_damaged_csv_in_a_folder_is_no_manifest_and_stops_no_other(tree):
    tree.text("notes.csv", 'a,"b')
    tree.text("all.csv", HEAD + BASE)

    assert len(read_dataset(tree.root, options=ReadOptions(val_fraction=0)).frame) == 2
