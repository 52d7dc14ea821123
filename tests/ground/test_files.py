"""Files and folders appear whole or not at all, and what the system refuses is one line with the right exit code."""

from __future__ import annotations

import errno
import os

import pytest

from fretal_bench import files
from fretal_bench.errors import BenchError, RunError


def test_a_file_takes_the_place_of_the_old_one_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "a.txt"
    files.write(path, "old\n")

    def stop_halfway():
        with files.replacing(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_halfway()
    assert path.read_text() == "old\n"
    files.write(path, b"\x00new")
    assert path.read_bytes() == b"\x00new"
    assert os.stat(path).st_mode & 0o777 == 0o644
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_a_folder_appears_whole_or_not_at_all_and_what_a_killed_process_left_goes(tmp_path):
    final = tmp_path / "cells" / "x"
    (tmp_path / "cells" / ".x.part-dead").mkdir(parents=True)

    def stop_halfway():
        with files.folder(final) as part:
            (part / "half").write_text("")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_halfway()
    assert list((tmp_path / "cells").iterdir()) == []
    with files.folder(final) as part:
        (part / "deep").mkdir()
        (part / "deep" / "whole").write_text("1")
        assert not final.exists()
    assert (final / "deep" / "whole").read_text() == "1"
    assert os.stat(final).st_mode & 0o777 == 0o755


def test_a_draft_is_seen_by_nobody_until_it_is_finished_and_gone_when_it_is_discarded(tmp_path):
    kept, dropped = files.Draft(tmp_path / "new" / "kept"), files.Draft(tmp_path / "new" / "dropped")
    for draft in (kept, dropped):
        (draft.path / "a").write_text("1")
    assert not [path for path in (tmp_path / "new").iterdir() if not path.name.startswith(".")]
    kept.finish()
    for draft in (kept, dropped):
        draft.discard()
    assert (tmp_path / "new" / "kept" / "a").read_text() == "1"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["kept"]


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, RunError, "no space left"),
        (errno.EDQUOT, RunError, "no space left"),
        (errno.EACCES, BenchError, "cannot be written"),
        (errno.EROFS, BenchError, "cannot be written"),
        (errno.ENOTDIR, BenchError, "give another --out"),
        (errno.EIO, RunError, "check the disk"),
        (None, RunError, "check the disk"),
    ],
)
def test_what_the_system_refuses_is_one_line_with_its_exit_code(tmp_path, monkeypatch, number, kind, words):
    def refuse(*_):
        raise OSError("several\nlines") if number is None else OSError(number, os.strerror(number))

    def write_file():
        files.write(tmp_path / "a", "x", remedy="give another --out")

    def write_folder():
        with files.folder(tmp_path / "b", remedy="give another --out"):
            pass

    monkeypatch.setattr(files, "move", refuse)
    for write in (write_file, write_folder):
        with pytest.raises(kind) as error:
            write()
        assert type(error.value) is kind
        assert words in str(error.value)
        assert "\n" not in str(error.value)
        assert error.value.exit_code == (1 if kind is RunError else 2)
    assert list(tmp_path.iterdir()) == []


def test_a_place_is_checked_before_hours_of_work_and_nothing_is_made(tmp_path):
    (tmp_path / "file").write_text("")
    files.check_place(tmp_path / "a" / "b" / "c.toml", "--write")
    assert not (tmp_path / "a").exists()
    with pytest.raises(BenchError, match=r"is no folder\); give another --write"):
        files.check_place(tmp_path / "file" / "c.toml", "--write")
    with pytest.raises(BenchError, match=r"name is too long"):
        files.check_place(tmp_path / ("x" * 250), "--write")
    # It calls itself writable, and takes nothing.
    with pytest.raises(BenchError, match=r"^/proc/x/y.toml: cannot be written .*give another --write"):
        files.check_place("/proc/x/y.toml", "--write")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_text_that_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(BenchError, match=r"recipe file .*none.*: cannot be read .*; check the path"):
        files.read_text(tmp_path / "none", "recipe file")
    with pytest.raises(BenchError, match=r"not UTF-8 text .byte 3.; save it as UTF-8"):
        files.read_text(tmp_path / "latin", "recipe file")


def test_the_hash_of_a_file_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert files.sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_what_a_killed_process_left_goes_and_drafts_of_others_stay_whatever_the_name(tmp_path):
    for name in ("a[1]", "*"):
        (tmp_path / f".{name}.part-killed").mkdir()
    others = files.Draft(tmp_path / "other")
    for name in ("a[1]", "*"):
        with files.folder(tmp_path / name):
            pass
    assert {path.name for path in tmp_path.iterdir()} == {"a[1]", "*", others.path.name}


@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "absent", "loop", "long", "nul"])
def test_what_is_no_file_is_refused_at_once_and_never_opened(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    place = {"device": "/dev/zero", "long": "x" * 300, "nul": "a\0b"}.get(kind, os.fspath(path))
    for read in (files.read_text, files.read_bytes, files.check_regular):
        with pytest.raises(BenchError, match="do this") as error:
            read(place, "recipe file", "do this")
        assert str(error.value).isprintable()
        assert error.value.exit_code == 2


def test_a_file_larger_than_allowed_is_not_read(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert files.read_bytes(path, "list", largest=5) == b"12345"
    assert files.check_regular(path, "list").st_size == 5
    with pytest.raises(BenchError, match="at most 4 bytes, found 5"):
        files.read_bytes(path, "list", largest=4)


def test_text_is_read_without_its_byte_order_mark_and_with_one_kind_of_line_end(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert files.read_text(path, "list") == "a\nb\nc\n"
    path.write_bytes(b"\xff")
    with pytest.raises(BenchError, match="not UTF-8"):
        files.read_text(path, "list")


def test_a_home_folder_is_written_out_and_one_of_nobody_is_one_line(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert str(files.expanded("~/stores")) == "/home/me/stores"
    assert str(files.expanded("stores")) == "stores"
    with pytest.raises(BenchError, match="~nobody-at-all is no user's home folder; write the path out"):
        files.expanded("~nobody-at-all/stores")


def test_a_folder_is_no_text_file(tmp_path):
    with pytest.raises(BenchError, match=r"recipe file .*: expected a file, found a folder"):
        files.read_text(tmp_path, "recipe file")
