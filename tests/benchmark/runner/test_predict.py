"""Judging one's own files with the detector that a cell ended with."""

import json
import os
import shutil

import cv2
import numpy as np
import pytest
import torch

from fretal_bench.benchmark.runner.predict import FakeDetector, predict
from fretal_bench.benchmark.runner.run import run
from fretal_bench.benchmark.runner.seals import CHECKSUMS, seal
from fretal_bench.datasets.ffpp_mini.photographs import people
from fretal_bench.datasets.media.limits import MediaLimits
from fretal_bench.errors import BenchError
from media_files import oriented, png_bomb, write_clip
from tests_support import TINY, tiny_stream


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cell")
    stream = tiny_stream(folder, domains=1)
    run(("finetuning",), str(stream), changes={"recipe": TINY}, out=folder / "r")
    (path,) = (folder / "r").glob("cells/*")
    return path


def state_of(cell):
    """The checkpoint of a cell's last step, in the pool."""
    last = json.loads((cell / "cell.json").read_text())["steps"][-1]
    return cell.parents[2] / "steps" / "steps" / last / "checkpoint.pt"


def with_pool(cell, folder):
    """A copy of the cell's result folder and its pool."""
    shutil.copytree(cell.parents[2], folder)
    return folder / cell.relative_to(cell.parents[2])


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    """A real face, three times as large, as a PNG file."""
    path = tmp_path_factory.mktemp("photo") / "face.png"
    frame = people()[0].frames[0]
    cv2.imwrite(str(path), cv2.resize(frame, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC))
    return path


def test_an_image_gets_a_score_and_the_box_of_its_face(cell, photograph):
    (prediction,) = predict(FakeDetector(cell), [photograph])
    assert prediction.reason == ""
    assert 0 <= prediction.score <= 1
    (frame,) = prediction.frames
    left, top, right, bottom = frame.box
    low, high = 3 * people()[0].landmarks[0].min(0), 3 * people()[0].landmarks[0].max(0)
    inside = max(0, min(right, high[0]) - max(left, low[0])) * max(0, min(bottom, high[1]) - max(top, low[1]))
    union = (right - left) * (bottom - top) + (high - low).prod() - inside
    assert inside / union > 0.5


def test_a_video_is_judged_by_the_mean_of_its_frames(cell, tmp_path):
    import av

    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=5)
        video.width, video.height, video.pix_fmt = 276, 336, "yuv420p"
        for frame in people()[1].frames[:6]:
            large = cv2.resize(frame, (276, 336), interpolation=cv2.INTER_CUBIC)
            picture = av.VideoFrame.from_ndarray(np.repeat(large[:, :, None], 3, 2), format="rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode())
    (prediction,) = predict(FakeDetector(cell), [tmp_path / "clip.mp4"], frames=3)
    assert 1 <= len(prediction.frames) <= 3
    assert prediction.score == pytest.approx(np.mean([frame.score for frame in prediction.frames]))


def test_files_that_cannot_be_judged_say_why_and_stop_no_other(cell, photograph, tmp_path):
    (tmp_path / "grey.png").write_bytes(
        cv2.imencode(".png", np.full((200, 200, 3), 128, np.uint8))[1].tobytes()
    )
    (tmp_path / "text.mp4").write_text("no video")
    files = [tmp_path / "grey.png", tmp_path / "text.mp4", tmp_path / "none.mp4", photograph]
    predictions = list(predict(FakeDetector(cell), files))
    assert [prediction.score is None for prediction in predictions] == [True, True, True, False]
    assert "no face found" in predictions[0].reason
    assert all(prediction.reason for prediction in predictions[:3])


def test_the_detectors_weights_are_those_of_the_cell(cell, photograph):
    detector = FakeDetector(cell)
    state = torch.load(state_of(cell), weights_only=True)["model"]
    for key, value in detector.strategy.model.state_dict().items():
        assert torch.equal(value, state[key])


def test_a_cell_trained_in_fp16_judges_on_a_cpu(cell, photograph, tmp_path):
    folder = rewritten(cell, tmp_path / "cell", recipe={"precision": "fp16"})
    (half,) = predict(FakeDetector(folder, "cpu"), [photograph])
    (whole,) = predict(FakeDetector(cell, "cpu"), [photograph])
    assert half.score == whole.score


def test_what_is_no_cell_is_refused(tmp_path, cell):
    with pytest.raises(
        BenchError, match=r"expected a done cell .*; give results/NAME/cells/ID of a finished"
    ):
        FakeDetector(tmp_path)
    folder = without_checksums(cell, tmp_path / "cell")
    (folder / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(BenchError, match=r"checkpoint.pt: expected a checkpoint that `bench run` wrote"):
        FakeDetector(folder / "checkpoint.pt")


def without_checksums(cell, folder):
    """A copy of a cell as versions before checksums wrote it, so that what is changed in it is not found by them.

    They kept its last checkpoint in it.
    """
    folder = shutil.copytree(cell, folder)
    (folder / CHECKSUMS).unlink()
    shutil.copy(state_of(cell), folder)
    about = json.loads((folder / "cell.json").read_text())
    del about["steps"]
    (folder / "cell.json").write_text(json.dumps(about))
    return folder


def test_a_cell_of_an_earlier_version_is_judged_by_the_checkpoint_that_is_in_it(cell, photograph, tmp_path):
    folder = without_checksums(cell, tmp_path / "cell")
    (here,) = predict(FakeDetector(cell, "cpu"), [photograph])
    for path in (folder, folder / "checkpoint.pt"):
        assert list(predict(FakeDetector(path, "cpu"), [photograph])) == [here]
    (folder / "checkpoint.pt").unlink()
    with pytest.raises(BenchError, match=r"expected a checkpoint\.pt, found none"):
        FakeDetector(folder)


def test_a_cell_whose_pool_is_gone_or_elsewhere_judges_nothing_and_says_why(cell, photograph, tmp_path):
    moved = shutil.copytree(cell.parents[1], tmp_path / "alone")
    with pytest.raises(
        BenchError, match="found none: the pool is elsewhere, or the checkpoint was removed"
    ) as caught:
        FakeDetector(moved / "cells" / cell.name)
    assert str(caught.value).startswith(str(tmp_path / "steps" / "steps"))
    copy = with_pool(cell, tmp_path / "both")
    (here,) = predict(FakeDetector(cell, "cpu"), [photograph])
    assert list(predict(FakeDetector(copy, "cpu"), [photograph])) == [here]
    content = bytearray(state_of(copy).read_bytes())
    content[len(content) // 2] ^= 1
    state_of(copy).write_bytes(content)
    with pytest.raises(BenchError, match=r"checkpoint\.pt: not the file that was written"):
        FakeDetector(copy)


def test_a_pool_in_another_place_is_found_by_the_plan(tmp_path, photograph):
    stream = tiny_stream(tmp_path, domains=1)
    run(
        ("finetuning",),
        str(stream),
        changes={"recipe": TINY},
        out=tmp_path / "r",
        pool=tmp_path / "far" / "away",
    )
    (cell,) = (tmp_path / "r").glob("cells/*")
    assert not (tmp_path / "steps").exists()
    (judged,) = predict(FakeDetector(cell, "cpu"), [photograph])
    assert judged.score is not None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "table"),
        ('{"crop": 3}', "key 'crop'|key 'id'"),
        ("{}", "key 'id'"),
        ("x", "not valid JSON"),
        ("[" * 5000, "within each other"),
    ],
)
def test_a_cell_file_that_lies_is_named_in_one_line(cell, tmp_path, content, message):
    folder = without_checksums(cell, tmp_path / "cell")
    (folder / "cell.json").write_text(content)
    with pytest.raises(BenchError, match=message) as caught:
        FakeDetector(folder)
    assert "cell.json" in str(caught.value)
    assert str(caught.value).isprintable()


def spoiled(value):
    return value * float("nan") if value.is_floating_point() else value


def doubled(value):
    return torch.cat([value, value]) if value.ndim else value


@pytest.mark.parametrize("place", ["pool", "cell of an earlier version"])
@pytest.mark.parametrize(
    ("change", "message"),
    [(spoiled, "holds NaN or infinite numbers"), (doubled, "of test_byobnet, found")],
)
def test_weights_that_are_no_numbers_or_anothers_judge_nothing(
    bench, cell, photograph, tmp_path, change, message, place
):
    if place == "pool":
        folder = with_pool(cell, tmp_path / "both")
        path = state_of(folder)
    else:
        folder = without_checksums(cell, tmp_path / "cell")
        path = folder / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    weights = {name: change(value) for name, value in state["model"].items()}
    torch.save({**state, "model": weights}, path)
    if place == "pool":
        (path.parent / CHECKSUMS).unlink()
        seal(path.parent)
    code, out, err = bench("predict", folder, photograph, "--json")
    assert (code, out) == (2, "")
    assert err.startswith(f"bench: {path}: ")
    assert message in err
    assert err.count("\n") == 1
    assert "weights_only" not in err


def rewritten(cell, folder, **changes):
    """A copy of the cell's folder whose ``cell.json`` says something else."""
    folder = without_checksums(cell, folder)
    about = json.loads((folder / "cell.json").read_text())
    for key, value in changes.items():
        about[key] = {**about[key], **value} if isinstance(value, dict) else value
    (folder / "cell.json").write_text(json.dumps(about))
    return folder


def test_a_cell_that_was_trained_in_half_precision_is_judged_on_a_cpu_as_in_single(
    cell, photograph, tmp_path
):
    half = rewritten(cell, tmp_path / "half", recipe={"precision": "fp16", "device": "cuda"})
    (judged,) = predict(FakeDetector(half, "cpu"), [photograph])
    (single,) = predict(FakeDetector(cell, "cpu"), [photograph])
    assert judged.score == single.score


@pytest.mark.parametrize(
    ("origin", "remedy"),
    [
        ("mine.py sha256:0123456789abcdef", "give --plugin mine.py as it was"),
        ("my own.py sha256:0123456789abcdef", "give --plugin my own.py as it was"),
        ("my-dist 1.2", "install my-dist as it was"),
        ("my-dist 1.2 sha256:0123456789abcdef", "install my-dist as it was"),
    ],
)
def test_a_strategy_of_another_origin_than_the_cells_judges_nothing(cell, tmp_path, origin, remedy):
    other = rewritten(cell, tmp_path / "other", origin=origin)
    with pytest.raises(BenchError, match=rf"'finetuning'.*{origin}.*{remedy}"):
        FakeDetector(other)


def test_a_file_that_cannot_be_judged_gives_exit_code_1_and_json_all_the_same(
    bench, cell, photograph, tmp_path
):
    (tmp_path / "text.mp4").write_text("no video")
    code, out, _ = bench("predict", cell, photograph, tmp_path / "text.mp4", "--json")
    assert code == 1
    judged, unjudged = json.loads(out)
    assert 0 <= judged["score"] <= 1
    assert unjudged["score"] is None
    assert bench("predict", cell, photograph).code == 0


@pytest.fixture(scope="module")
def in_service(cell):
    return FakeDetector(cell, "cpu")


def test_a_face_is_judged_alike_however_its_file_says_which_way_is_up(in_service, photograph, tmp_path):
    image = cv2.imread(str(photograph))[:, :, ::-1]
    (upright,) = predict(in_service, [photograph])
    assert upright.score is not None
    for orientation in range(1, 9):
        contents = oriented(image, orientation)
        paths = []
        # That the others give the same pixels is tested where they are read.
        for name in ("bare.png", "header.png", "bare.webp", "header.webp", "plain.tif", "photo.jpg"):
            paths.append(tmp_path / f"{orientation}-{name}")
            paths[-1].write_bytes(contents[name])
        for path, prediction in zip(paths, predict(in_service, paths), strict=True):
            assert prediction.score == pytest.approx(upright.score, abs=0.02), path.name
            near = 3 if path.suffix == ".jpg" else 0
            assert prediction.frames[0].box == pytest.approx(upright.frames[0].box, abs=near), path.name


def test_alpha_over_garbage_is_judged_as_alpha_over_grey(in_service, photograph, tmp_path):
    image = cv2.imread(str(photograph))
    alpha = np.full((*image.shape[:2], 1), 255, np.uint8)
    alpha[:40] = 0
    paths = []
    for name, fill in (
        ("grey", 128),
        ("garbage", np.random.default_rng(0).integers(0, 255, image[:40].shape)),
    ):
        under = image.copy()
        under[:40] = fill
        paths.append(tmp_path / f"{name}.png")
        cv2.imwrite(str(paths[-1]), np.dstack([under, alpha]))
    over_grey, over_garbage = predict(in_service, paths)
    assert over_grey.score == over_garbage.score
    assert over_grey.frames == over_garbage.frames


def test_hdr_bombs_and_pipes_are_answered_with_a_reason_and_stop_nothing(in_service, photograph, tmp_path):
    frames = np.zeros((2, 48, 64, 3), np.uint8)
    hdr = {"x264-params": "colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc"}
    files = [
        write_clip(tmp_path / "hdr.mp4", frames, pixels="yuv420p10le", **hdr),
        write_clip(tmp_path / "deep.mp4", frames, pixels="yuv420p10le"),
        tmp_path / "bomb.png",
        tmp_path / "pipe.mp4",
        photograph,
    ]
    files[2].write_bytes(png_bomb(700, 600))
    os.mkfifo(files[3])
    predictions = list(predict(in_service, files, limits=MediaLimits(max_megapixels=0.4)))
    assert [prediction.reason.partition(":")[0] for prediction in predictions] == [
        "it is HDR, and no tone mapping is done",
        "no face found in 2 frames",
        "its picture is larger than the limit",
        "it is no regular file",
        "",
    ]
    assert "HLG" in predictions[0].reason


def test_two_equal_faces_are_noted(in_service, tmp_path):
    faces = [cv2.resize(people()[n].frames[0], (276, 336), interpolation=cv2.INTER_CUBIC) for n in (0, 14)]
    cv2.imwrite(str(tmp_path / "two.png"), np.hstack(faces))
    cv2.imwrite(str(tmp_path / "one.png"), faces[0])
    two, one = predict(in_service, [tmp_path / "two.png", tmp_path / "one.png"])
    assert two.note == "another face is as prominent as the chosen one"
    assert (one.note, one.score is None) == ("", False)


def test_a_limit_that_is_none_is_refused_by_its_option_before_anything_is_loaded(bench):
    code, out, err = bench("predict", "x.pt", "x.png", "--max-minutes", "0")
    assert (code, out) == (2, "")
    assert err == "bench: --max-minutes: expected a finite number above 0, found 0.0\n"
