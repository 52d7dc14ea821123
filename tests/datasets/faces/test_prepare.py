"""Preparing a data set: what is in the store, whose boxes are used, what is counted, and going on where it stopped."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import resource
import select
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from faces_support import face, grey_clip, turn
from fretal_bench import files
from fretal_bench.datasets.faces import groups
from fretal_bench.datasets.faces.boxes import FaceBox
from fretal_bench.datasets.faces.crops import as_jpeg, crop_face
from fretal_bench.datasets.faces.frames import VideoFile
from fretal_bench.datasets.faces.options import PrepareOptions
from fretal_bench.datasets.faces.prepare import prepare
from fretal_bench.datasets.ffpp_mini.build import clips
from fretal_bench.datasets.ffpp_mini.tree import make_mini
from fretal_bench.datasets.importers import ReadOptions
from fretal_bench.datasets.media.reasons import Reason
from fretal_bench.datasets.store.store import CropStore
from fretal_bench.errors import BenchError, RunError
from media_files import chunk, encoded, png_bomb, png_with, smooth, write_clip
from trees import Tree

REAL = "original_sequences/youtube/c23/videos"
FAKES = "manipulated_sequences/{}/c23/videos"


def options(**changes):
    return PrepareOptions(**{"frames": 10, "size": 32, "every": 1, **changes})


def bytes_of(store):
    return {path.name: path.read_bytes() for path in sorted(Path(store).glob("[!.]*"))}


def failures(store):
    return {(f["path"].rpartition("/")[2], f["frame"], f["reason"]) for f in store.info.failures}


def left_beside(path):
    return sorted(
        p.name
        for p in path.parent.iterdir()
        if p.name.startswith(f".{path.name}") and not p.name.endswith(".lock")
    )


@pytest.fixture
def small_units(monkeypatch):
    """A unit a group, so that there are parts to be killed between."""
    monkeypatch.setattr(groups, "_UNIT_FRAMES", 10)


@pytest.fixture(scope="module")
def undisturbed(mini, tmp_path_factory):
    """The tree prepared with MTCNN in one go: the result, and what progress was told."""
    calls = []
    out = tmp_path_factory.mktemp("undisturbed") / "deeper" / "store"
    return prepare(mini, out, options=options(), progress=lambda *t: calls.append(t)), calls


def test_a_tree_becomes_a_store_in_the_manifests_order_with_faces_in_the_middle(mini, undisturbed):
    prepared, calls = undisturbed
    store = CropStore.open(prepared.store.path)
    assert (len(store), store.size, prepared.videos, prepared.lost, prepared.failures) == (200, 32, 20, 0, [])
    assert calls == [(20, 20)]
    index = store.index
    assert index["frame"].tolist() == list(range(10)) * 20
    assert index["video"].drop_duplicates().tolist() == [
        *("000", "014", "028", "030"),
        *("000_014", "014_000", "028_030", "030_028"),
    ]
    assert index["method"].drop_duplicates().tolist() == [
        *("real", "Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
    ]
    assert set(zip(index["split"], index["target"], strict=True)) == {
        ("train", "000"),
        ("train", "014"),
        ("val", "028"),
        ("val", "030"),
    }
    assert store.info.detector == "mtcnn"
    assert store.info.margin == 1.3
    assert store.info.details["options"]["compression"] == "c23"
    assert left_beside(store.path) == []
    # The landmarks say where the face is; the crop should show it so.
    (clip,) = clips(["real"], [14])
    row = int(index[(index["video"] == "014")].index[3])
    low, high = clip.landmarks[3].min(0), clip.landmarks[3].max(0)
    image = next(VideoFile(mini / REAL / "014.mp4").read([3])).image
    expected = crop_face(image, FaceBox(*low, *high), 32, 1.3).astype(float)
    assert np.corrcoef(expected.ravel(), store.crops[row].ravel())[0, 1] > 0.6


def test_real_videos_are_looked_through_once_and_their_boxes_serve_all_their_fakes(mini, tmp_path, detector):
    prepared = prepare(mini, tmp_path / "store", options=options())
    assert detector.calls == 4 * 10
    assert prepared.boxes == {"own": 4, "shared": 16, "none": 0}
    store = prepared.store
    box = detector.answers[0][0].box
    for video, method in (("000", "real"), ("000_014", "FaceSwap")):
        path = mini / (REAL if method == "real" else FAKES.format(method)) / f"{video}.mp4"
        image = next(VideoFile(path).read([7])).image
        rows = store.index[(store.index["video"] == video) & (store.index["method"] == method)]
        assert np.array_equal(store.crops[rows.index[7]], crop_face(image, box, 32, 1.3))


def killed_at_rename(number, *call, **changes):
    """Run ``prepare`` in a process that is killed just before its rename ``number``; whether it came so far."""

    def run():
        plain, renames = files.move, itertools.count()

        def move(part, final):
            if next(renames) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            plain(part, final)

        files.move = move
        prepare(*call, **changes)

    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    child.join(120)
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode != 0


def test_killed_at_any_rename_and_started_again_it_ends_with_the_same_bytes(
    mini, tmp_path, small_units, detector
):
    asked = options(frames=2)
    prepare(mini, tmp_path / "whole" / "store", options=asked)
    for number in itertools.count():
        out = tmp_path / str(number) / "store"
        killed = killed_at_rename(number, mini, out, options=asked)
        finished = len(list(out.parent.glob(".store.work/*/[0-9]*.json")))
        assert out.exists() == (not killed)
        again = prepare(mini, out, options=asked)
        assert again.made == killed
        assert bytes_of(out) == bytes_of(tmp_path / "whole" / "store")
        assert left_beside(out) == []
        if not killed:
            break
        # Each part is two renames, and the store the last one.
        assert finished == number // 2
    assert number == 2 * 4 + 1


def test_workers_end_with_a_killed_run_and_two_others_go_on_to_the_same_bytes_as_one_process(
    mini, tmp_path, small_units, undisturbed
):
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from fretal_bench.datasets.faces import groups
        from fretal_bench.datasets.faces.options import PrepareOptions
        from fretal_bench.datasets.faces.prepare import prepare
        if __name__ == "__main__":
            groups._UNIT_FRAMES = 10
            options = PrepareOptions(frames=10, size=32, every=1)
            say = lambda *_: print("a part", flush=True)
            prepare(Path(sys.argv[1]), Path(sys.argv[2]), options=options, jobs=2, progress=say)
        """
    )
    (tmp_path / "run.py").write_text(script)
    out = tmp_path / "store"
    command = [sys.executable, str(tmp_path / "run.py"), str(mini), str(out)]
    run = subprocess.Popen(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True
    )
    limit = threading.Timer(120, run.kill)
    limit.start()
    assert run.stdout.readline() == "a part\n"
    limit.cancel()
    workers = [os.pidfd_open(worker) for worker in children(run.pid)]
    run.kill()
    run.communicate(timeout=60)
    assert workers
    for worker in workers:
        # A process that has ended is ready to be read.
        assert select.select([worker], [], [], 60)[0] == [worker]
        os.close(worker)
    assert list(tmp_path.glob(".store.work/*/[0-9]*.json"))
    prepare(mini, out, options=options(), jobs=2)
    assert bytes_of(out) == bytes_of(undisturbed[0].store.path)


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_of_two_at_once_one_makes_the_store_and_the_other_waits_for_it(mini, tmp_path, detector):
    out = tmp_path / "store"
    fork = multiprocessing.get_context("fork")
    at_work, go_on = fork.Event(), fork.Event()

    def make():
        plain = detector.detect

        def detect(image):
            at_work.set()
            assert go_on.wait(60)
            return plain(image)

        detector.detect = detect
        prepare(mini, out, options=options())

    other = fork.Process(target=make)
    other.start()
    assert at_work.wait(60)
    waited = []
    prepared = prepare(mini, out, options=options(), waiting=lambda: (waited.append(1), go_on.set()))
    other.join(60)
    assert other.exitcode == 0
    assert waited == [1]
    assert not prepared.made
    assert len(CropStore.open(out)) == 200
    assert detector.calls == 0


def test_other_options_do_not_mix_with_what_was_finished_before(mini, tmp_path, small_units, detector):
    class Stop(Exception):
        pass

    def stop(done, total):
        if done > 10:
            raise Stop

    with pytest.raises(Stop):
        prepare(mini, tmp_path / "store", options=options(), progress=stop)
    assert list(tmp_path.glob(".store.work/*/[0-9]*.json"))
    prepare(mini, tmp_path / "store", options=options(margin=1.5))
    prepare(mini, tmp_path / "fresh" / "store", options=options(margin=1.5))
    assert bytes_of(tmp_path / "store") == bytes_of(tmp_path / "fresh" / "store")
    with pytest.raises(
        BenchError, match=r"is there already, made from other files or options \(margin 1.5 there, 1.3 now"
    ):
        prepare(mini, tmp_path / "store", options=options())


@pytest.mark.parametrize(
    ("key", "value"),
    [("failures", [{"path": "x"}]), ("failures", [{"path": "x", "frame": 0, "reason": "odd"}])],
)
def test_a_store_whose_failures_were_tampered_with_is_one_line(mini, tmp_path, detector, key, value):
    store = prepare(mini, tmp_path / "store", options=options()).store
    info = json.loads((store.path / "store.json").read_text())
    (store.path / "store.json").write_text(json.dumps({**info, key: value}))
    with pytest.raises(BenchError, match=r"store\.json: .*") as caught:
        prepare(mini, tmp_path / "store", options=options())
    assert "\n" not in str(caught.value)


def test_a_video_replaced_between_two_runs_is_prepared_anew_and_the_others_are_not(
    tree, tmp_path, small_units, detector
):
    broken = tree / REAL / "014.mp4"
    good = broken.read_bytes()
    broken.write_bytes(b"")

    def stop(done, total):
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(tree, tmp_path / "store", options=options(), progress=stop)
    broken.write_bytes(good)
    detector.seen.clear()
    prepared = prepare(tree, tmp_path / "store", options=options())
    assert detector.calls == 10
    assert prepared.boxes == {"own": 4, "shared": 16, "none": 0}
    assert prepared.failures == []


def gap():
    """Answers for ten frames of which 1, 2 and 9 show no face, then a face for ever."""
    script = [[face(40 + 2 * n, 40, 100)] for n in range(10)]
    for place in (1, 2, 9):
        script[place] = []
    return [*script, [face(40, 40, 100)]]


@pytest.mark.parametrize(
    ("way", "kept", "lost"), [("interpolate", 9, {9}), ("skip", 7, {1, 2, 9}), ("centre", 10, set())]
)
def test_frames_without_a_face_are_interpolated_centred_or_skipped_and_counted(
    mini, tmp_path, detector, way, kept, lost
):
    detector.answers = gap()
    prepared = prepare(mini, tmp_path / "store", options=options(on_missing=way))
    rows = prepared.store.index[prepared.store.index["video"] == "000"]
    assert len(rows) == kept
    assert set(range(10)) - set(rows["frame"]) == lost
    counted = [f for f in prepared.store.info.failures if f["path"].endswith("/000.mp4")]
    assert {f["frame"] for f in counted} == lost
    assert {f["reason"] for f in counted} <= {"no face found"}
    # The fakes share the track, so they lose the same frames.
    assert len(prepared.store.index[prepared.store.index["video"] == "000_014"]) == 4 * kept
    image = {frame.number: frame.image for frame in VideoFile(mini / REAL / "000.mp4").read(range(10))}
    crops = {int(f): prepared.store.crops[r] for r, f in zip(rows.index, rows["frame"], strict=True)}
    assert np.array_equal(crops[5], crop_face(image[5], face(50, 40, 100).box, 32, 1.3))
    if way == "interpolate":
        assert np.array_equal(crops[2], crop_face(image[2], face(44, 40, 100).box, 32, 1.3))
    if way == "centre":
        assert np.array_equal(crops[2], crop_face(image[2], FaceBox(0, 20, 184, 204), 32, 1.0))


def test_a_missing_face_stops_the_run_if_that_is_wanted_and_names_video_and_frame(mini, tmp_path, detector):
    detector.answers = gap()
    with pytest.raises(RunError, match=r"/000\.mp4, frame 1: no face found; .*--on-missing interpolate"):
        prepare(mini, tmp_path / "store", options=options(on_missing="error"))
    assert not (tmp_path / "store").exists()


def test_a_video_without_any_face_is_counted_once_and_its_fakes_too(mini, tmp_path, detector):
    detector.answers = [[]] * 10 + [[face(40, 40, 100)]]
    prepared = prepare(mini, tmp_path / "store", options=options())
    assert len(prepared.store) == 150
    (count,) = prepared.failures
    assert (count.reason, count.videos, count.frames) == ("no face found", 5, 0)
    assert prepared.lost == 5
    detector.answers = [[]]
    with pytest.raises(RunError, match="not one face could be cut out; mostly: no face found"):
        prepare(mini, tmp_path / "none", options=options())


def test_broken_and_vanished_videos_are_counted_with_their_reason_and_stop_nothing(
    tree, tmp_path, detector, monkeypatch
):
    from fretal_bench.datasets.faces import prepare as module

    (tree / FAKES.format("FaceSwap") / "000_014.mp4").write_bytes(b"")
    cut = tree / FAKES.format("Deepfakes") / "014_000.mp4"
    cut.write_bytes(cut.read_bytes()[:-300])
    (tree / FAKES.format("Face2Face") / "notes.txt").write_text("mine")
    (tree / FAKES.format("Face2Face") / "xyz.mp4").write_bytes(b"")
    plain = module.read_dataset

    def read_then_lose(*args):
        read = plain(*args)
        (tree / FAKES.format("NeuralTextures") / "028_030.mp4").unlink()
        return read

    monkeypatch.setattr(module, "read_dataset", read_then_lose)
    prepared = prepare(tree, tmp_path / "store", options=options(frames=12))
    assert len(prepared.store) == 170
    assert prepared.lost == 3
    lost = failures(prepared.store)
    assert ("028_030.mp4", -1, "the file is missing") in lost
    assert {name for name, _, reason in lost if reason.startswith("it cannot be decoded: ")} == {
        "000_014.mp4",
        "014_000.mp4",
    }
    assert {name for name, _, reason in lost if reason.startswith("left out when the data set was read")} == {
        "notes.txt",
        "xyz.mp4",
    }
    short = [
        f for f in prepared.store.info.failures if f["reason"] == "fewer frames than asked for: 10 of 12"
    ]
    assert len(short) == 17
    assert {c.reason: c.videos for c in prepared.failures} == {
        "the file is missing": 1,
        "it cannot be decoded": 2,
        "fewer frames than asked for": 17,
        "left out when the data set was read": 2,
    }
    assert str(tree) not in (prepared.store.path / "store.json").read_text()


def test_fakes_of_a_real_video_that_cannot_be_read_or_used_are_looked_through_themselves(
    tree, tmp_path, detector
):
    (tree / REAL / "000.mp4").write_bytes(b"")
    (tree / REAL / "014.mp4").unlink()
    # A fake of other proportions, and one that is longer than its original.
    wide, long = (tree / FAKES.format(m) / "028_030.mp4" for m in ("Deepfakes", "FaceSwap"))
    (clip,) = clips(["Deepfakes"], [28])
    grey_clip(wide, clip.frames[:, 40:140])
    grey_clip(long, np.concatenate([clip.frames] * 2))
    prepared = prepare(tree, tmp_path / "store", options=options())
    assert prepared.boxes == {"own": 4 + 4 + 2 + 2, "shared": 2 + 4, "none": 0}
    assert detector.calls == 12 * 10


def test_a_smaller_copy_of_the_same_scene_takes_the_boxes_scaled(tree, tmp_path, detector):
    path = tree / FAKES.format("Deepfakes") / "028_030.mp4"
    (clip,) = clips(["Deepfakes"], [28])
    grey_clip(
        path, np.stack([cv2.resize(frame, (92, 112), interpolation=cv2.INTER_AREA) for frame in clip.frames])
    )
    prepared = prepare(tree, tmp_path / "store", options=options())
    assert prepared.boxes["shared"] == 16
    index = prepared.store.index
    row = index[(index["method"] == "Deepfakes") & (index["video"] == "028_030")].index[0]
    image = next(VideoFile(path).read([0])).image
    assert np.array_equal(prepared.store.crops[row], crop_face(image, face(20, 20, 70).box, 32, 1.3))


def test_an_original_that_is_shown_turned_shares_its_boxes_with_fakes_that_are_coded_upright(
    tree, tmp_path, detector
):
    (clip,) = clips(["real"], [28])
    turn(grey_clip(tree / REAL / "028.mp4", np.rot90(clip.frames, axes=(1, 2))), 90)
    prepared = prepare(tree, tmp_path / "store", options=options())
    assert prepared.boxes == {"own": 4, "shared": 16, "none": 0}
    index = prepared.store.index
    row = index[(index["method"] == "FaceSwap") & (index["video"] == "028_030")].index[0]
    image = next(VideoFile(tree / FAKES.format("FaceSwap") / "028_030.mp4").read([0])).image
    assert np.array_equal(prepared.store.crops[row], crop_face(image, detector.answers[0][0].box, 32, 1.3))


def test_a_shorter_fake_gets_the_boxes_of_its_own_frames(tree, tmp_path, detector):
    path = tree / FAKES.format("FaceSwap") / "028_030.mp4"
    (clip,) = clips(["FaceSwap"], [28])
    grey_clip(path, clip.frames[:7])
    prepared = prepare(tree, tmp_path / "store", options=options(frames=2))
    # 2 and 7 of ten frames, 1 and 5 of seven.
    assert detector.calls == 3 * 2 + 4
    index = prepared.store.index
    assert index[(index["method"] == "FaceSwap") & (index["video"] == "028_030")]["frame"].tolist() == [1, 5]
    assert index[index["video"] == "028"]["frame"].tolist() == [2, 7]


def test_with_two_people_in_the_picture_the_masked_one_is_cut_out_of_fake_and_real(tmp_path):
    root = tmp_path / "ffpp"
    make_mini(root, ["c23"], [0, 14])
    for file in root.glob("manipulated_sequences/*/*/videos/*"):
        if file.name != "000_014.mp4" or "Deepfakes" not in str(file):
            file.unlink()
    left, right = clips(["real"], [0, 14])
    wide = np.full((10, 240, 480), 90, np.uint8)
    wide[:, 8:232, 16:200], wide[:, 8:232, 264:448] = left.frames, right.frames
    grey_clip(root / REAL / "000.mp4", wide)
    grey_clip(root / FAKES.format("Deepfakes") / "000_014.mp4", wide)
    for side, columns in (("left", slice(50, 150)), ("right", slice(300, 400))):
        mask = np.zeros_like(wide)
        mask[:, 80:180, columns] = 255
        grey_clip(root / "manipulated_sequences/Deepfakes/masks/videos/000_014.mp4", mask)
        store = prepare(root, tmp_path / side, options=options(frames=3, size=64)).store
        for video in ("000", "000_014"):
            row = store.index[store.index["video"] == video].index[0]
            scores = [
                cv2.matchTemplate(part, cv2.resize(store.crops[row], (120, 120)), cv2.TM_CCOEFF_NORMED).max()
                for part in (np.dstack([wide[1][:, :240]] * 3), np.dstack([wide[1][:, 240:]] * 3))
            ]
            assert (scores[0] > scores[1]) == (side == "left"), (side, video, scores)


def test_the_jpeg_copy_is_the_same_crops_reencoded_and_called_so(mini, tmp_path, detector):
    high = prepare(mini, tmp_path / "high", options=options()).store
    low = prepare(mini, tmp_path / "low", options=options(jpeg=25)).store
    assert set(low.index["compression"]) == {"jpeg25"}
    assert low.index.drop(columns="compression").equals(high.index.drop(columns="compression"))
    assert all(np.array_equal(low.crops[n], as_jpeg(np.array(high.crops[n]), 25)) for n in range(0, 200, 23))


def test_images_that_are_cropped_already_need_no_detector_and_keep_their_labels(tmp_path):
    tree = Tree(tmp_path / "sets")
    for split in ("train", "val", "test"):
        for kind, level in (("real", 40), ("fake", 200)):
            for n in range(3):
                path = tmp_path / "sets" / "one" / split / kind / f"{n}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), np.full((40, 60, 3), level + n, np.uint8))
    tree.data("one/test/fake/2.png", b"broken")
    prepared = prepare(tmp_path / "sets", tmp_path / "store", options=PrepareOptions(size=16))
    assert prepared.store.info.detector == "none"
    assert prepared.boxes == {"own": 0, "shared": 0, "none": 17}
    assert ((np.array(prepared.store.crops)[:, 8, 8, 0] >= 200) == (prepared.store.index["label"] == 1)).all()
    assert [(c.reason, c.videos, c.frames) for c in prepared.failures] == [("it cannot be decoded", 1, 0)]


def test_members_of_archives_are_read_without_unpacking_the_rest(tmp_path):
    tree = Tree(tmp_path / "wild")
    for split in ("train", "test"):
        for kind in ("real", "fake"):
            tree.tar(f"{kind}_{split}/1.tar.gz", *(f"1/{kind}/7/{n}.png" for n in range(6)))
    prepared = prepare(tmp_path / "wild", tmp_path / "store", options=PrepareOptions(size=8, frames=3))
    assert len(prepared.store) == 12
    assert prepared.store.index["frame"].tolist() == [1, 3, 5] * 4
    # trees.png makes each member as bright as its place.
    assert np.array(prepared.store.crops)[:, 4, 4, 0].tolist() == [1, 3, 5] * 4
    assert not list(tmp_path.glob(".store.work"))
    archive = tmp_path / "wild" / "fake_test" / "1.tar.gz"
    assert archive.exists()


def test_memory_stays_flat_however_many_videos_there_are(tmp_path):
    (clip,) = clips(["real"], [0])
    first = grey_clip(tmp_path / "clip.mp4", clip.frames)
    peaks = []
    for videos in (4, 40):
        root = tmp_path / f"set{videos}"
        for n in range(videos):
            video = root / "original_sequences/youtube/c23/videos" / f"{n:03d}.mp4"
            video.parent.mkdir(parents=True, exist_ok=True)
            os.link(first, video)
        pairs = [[f"{n:03d}", f"{n + 1:03d}"] for n in range(0, videos, 2)]
        for split in ("train", "val", "test"):
            Tree(root).json(f"splits/{split}.json", pairs if split == "train" else [])
        script = (
            "import sys; from pathlib import Path\n"
            "from fretal_bench.datasets.faces.prepare import prepare\n"
            "from fretal_bench.datasets.faces.options import PrepareOptions\n"
            "options = PrepareOptions(frames=10, size=224, detector='none')\n"
            "prepare(Path(sys.argv[1]), Path(sys.argv[2]), options=options)\n"
            "assert 'torch' not in sys.modules\n"
            # Not ru_maxrss, which begins at what the parent had.
            "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
        )
        command = [sys.executable, "-c", script, str(root), str(tmp_path / f"store{videos}")]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    # The crops of the larger set alone are 60 MB.
    assert peaks[1] < 1.1 * peaks[0], peaks


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": -1}, "--frames: expected a whole number of at least 0, found -1"),
        ({"size": 4}, "--size: expected a whole number of at least 8, found 4"),
        ({"every": 0}, "--detect-every: expected a whole number of at least 1, found 0"),
        ({"margin": 0.5}, "--margin: expected a finite number in [1, 4], found 0.5"),
        ({"margin": float("nan")}, "--margin: expected a finite number in [1, 4], found nan"),
        ({"jpeg": 50}, "--jpeg: expected one of 25, found 50"),
        (
            {"detector": "mtcn"},
            "--detector: expected one of 'mtcnn', 'yunet', 'none' (did you mean 'mtcnn'?)",
        ),
        ({"on_missing": "center"}, "(did you mean 'centre'?), found 'center'"),
        ({"compression": "c32"}, "--compression: expected one of 'raw', "),
        ({"compression": "c40"}, "nothing at compression 'c40'; it holds c23"),
        ({"detector": "yunet"}, "--detector-model: expected YuNet's model file"),
        (
            {"detector_model": Path("m.onnx")},
            "--detector-model: expected no model, or --detector yunet with it",
        ),
    ],
)
def test_a_bad_option_is_one_line_that_names_it_and_what_to_do(mini, tmp_path, changes, message):
    with pytest.raises(BenchError) as caught:
        prepare(mini, tmp_path / "store", options=options(**changes))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_where_the_store_may_not_be_is_said_before_any_work(mini, tmp_path):
    with pytest.raises(BenchError, match="the store would be inside the data set; give an --out outside"):
        prepare(mini, mini / "store", options=options())
    (tmp_path / "full").mkdir()
    with pytest.raises(BenchError, match="is not a crop store"):
        prepare(mini, tmp_path / "full", options=options())
    with pytest.raises(BenchError, match="--jobs 0"):
        prepare(mini, tmp_path / "store", options=options(), jobs=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="cannot be written"):
        prepare(mini, tmp_path / "file" / "store", options=options())


def test_several_compressions_want_one_named(tmp_path):
    make_mini(tmp_path / "ffpp", ["c23", "c40"], [0, 14])
    with pytest.raises(BenchError, match=r"holds c23, c40; name one, e\.g\. --compression c23"):
        prepare(tmp_path / "ffpp", tmp_path / "store")
    split = ReadOptions(splits="identity", fractions={"train": 0.5, "test": 0.5})
    prepared = prepare(
        tmp_path / "ffpp", tmp_path / "store", options=options(compression="c40"), read_options=split
    )
    assert set(prepared.store.index["compression"]) == {"c40"}
    assert set(prepared.store.info.details["identity_split"]["assignment"]) == {"ffpp/000", "ffpp/014"}


def test_a_killed_worker_ends_the_run_with_one_line(mini, tmp_path, small_units):
    def kill_one(*_):
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    with pytest.raises(RunError, match=r"killed from outside .*run the same command again"):
        prepare(mini, tmp_path / "store", options=options(detector="none"), jobs=2, progress=kill_one)
    for worker in multiprocessing.active_children():
        worker.join(60)
    assert multiprocessing.active_children() == []


def test_what_is_beyond_a_limit_deep_or_no_file_is_counted_with_its_reason(tmp_path, capfd):
    tree = Tree(tmp_path / "set")
    rows = ["path,label,split"]

    def add(name):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows.append(f"{name},{len(rows) % 2},train")
        return path

    noise = np.random.default_rng(0).integers(0, 255, (3, 48, 64, 3), dtype=np.uint8)
    write_clip(add("good.mp4"), noise)
    write_clip(add("deep.mp4"), noise, pixels="yuv420p10le")
    write_clip(add("long.mp4"), np.zeros((12, 16, 16, 3), np.uint8))
    add("bomb.png").write_bytes(png_bomb(500, 400))
    add("good.png").write_bytes(encoded(smooth(40, 60), "PNG"))
    jpeg = encoded(smooth(200, 300), "JPEG")
    add("cut.jpg").write_bytes(jpeg[: len(jpeg) // 2] + b"\xff\xd9")
    odd = chunk(b"eXIf", b"Exif\x00\x00")
    add("odd.png").write_bytes(png_with(encoded(smooth(40, 60), "PNG"), odd))
    tree.text("list.csv", "\n".join(rows) + "\n")
    pipe = add("pipe.png")
    os.mkfifo(pipe)
    limits = {"max_megapixels": 0.1, "max_frames": 11}
    prepared = prepare(
        tmp_path / "set" / "list.csv",
        tmp_path / "store",
        options=PrepareOptions(size=16, detector="none", **limits),
    )
    assert len(prepared.store) == 3 + 2
    assert {(count.reason, count.videos, count.example) for count in prepared.failures} == {
        (Reason.TOO_LARGE.value, 1, "bomb.png"),
        (Reason.TOO_LONG.value, 1, "long.mp4"),
        (Reason.UNDECODABLE.value, 1, "cut.jpg"),
        (Reason.DEEP.value, 1, "deep.mp4"),
        (Reason.LEFT_OUT.value, 1, "pipe.png"),
        (Reason.SHORT.value, 1, "good.mp4"),
    }
    assert prepared.store.info.details["packages"].keys() == {"av", "opencv-python-headless", "pillow"}
    assert capfd.readouterr().err == ""


def limited_to(size, *call, **changes):
    """Run ``prepare`` in a process in which no file can grow beyond so many bytes; what it raised, as text."""

    def run(pipe):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        try:
            prepare(*call, **changes)
            pipe.send(None)
        except Exception as error:
            pipe.send((type(error).__name__, str(error)))

    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=run, args=(sender,))
    child.start()
    sender.close()
    try:
        return receiver.recv()
    finally:
        child.join(120)
        assert child.exitcode == 0


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_disk_that_is_full_at_any_write_is_one_line_and_the_next_run_ends_with_the_same_bytes(
    mini, tmp_path, small_units, jobs
):
    changes = {"options": options(detector="none"), "jobs": jobs}
    whole = prepare(mini, tmp_path / "whole" / "store", **changes).store
    largest = max(path.stat().st_size for path in Path(whole.path).iterdir())
    sizes = [0, 1, 3000, 8192, 8193, 30_000, 31_000, largest - 1, largest] if jobs == 1 else [8192]
    for size in sizes:
        raised = limited_to(size, mini, tmp_path / "store", **changes)
        if raised is None:
            break
        kind, words = raised
        assert kind == "RunError", words
        assert "no space left" in words
        assert "run the same command again" in words
        assert "\n" not in words
    assert (raised is None) == (jobs == 1), "the last size is enough"
    prepare(mini, tmp_path / "store", **changes)
    assert bytes_of(tmp_path / "store") == bytes_of(whole.path)
    assert left_beside(tmp_path / "store") == []


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(mini, tmp_path, small_units, detector, monkeypatch):
    plain, renames = files.move, itertools.count()

    def full(part, final):
        if next(renames) == 2:
            raise OSError(28, "No space left on device")
        plain(part, final)

    monkeypatch.setattr(files, "move", full)
    with pytest.raises(RunError, match=r"no space left .* free some and run the same command again"):
        prepare(mini, tmp_path / "store", options=options())
    assert [len(list(tmp_path.glob(f".store.work/*/{name}"))) for name in ("[0-9]*.json", ".*")] == [1, 0]
    monkeypatch.setattr(files, "move", plain)
    prepared = prepare(mini, tmp_path / "store", options=options())
    assert len(prepared.store) == 200
    assert json.loads((tmp_path / "store" / "store.json").read_text())["failures"] == []
