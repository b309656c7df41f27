"""A streamed split: the same batches as in memory, whatever reads them, and without what is damaged."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from rotnet_lib.data.augment import Augment
from rotnet_lib.data.damage import Damage
from rotnet_lib.data.decode import decode_all
from rotnet_lib.data.listing import Listing, list_images
from rotnet_lib.data.loader import Batch, Loader, ordered_batches
from rotnet_lib.data.split import Split
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.errors import RotnetError

CPU = torch.device("cpu")
KINDS: tuple[Augment, ...] = ("none", "pad-crop", "random-crop", "resized-crop")


def smooth(height: int, width: int, seed: int) -> Image.Image:
    """A picture without edges, which JPEG keeps well."""
    phase = np.random.default_rng(seed).uniform(0, 6, (3, 3))
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (5 + a) + y / (7 + b) + c) for a, b, c in phase]
    return Image.fromarray((128 + 90 * np.stack(waves, 2)).astype(np.uint8))


@pytest.fixture
def files(tmp_path: Path) -> Listing:
    """12 square JPEGs of 24 pixels in 3 classes, one of them grey, and a PNG."""
    for number in range(13):
        kind = tmp_path / "photos" / "abc"[number % 3]
        kind.mkdir(parents=True, exist_ok=True)
        image = smooth(24, 24, number).convert("L" if number == 5 else "RGB")
        image.save(kind / (f"{number:02}.png" if number == 12 else f"{number:02}.jpg"), quality=95)
    return list_images(tmp_path / "photos")


def damage_file(files: Listing, index: int) -> str:
    path = Path(files.path(index))
    path.write_bytes(path.read_bytes()[:300])
    return str(path)


def lenient(files: Listing) -> Damage:
    return Damage("the split", len(files), 0.5)


def same(first: list[Batch], second: list[Batch]) -> bool:
    return len(first) == len(second) and all(
        all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("images", "labels", "copies", "index"))
        for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_those_of_the_same_images_in_memory(kind: Augment, files: Listing) -> None:
    images, labels = decode_all(files, 24, lenient(files))
    memory = Split(torch.from_numpy(images), torch.from_numpy(labels), 20)
    streamed = StreamedSplit(files, 24, 20, workers=0)
    assert len(streamed) == len(memory) == 13
    for epoch in (0, 1):
        pairs = zip(
            Loader(memory, 4, seed=2, augment=kind, copies=2).epoch(epoch),
            Loader(streamed, 4, seed=2, augment=kind, copies=2).epoch(epoch),
            strict=True,
        )
        for ours, theirs in pairs:
            for name in ("labels", "copies", "index"):
                assert torch.equal(getattr(ours, name), getattr(theirs, name))
            assert theirs.images.is_contiguous(memory_format=torch.channels_last)
            assert (ours.images.int() - theirs.images.int()).abs().max() <= 2  # rounded at other places
            assert torch.equal(ours.randint(1000), theirs.randint(1000))
    assert torch.equal(memory.read([7, 0]), streamed.read([7, 0]))
    shown = [torch.cat([batch.images for batch in ordered_batches(split, 5)]) for split in (memory, streamed)]
    assert torch.equal(*shown)


@pytest.mark.parametrize(("height", "width"), [(40, 60), (61, 40), (20, 33), (24, 24)])
def test_the_middle_of_any_image_is_that_in_memory(height: int, width: int, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    smooth(height, width, 0).save(tmp_path / "a" / "0.jpg", quality=95)
    files = list_images(tmp_path)
    images, labels = decode_all(files, 24, lenient(files))
    memory = Split(torch.from_numpy(images), torch.from_numpy(labels), 19)
    streamed = StreamedSplit(files, 24, 19, workers=0).read([0])
    assert streamed.shape == (1, 3, 19, 19)
    assert (memory.read([0]).int() - streamed.int()).abs().max() <= 1


def test_random_crops_use_all_of_an_oblong_image(tmp_path: Path) -> None:
    """A white stripe at either end of the longer side, which the middle does not show."""
    (tmp_path / "a").mkdir()
    pixels = np.zeros((20, 100, 3), np.uint8)
    pixels[:, :4], pixels[:, -4:] = (255, 0, 0), (0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "a" / "0.png")
    split = StreamedSplit(list_images(tmp_path), 20, 16, workers=0)
    shown = next(Loader(split, 400, seed=0, augment="random-crop", epoch_images=400).epoch(0)).images
    assert shown[:, 0].eq(255).any()
    assert shown[:, 2].eq(255).any()
    assert split.read([0]).eq(0).all()


@pytest.mark.parametrize(("workers", "kind"), [(1, "resized-crop"), *((2, kind) for kind in KINDS)])
def test_the_number_of_workers_changes_nothing(workers: int, kind: Augment, files: Listing) -> None:
    damage_file(files, 4)
    # Complete at its end, so that only decoding shows the damage.
    path = Path(files.path(8))
    path.write_bytes(path.read_bytes()[:200] + b"\xff\xd9")
    splits = [StreamedSplit(files, 24, 20, workers=count, damage=lenient(files)) for count in (0, workers)]
    for share in ((0, 1), (1, 2)):
        assert same(*(list(Loader(split, 6, seed=1, augment=kind, share=share).epoch(2)) for split in splits))
    assert same(*(list(ordered_batches(split, 3)) for split in splits))
    assert splits[0].damaged == splits[1].damaged
    assert sorted(splits[0].damaged) == ["photos/a/12.png", "photos/b/10.jpg"]


def test_batches_that_are_held_on_to_stay_as_they_were(files: Listing) -> None:
    """More of them than there is memory to be used again."""
    splits = [StreamedSplit(files, 24, 20, workers=count) for count in (0, 1)]
    epochs = [list(Loader(split, 1, seed=1, augment="random-crop").epoch(0)) for split in splits]
    assert len(epochs[0]) == 13
    assert same(*epochs)


@pytest.mark.parametrize("end", ["closed", "interrupted"])
def test_stopping_early_leaves_no_process(end: str, files: Listing) -> None:
    split = StreamedSplit(files, 24, 20, workers=2)
    before = set(psutil.Process().children())  # another test may have left one
    for batches in (Loader(split, 2, seed=0, augment="random-crop").epoch(0), ordered_batches(split, 2)):
        next(batches)
        assert len(set(psutil.Process().children()) - before) == 2
        if end == "closed":
            batches.close()
        else:
            with pytest.raises(KeyboardInterrupt):
                batches.throw(KeyboardInterrupt)
        assert set(psutil.Process().children()) <= before


MEMORY = """
import pickle, sys
from contextlib import closing
import numpy as np
import psutil
from rotnet_lib.data.loader import Loader
from rotnet_lib.data.stream import StreamedSplit

with open(sys.argv[1], "rb") as file:
    files = pickle.load(file)
many = files.part(np.resize(np.arange(len(files)), 6000))
with closing(Loader(StreamedSplit(many, 24, 20, workers=1), 50, seed=0, augment="random-crop").epoch(0)) as batches:
    for number, _ in enumerate(batches):
        if number % 30 == 29:
            processes = [psutil.Process(), *psutil.Process().children()]
            print(sum(process.memory_full_info().uss for process in processes))
"""


@pytest.mark.slow
def test_memory_does_not_grow_over_an_epoch(files: Listing, tmp_path: Path) -> None:
    """In a process of its own: a fork of this one would copy, page by page, what other tests have left in memory."""
    (tmp_path / "files").write_bytes(pickle.dumps(files))
    printed = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "files")], capture_output=True, text=True, check=True
    )
    used = [int(line) for line in printed.stdout.split()]
    assert len(used) == 4
    assert used[-1] - used[0] < 3 * 2**20  # the 4 500 images between are 5 MiB as crops, and more as they were decoded


@pytest.mark.parametrize("kind", KINDS)
def test_processes_together_see_what_one_would(kind: Augment, files: Listing) -> None:
    split = StreamedSplit(files, 24, 20, workers=0)
    alone = list(Loader(split, 4, seed=3, augment=kind).epoch(1))
    shares = [list(Loader(split, 4, seed=3, augment=kind, share=(rank, 2)).epoch(1)) for rank in range(2)]
    for whole, parts in zip(alone, zip(*shares, strict=True), strict=True):
        for name in ("images", "labels", "index"):
            assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


def test_grey_batches_are_those_in_memory(files: Listing) -> None:
    streamed = StreamedSplit(files, 24, 20, workers=0, grey=True)
    images = next(ordered_batches(streamed)).images
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images[:, 0], images[:, 1])
    assert torch.equal(images[:, 0], images[:, 2])
    assert torch.equal(images, streamed.read(range(13)))
    colour = StreamedSplit(files, 24, 20, workers=0).read(range(13)).double()
    luminance = (colour * torch.tensor([0.299, 0.587, 0.114]).double().view(3, 1, 1)).sum(1)
    assert (images[:, 0] - luminance).abs().max() < 0.51


def test_a_part_keeps_images_with_their_labels(files: Listing) -> None:
    split = StreamedSplit(files, 24, 24, workers=0)
    part = split.first_per_class(2, files.classes)
    assert len(part) == 6
    assert part.labels.tolist() == [0, 1, 2, 0, 1, 2]
    places = [0, 5, 9, 1, 6, 10]
    assert torch.equal(part.read(range(6)), split.read(places))
    with pytest.raises(RotnetError, match="class 'b' has 4 images"):
        split.first_per_class(5, files.classes)


# --- Damage ---


def test_a_damaged_file_is_left_out_of_its_batch_and_named_once(files: Listing, capsys: pytest.CaptureFixture[str]) -> None:
    path = damage_file(files, 6)
    split = StreamedSplit(files, 24, 20, workers=0, damage=lenient(files))
    whole = StreamedSplit(files, 24, 20, workers=0)
    for _ in range(2):
        batches = list(ordered_batches(split, 5))
        assert [len(batch) for batch in batches] == [5, 4, 3]
        assert batches[1].index.tolist() == [5, 7, 8, 9]
        assert batches[1].labels.tolist() == files.labels[[5, 7, 8, 9]].tolist()
        assert torch.equal(batches[1].images, whole.read([5, 7, 8, 9]))
    assert split.damaged == ["photos/b/04.jpg"]
    said = capsys.readouterr().out
    assert said.count(path) == 1
    assert "1 so far, 6 may be" in said


def test_a_damaged_file_of_a_part_is_named_once_and_counted_anew(files: Listing) -> None:
    """As where statistics are taken of the whole before the first images of each class are."""
    damage_file(files, 0)
    split = StreamedSplit(files, 24, 20, workers=0, damage=Damage("the split", 13, 0.1))
    list(ordered_batches(split))
    part = split.first_per_class(4, files.classes)
    list(ordered_batches(part))
    assert part.damaged == ["photos/a/00.jpg"]
    with pytest.raises(RotnetError, match="1 of the 6 files"):
        list(ordered_batches(split.first_per_class(2, files.classes)))


def test_what_is_drawn_for_the_others_stays_when_a_file_is_damaged(files: Listing) -> None:
    for kind in KINDS:
        split = StreamedSplit(files, 24, 20, workers=0, damage=lenient(files))
        before = next(Loader(split, 13, seed=0, augment=kind).epoch(0))
        drawn = before.randint(1000)
        content = Path(files.path(6)).read_bytes()
        damage_file(files, 6)
        after = next(Loader(split, 13, seed=0, augment=kind).epoch(0))
        kept = before.index != 6
        assert torch.equal(after.index, before.index[kept])
        assert torch.equal(after.images, before.images[kept])
        assert torch.equal(after.randint(1000), drawn[kept])
        Path(files.path(6)).write_bytes(content)


def test_too_many_damaged_files_stop_the_run(files: Listing) -> None:
    paths = [damage_file(files, index) for index in (2, 3, 8)]
    split = StreamedSplit(files, 24, 20, workers=0, damage=Damage("the train split", 13, 0.2))
    with pytest.raises(RotnetError) as error:
        list(ordered_batches(split, 4))
    for part in (*paths, "3 of the 13 files of the train split", "23 %", "max_damaged 0.2 allows 2", "Replace or remove"):
        assert part in str(error.value)


def test_a_batch_of_nothing_but_damage_is_an_error(files: Listing) -> None:
    for index in range(4):
        damage_file(files, index)
    split = StreamedSplit(files, 24, 20, workers=0, damage=Damage("the train split", 13, 1.0))
    with pytest.raises(RotnetError, match="all 4 files of a batch of the train split are damaged"):
        next(ordered_batches(split, 4))


def test_a_damaged_image_that_is_asked_for_is_named(files: Listing) -> None:
    path = damage_file(files, 3)
    with pytest.raises(RotnetError, match=f"damaged image {path}"):
        StreamedSplit(files, 24, 20, workers=0, damage=lenient(files)).read([0, 3])


def test_a_split_that_is_moved_has_the_same_batches_and_damage(files: Listing) -> None:
    damage_file(files, 4)
    split = StreamedSplit(files, 24, 20, workers=0, damage=lenient(files))
    moved = split.to(CPU)
    assert same(list(ordered_batches(split)), list(ordered_batches(moved)))
    assert moved.damaged is split.damaged
