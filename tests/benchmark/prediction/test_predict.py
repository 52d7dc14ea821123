"""Judging one's own files with the detector that a cell ended with."""

import json
import os
import shutil

import cv2
import numpy as np
import pytest
import torch

from fretal_bench.benchmark.detectors.record import CropRule
from fretal_bench.benchmark.prediction.detectors import FakeDetector, Use
from fretal_bench.benchmark.prediction.predict import Looking, other_boxes, predict, tempered
from fretal_bench.benchmark.runner.run import run
from fretal_bench.benchmark.runner.seals import CHECKSUMS, seal
from fretal_bench.datasets.faces.boxes import Face, FaceBox
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
    (face,) = prediction.faces
    (frame,) = face.frames
    assert prediction.score == face.score == frame.score
    assert prediction.decision == ("fake" if prediction.score >= 0.5 else "real")
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
    detector = FakeDetector(cell)
    averages = {"mean": np.mean, "median": np.median, "p95": lambda scores: np.quantile(scores, 0.95)}
    for name, average in averages.items():
        (prediction,) = predict(detector, [tmp_path / "clip.mp4"], Looking(frames=3, average=name))
        (face,) = prediction.faces
        assert 1 <= len(face.frames) <= 3
        assert prediction.score == pytest.approx(average([frame.score for frame in face.frames]))
    # Six frames, five a second.
    assert prediction.duration == pytest.approx(1.2, abs=0.01)
    assert prediction.seconds > 0


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
        (there,) = predict(FakeDetector(path, "cpu"), [photograph])
        assert there.faces == here.faces
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
    (there,) = predict(FakeDetector(copy, "cpu"), [photograph])
    assert there.faces == here.faces
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
    judged, unjudged = json.loads(out)["files"]
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
            assert prediction.faces[0].frames[0].box == pytest.approx(
                upright.faces[0].frames[0].box, abs=near
            ), path.name


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
    assert over_grey.faces == over_garbage.faces


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
    predictions = list(predict(in_service, files, Looking(limits=MediaLimits(max_megapixels=0.4))))
    assert [prediction.reason.partition(":")[0] for prediction in predictions] == [
        "it is HDR, and no tone mapping is done",
        "no face found in 2 frames; a picture that is a face crop already is judged with --detector none",
        "its picture is larger than the limit",
        "it is no regular file",
        "",
    ]
    assert "HLG" in predictions[0].reason


def test_two_equal_faces_are_noted_where_one_of_them_is_chosen(in_service, tmp_path):
    faces = [cv2.resize(people()[n].frames[0], (276, 336), interpolation=cv2.INTER_CUBIC) for n in (0, 14)]
    cv2.imwrite(str(tmp_path / "two.png"), np.hstack(faces))
    cv2.imwrite(str(tmp_path / "one.png"), faces[0])
    pictures = [tmp_path / "two.png", tmp_path / "one.png"]
    two, one = predict(in_service, pictures, Looking(of="main"))
    noted = "another face is as prominent as the chosen one"
    assert (noted in two.notes, noted in one.notes) == (True, False)
    assert noted not in next(predict(in_service, pictures)).notes


def test_a_limit_that_is_none_is_refused_by_its_option_before_anything_is_loaded(bench):
    code, out, err = bench("predict", "x.pt", "x.png", "--max-minutes", "0")
    assert (code, out) == (2, "")
    assert err == "bench: --max-minutes: expected a finite number above 0, found 0.0\n"


class PaintedFaces:
    """A face finder that sees every bright square, and a detector that takes red for fake."""

    name = "mtcnn"

    def detect(self, image):
        grey = image.max(2) > 100
        count, _, stats, _ = cv2.connectedComponentsWithStats(grey.astype(np.uint8))
        boxes = [stats[number][:4] for number in range(1, count)]
        return [Face(FaceBox(float(x), float(y), float(x + w), float(y + h)), 0.9) for x, y, w, h in boxes]


class RedIsFake:
    """P(fake) is the share of red in the middle of a crop."""

    def __init__(self, **use):
        self.use = Use("red", CropRule(32, 1.3), **use)
        self.batches = []

    def score(self, crops):
        self.batches.append(len(crops))
        middles = np.stack(crops)[:, 12:20, 12:20].astype(np.float64)
        return (middles[..., 0].mean((1, 2)) / 255).astype(np.float32)


@pytest.fixture
def painted(monkeypatch):
    monkeypatch.setattr("fretal_bench.benchmark.prediction.predict.open_detector", lambda *_: PaintedFaces())


def squares(path, *frames):
    """Write a clip; a frame is a list of (left, top, side, red)."""
    pictures = np.zeros((len(frames), 240, 320, 3), np.uint8)
    for picture, faces in zip(pictures, frames, strict=True):
        for left, top, side, red in faces:
            picture[top : top + side, left : left + side] = (red, 160, 160)
    return write_clip(path, pictures, codec="ffv1", pixels="bgr0", rate=5)


def test_faces_in_a_frame_are_kept_apart_as_tracks_and_the_highest_is_the_files(painted, tmp_path):
    # The left one is larger and moves; the right one is red.
    clip = squares(
        tmp_path / "two.mkv",
        *([(20 + 5 * n, 60, 80, 110), (200, 80, 60, 230)] for n in range(4)),
    )
    detector = RedIsFake()
    (highest,) = predict(detector, [clip], Looking(frames=4))
    (main,) = predict(detector, [clip], Looking(frames=4, of="main"))
    assert [len(face.frames) for face in highest.faces] == [4, 4]
    assert [face.score for face in highest.faces] == pytest.approx([230 / 255, 110 / 255], abs=0.01)
    assert highest.score == highest.faces[0].score
    assert highest.decision == "fake"
    assert {at.box[0] for at in highest.faces[0].frames} == {200}
    assert [at.box[0] for at in highest.faces[1].frames] == [20, 25, 30, 35]
    assert main.faces == highest.faces[::-1]
    assert (main.score, main.decision) == (main.faces[0].score, "real")


def test_small_and_brief_faces_are_left_out_and_counted(painted, tmp_path):
    steady = (20, 60, 80, 110)
    frames = [[steady] for _ in range(12)]
    # What a detector takes for a face once, and an inset.
    frames[5] = [steady, (220, 120, 70, 255)]
    for frame in frames:
        frame.append((280, 10, 24, 255))
    (judged,) = predict(RedIsFake(), [squares(tmp_path / "c.mkv", *frames)], Looking(frames=0))
    assert len(judged.faces) == 1
    assert judged.decision == "real"
    assert judged.notes == ("2 smaller or briefer faces were left out",)


def test_temperature_and_threshold_decide_and_the_average_is_of_what_they_make(painted, tmp_path):
    clip = squares(tmp_path / "c.mkv", [(20, 60, 80, 204)], [(20, 60, 80, 230)])
    (plain,) = predict(RedIsFake(), [clip])
    (cooled,) = predict(RedIsFake(temperature=2.0, threshold=0.8), [clip])
    raw = np.array([at.score for at in plain.faces[0].frames], np.float64)
    expected = 1 / (1 + np.sqrt((1 - raw) / raw))
    assert [at.score for at in cooled.faces[0].frames] == pytest.approx(list(expected), abs=1e-6)
    assert cooled.score == pytest.approx(expected.mean(), abs=1e-6)
    assert (plain.decision, cooled.decision) == ("fake", "real")


def test_certain_scores_stay_certain_at_any_temperature():
    scores = np.array([0.0, 0.5, 1.0], np.float32)
    assert tempered(scores, 3.0).tolist() == [0.0, 0.5, 1.0]
    assert tempered(scores, 1.0) is scores


def test_a_picture_that_was_cropped_tighter_than_the_rule_says_so_and_one_that_was_not_does_not(
    painted, tmp_path
):
    wide, tight = np.zeros((200, 200, 3), np.uint8), np.zeros((60, 60, 3), np.uint8)
    wide[50:110, 50:110] = tight[2:58, 2:58] = 200
    cv2.imwrite(str(tmp_path / "wide.png"), wide)
    cv2.imwrite(str(tmp_path / "tight.png"), tight)
    first, second = predict(RedIsFake(), [tmp_path / "wide.png", tmp_path / "tight.png"])
    assert first.notes == ()
    assert second.notes == ("cut off at 1.07 times the face box, not 1.3: was it cropped before?",)
    # It is taken as it is where the user says that it is a crop.
    (whole,) = predict(RedIsFake(), [tmp_path / "tight.png"], Looking(faces="none"))
    assert (whole.notes, whole.faces[0].frames[0].box) == ((), (0, 0, 60, 60))


def test_a_face_that_must_be_enlarged_a_lot_says_so(painted, tmp_path):
    image = np.zeros((200, 200, 3), np.uint8)
    image[50:60, 50:60] = 200
    cv2.imwrite(str(tmp_path / "small.png"), image)
    (judged,) = predict(RedIsFake(), [tmp_path / "small.png"])
    assert judged.notes == ("the face is small: 13 px enlarged to 32",)


def test_the_crops_of_a_long_video_are_never_all_in_memory(painted, tmp_path):
    clip = squares(tmp_path / "long.mkv", *([(20, 60, 80, 110), (200, 80, 60, 230)] for _ in range(100)))
    detector = RedIsFake()
    (judged,) = predict(detector, [clip], Looking(frames=0))
    assert [len(face.frames) for face in judged.faces] == [100, 100]
    assert sum(detector.batches) == 200
    assert max(detector.batches) <= 66


def test_the_thumbnail_is_of_the_frame_with_the_highest_score(painted, tmp_path):
    clip = squares(tmp_path / "c.mkv", *([(20, 60, 80, red)] for red in (110, 250, 130)))
    (judged,) = predict(RedIsFake(), [clip], Looking(thumbnails=True))
    picture = cv2.imdecode(np.frombuffer(judged.faces[0].thumbnail, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (32, 32, 3)
    assert picture[12:20, 12:20, 2].mean() == pytest.approx(250, abs=6)


def test_a_detector_whose_margin_is_not_known_judges_crops_alone(painted, tmp_path):
    image = np.full((60, 60, 3), 200, np.uint8)
    cv2.imwrite(str(tmp_path / "crop.png"), image)
    detector = RedIsFake()
    detector.use = Use("red", CropRule(32, 0.0))
    with pytest.raises(BenchError, match=r"whose margin is not known.*--detector none"):
        list(predict(detector, [tmp_path / "crop.png"]))
    (judged,) = predict(detector, [tmp_path / "crop.png"], Looking(faces="none"))
    assert judged.score == pytest.approx(200 / 255, abs=0.01)


@pytest.mark.parametrize(
    ("found_by", "faces", "told"),
    [
        ("mtcnn", "mtcnn", False),
        ("", "mtcnn", False),
        ("landmarks", "mtcnn", True),
        ("landmarks", "none", False),
    ],
)
def test_faces_that_are_found_by_other_means_than_in_training_are_told_of(found_by, faces, told):
    detector = RedIsFake()
    detector.use = Use("red", CropRule(32, 1.3, found_by))
    assert ("learned from crops by landmarks" in other_boxes(detector, Looking(faces=faces))) == told
