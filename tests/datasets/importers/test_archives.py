"""Archives that would fill memory or disk, or hold no plain files: refused before their content is read."""

import gzip
import io
import resource
import subprocess
import sys
import tarfile

import pytest

from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.importers import ReadOptions, read_dataset
from fretal_bench.datasets.importers.archives import (
    ArchiveLimits,
    DamagedArchive,
    LargeArchive,
    Refusal,
    list_members,
    unpack,
)
from trees import Tree, png, told

LARGE = 3 * 2**30


def header(name, size=0, kind=tarfile.REGTYPE, **values):
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    for key, value in values.items():
        setattr(member, key, value)
    return member.tobuf()


def padded(data):
    return data + bytes(-len(data) % tarfile.BLOCKSIZE)


def image(name, level=0):
    return header(name, len(png(level))) + padded(png(level))


def write(path, *parts):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wb", compresslevel=1) as file:
        for part in parts:
            file.write(part)
        file.write(bytes(2 * tarfile.BLOCKSIZE))
    return path


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (ArchiveLimits(member=70), "a member of 80 bytes, where 70 are allowed"),
        (ArchiveLimits(members=2), "more than 2 members"),
        (ArchiveLimits(together=1700), "more than 1,700 bytes together"),
    ],
)
def test_an_archive_beyond_a_limit_is_refused_whole(tmp_path, limits, words):
    parts = (header(f"1/{n}.png", 80) + bytes(tarfile.BLOCKSIZE) for n in range(3))
    path = write(tmp_path / "1.tar.gz", *parts)

    with pytest.raises(LargeArchive, match=words):
        list_members(path, limits)

    assert len(list_members(path, limits.times(2))[0]) == 3


def test_a_member_that_declares_gigabytes_is_refused_by_its_header_alone(tmp_path):
    # Of the three gigabytes not one byte is there: whoever read on would find the archive cut short.
    path = write(tmp_path / "1.tar.gz", image("1/0.png"), header("1/1.png", LARGE))

    with pytest.raises(LargeArchive, match=r"a member of 3,221,225,472 bytes"):
        list_members(path)


def test_many_members_that_pack_to_next_to_nothing_are_refused_by_their_ratio(tmp_path):
    zeros = bytes(2**20)
    parts = (part for n in range(100) for part in (header(f"1/{n}.png", len(zeros)), zeros))
    path = write(tmp_path / "1.tar.gz", *parts)

    with pytest.raises(LargeArchive, match="100 times its own"):
        list_members(path)


def test_a_header_that_is_as_large_as_a_film_is_refused(tmp_path):
    path = write(tmp_path / "1.tar.gz", header("long", LARGE, tarfile.GNUTYPE_LONGNAME))

    with pytest.raises(LargeArchive, match="headers of more than"):
        list_members(path)


def test_a_chain_of_headers_without_a_member_is_damage(tmp_path):
    extended = b"19 path=1/long.png\n"
    one = header("pax", len(extended), tarfile.XHDTYPE) + padded(extended)
    path = write(tmp_path / "1.tar.gz", one * 1000)

    with pytest.raises((DamagedArchive, LargeArchive)):
        list_members(path)


def test_what_is_no_plain_file_is_refused_member_by_member(tmp_path):
    kinds = {
        "1/hard.png": tarfile.LNKTYPE,
        "1/soft.png": tarfile.SYMTYPE,
        "1/pipe.png": tarfile.FIFOTYPE,
        "1/char.png": tarfile.CHRTYPE,
        "1/block.png": tarfile.BLKTYPE,
        "1/sparse.png": tarfile.GNUTYPE_SPARSE,
    }
    parts = (header(name, 0, kind, linkname="0.png") for name, kind in kinds.items())
    path = write(tmp_path / "1.tar.gz", image("1/0.png"), *parts, image("1/2.png"))

    names, refused = list_members(path)

    assert names == ["1/0.png", "1/2.png"]
    assert {name: refusal.kind for name, refusal in refused.items()} == dict.fromkeys(kinds, "link")
    assert refused["1/sparse.png"] is Refusal.SPARSE


def test_a_sparse_member_that_declares_terabytes_costs_nothing(tmp_path):
    member = bytearray(header("1/sparse.png", 0, tarfile.GNUTYPE_SPARSE))
    member[386:410] = b"%011o\0%011o\0" % (0, 0)
    member[483:495] = b"77777777777\0"
    member[148:156] = b"%06o\0 " % (sum(member[:148]) + 8 * 32 + sum(member[156:]))
    path = write(tmp_path / "1.tar.gz", bytes(member), image("1/0.png"))

    assert list_members(path)[1]["1/sparse.png"] is Refusal.SPARSE
    assert unpack(tmp_path, ["1.tar.gz::1/sparse.png"], tmp_path) == {}


def test_of_a_name_that_comes_twice_the_first_is_listed_and_unpacked(tmp_path):
    write(tmp_path / "1.tar.gz", image("1/0.png", 10), image("1/0.png", 200))

    unpacked = unpack(tmp_path, ["1.tar.gz::1/0.png"], tmp_path)

    assert unpacked["1.tar.gz::1/0.png"].read_bytes() == png(10)


@pytest.mark.parametrize("mode", ["w:bz2", "w:xz"])
def test_an_archive_packed_otherwise_is_named_as_none(tmp_path, mode):
    with tarfile.open(tmp_path / "1.tar.gz", mode) as archive:
        archive.addfile(tarfile.TarInfo("0.png"), io.BytesIO())

    with pytest.raises(DamagedArchive, match=r"no tar archive \(gzip or plain\)"):
        list_members(tmp_path / "1.tar.gz")


def test_a_bomb_in_a_data_set_is_counted_and_the_other_archives_are_read(tmp_path):
    tree = Tree(tmp_path)
    write(tmp_path / "fake_train/1.tar.gz", header("1/0.png", LARGE))
    tree.tar("fake_train/2.tar.gz", "2/0.png")
    tree.tar("real_train/1.tar.gz", "1/0.png")

    result = check(tmp_path)

    assert told(result.findings, "error") == {("size", "fake_train/1.tar.gz")}
    assert result.left_out == {"size": 1}
    (action,) = (finding.action for finding in result.findings if finding.kind == "size")
    assert "--archive-limits" in action
    widened = read_dataset(tmp_path, options=ReadOptions(archive_limits=1_000_000))
    assert ("unreadable", "fake_train/1.tar.gz") in told(widened.findings, "error")


_LISTED = """
import sys
from pathlib import Path
from fretal_bench.datasets.importers.archives import ArchiveLimits, list_members, unpack
wide = ArchiveLimits().times(1000)
assert list_members(Path(sys.argv[1]), wide)[0] == ["1/0.png"]
(file,) = unpack(Path(sys.argv[2]), ["1.tar.gz::1/0.png"], Path(sys.argv[2])).values()
assert file.stat().st_size == 400 * 2**20
"""


def test_a_large_member_that_is_allowed_is_listed_and_unpacked_in_flat_memory(tmp_path):
    zeros = bytes(2**20)
    path = write(tmp_path / "1.tar.gz", header("1/0.png", 400 * 2**20), *(zeros for _ in range(400)))

    def bound():
        resource.setrlimit(resource.RLIMIT_DATA, (300 * 2**20,) * 2)

    subprocess.run([sys.executable, "-c", _LISTED, path, tmp_path], check=True, preexec_fn=bound, timeout=120)
    (tmp_path / "0").unlink()
