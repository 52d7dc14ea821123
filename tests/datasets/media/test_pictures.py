"""Picture files: orientation however it is written, one rule for each kind of content, limits, and what is refused."""

from __future__ import annotations

import contextlib
import os

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from fretal_bench.datasets.media.headers import picture_header
from fretal_bench.datasets.media.limits import MediaLimits
from fretal_bench.datasets.media.noise import heard, kept_off
from fretal_bench.datasets.media.orientation import in_exif, in_png
from fretal_bench.datasets.media.pictures import is_picture, read_picture
from fretal_bench.datasets.media.reasons import Reason, Unreadable
from media_files import HEADER, chunk, encoded, exif, oriented, png_bomb, png_with, smooth


@pytest.fixture
def read(tmp_path):
    """Read bytes as a picture file."""

    def call(content, limits=None):
        path = tmp_path / "picture.bin"
        path.write_bytes(content)
        return read_picture(path, limits)

    return call


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_set_upright_however_the_file_says_it(read, orientation):
    image = smooth()
    for name, content in oriented(image, orientation).items():
        picture = read(content)
        assert picture.shape == image.shape, name
        difference = np.abs(picture.astype(int) - image).max()
        assert difference <= (12 if name.endswith(".jpg") else 0), (name, difference)


@pytest.mark.parametrize("orientation", [6, 7])
def test_the_header_has_the_shape_as_it_is_shown(tmp_path, orientation):
    for name, content in oriented(smooth(), orientation).items():
        (tmp_path / name).write_bytes(content)
        header = picture_header(tmp_path / name)
        assert (header.width, header.height, header.orientation) == (40, 60, orientation), name
        assert header.shape == (40, 60), name


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II*",
        b"II*\x00\xff\xff\xff\xff",
        exif(6)[:14],
        exif(0),
        exif(9),
        b"XX" + exif(6)[2:],
        HEADER * 3,
    ],
)
def test_an_exif_block_that_means_nothing_leaves_the_picture_as_it_is(block):
    assert in_exif(block) == 1


def test_a_png_whose_chunks_run_past_its_end_is_upright(tmp_path):
    path = tmp_path / "odd.png"
    path.write_bytes(
        encoded(smooth(), "PNG")[:33] + b"\xff\xff\xff\xffzTXtRaw profile type exif\x00\x00broken"
    )
    with path.open("rb") as file:
        assert in_png(file) == 1


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})]
)
def test_what_lies_under_alpha_is_not_seen_and_what_is_opaque_is_unchanged(read, kind, options):
    image = smooth()
    garbage = image.copy()
    garbage[:20] = np.random.default_rng(1).integers(0, 255, (20, 60, 3))
    alpha = np.full((40, 60, 1), 255, np.uint8)
    assert np.array_equal(read(encoded(np.dstack([image, alpha]), kind, **options)), image)
    alpha[:20] = 0
    composed = read(encoded(np.dstack([garbage, alpha]), kind, **options))
    assert (composed[:20] == 128).all()
    assert np.array_equal(composed[20:], image[20:])
    over_grey = image.copy()
    over_grey[:20] = 128
    assert np.array_equal(composed, read(encoded(over_grey, kind, **options)))


def test_half_transparent_is_half_grey(read):
    pixel = np.array([[[255, 0, 128, 128]]], np.uint8)
    assert read(encoded(pixel, "PNG"))[0, 0].tolist() == [192, 64, 128]


def test_a_transparent_entry_of_a_palette_is_grey(read):
    palette = Image.fromarray(smooth()).quantize(32)
    numbers, colours = np.asarray(palette), np.asarray(palette.convert("RGB"))
    hidden = numbers == numbers[0, 0]
    for kind in ("PNG", "GIF"):
        assert np.array_equal(read(encoded(palette, kind)), colours)
        picture = read(encoded(palette, kind, transparency=int(numbers[0, 0])))
        assert (picture[hidden] == 128).all()
        assert np.array_equal(picture[~hidden], colours[~hidden])


def test_16_bits_lose_their_lower_half_with_and_without_alpha(read):
    image = smooth()
    deep = image[:, :, ::-1].astype(np.uint16) << 8 | 200
    for suffix in (".png", ".tiff"):
        assert np.array_equal(read(cv2.imencode(suffix, deep)[1].tobytes()), image)
    alpha = np.full((40, 60, 1), 65535, np.uint16)
    assert np.array_equal(read(cv2.imencode(".png", np.dstack([deep, alpha]))[1].tobytes()), image)


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_becomes_three_equal_channels(read, mode):
    grey = Image.fromarray(smooth()).convert("L")
    picture = read(encoded(grey.convert(mode), "PNG"))
    assert np.array_equal(picture, np.asarray(grey.convert(mode).convert("RGB")))


def test_cmyk_without_a_profile_is_what_ink_leaves_of_white(read):
    inks = np.zeros((8, 8, 4), np.uint8)
    inks[:, :] = (255, 0, 51, 102)
    picture = read(encoded(Image.fromarray(inks, "CMYK"), "TIFF"))
    assert np.abs(picture[0, 0].astype(int) - [0, 153, 122]).max() <= 1


def test_cmyk_with_a_profile_that_is_none_is_refused_and_not_guessed(read):
    inks = Image.fromarray(np.zeros((8, 8, 4), np.uint8), "CMYK")
    with pytest.raises(Unreadable, match="its CMYK profile cannot be applied"):
        read(encoded(inks, "TIFF", icc_profile=b"no profile"))


def test_the_profile_of_an_rgb_picture_is_not_applied(read):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(read(encoded(smooth(), "PNG", icc_profile=profile)), smooth())


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF"])
def test_of_several_frames_or_pages_the_first_is_read(read, kind):
    pages = [Image.fromarray(smooth(seed=seed)).quantize(64) for seed in (0, 1)]
    if kind != "GIF":
        pages = [page.convert("RGB") for page in pages]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(pages[0], kind, save_all=True, append_images=pages[1:], **options)
    assert np.array_equal(read(content), np.asarray(pages[0].convert("RGB")))


def test_a_bomb_is_refused_by_its_header_and_an_option_names_the_way_out(read, monkeypatch):
    bomb = png_bomb(9000, 6000)
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(Unreadable) as refusal:
        read(bomb)
    assert refusal.value.cause.reason is Reason.TOO_LARGE
    assert "9000 x 6000 pixels are 54.0 megapixels, at most 50; --max-megapixels" in str(refusal.value)


def test_a_raised_limit_reads_what_the_default_refuses(read):
    content = png_bomb(300, 200)
    with pytest.raises(Unreadable, match="megapixels"):
        read(content, MediaLimits(max_megapixels=0.05))
    assert read(content, MediaLimits(max_megapixels=0.06)).shape == (200, 300, 3)


def test_pillows_own_limit_is_left_as_it_was(read):
    before = Image.MAX_IMAGE_PIXELS
    read(encoded(smooth(), "PNG"))
    assert before == Image.MAX_IMAGE_PIXELS
    assert before


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "gone"])
def test_what_is_no_regular_file_is_not_opened(tmp_path, kind):
    path = tmp_path / "picture.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    with pytest.raises(Unreadable) as refusal:
        read_picture(path)
    assert refusal.value.cause.reason is (Reason.MISSING if kind == "gone" else Reason.NO_FILE)
    assert kind in str(refusal.value) or kind == "gone"


JPEG = encoded(smooth(200, 300), "JPEG", quality=90)
DAMAGED = {
    "empty": b"",
    "text": b"no picture at all" * 10,
    "jpeg cut, with an end mark": JPEG[: len(JPEG) // 2] + b"\xff\xd9",
    "png without half of its pixels": encoded(smooth(), "PNG")[:2000] + chunk(b"IEND", b""),
    "webp cut": encoded(smooth(), "WEBP")[:200],
    "tiff cut": encoded(smooth(), "TIFF")[:3000],
    "bmp cut": encoded(smooth(), "BMP")[:300],
    "gif cut": encoded(Image.fromarray(smooth()).quantize(64), "GIF")[:900],
    "alpha cut": encoded(np.dstack([smooth(), smooth()[:, :, :1]]), "PNG")[:1500] + chunk(b"IEND", b""),
    "float": cv2.imencode(".tiff", smooth().astype(np.float32))[1].tobytes(),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_picture_is_one_line_and_no_library_is_heard(read, capfd, name):
    with pytest.raises(Unreadable) as refusal:
        read(DAMAGED[name])
    assert refusal.value.cause.reason is Reason.UNDECODABLE
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr().err == ""


def test_a_readable_picture_with_an_odd_chunk_is_read_in_silence(read, capfd):
    odd = png_with(encoded(smooth(), "PNG"), chunk(b"eXIf", HEADER + exif(1)) + chunk(b"iCCP", b"x\x00\x00y"))
    assert np.array_equal(read(odd), smooth())
    assert capfd.readouterr().err == ""


def test_pythons_own_lines_still_arrive_while_c_libraries_are_kept_off(capfd):
    with kept_off():
        os.write(2, b"libpng warning: something\n")
        with kept_off():
            os.write(2, b"nested\n")
        assert heard() == "libpng warning: something\nnested\n"
        assert heard() == ""
        for _ in range(200):
            with contextlib.suppress(BlockingIOError):
                os.write(2, b"x" * 1000)
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


@pytest.mark.parametrize(
    ("name", "content", "answer"),
    [
        ("a.png", b"anything", True),
        ("a.mp4", b"anything", False),
        ("photo", JPEG, True),
        ("photo.mjpeg", JPEG, False),
        ("photo.heic", encoded(smooth(), "WEBP"), True),
    ],
)
def test_a_picture_is_told_from_a_video_by_name_or_content(tmp_path, name, content, answer):
    (tmp_path / name).write_bytes(content)
    assert is_picture(tmp_path / name) is answer


def test_a_file_far_larger_than_any_picture_within_the_limit_is_not_read(tmp_path):
    path = tmp_path / "zeros.png"
    with path.open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(Unreadable, match="a file of 68,157,440 bytes; --max-megapixels"):
        read_picture(path, MediaLimits(max_megapixels=0.1))
