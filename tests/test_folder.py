"""A folder of images that is read lazily: its order, its labels, its memory, and what is wrong with it in one line."""

import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from rethinking import data
from rethinking.data import _lazy
from rethinking.errors import InputError

RNG = np.random.default_rng(3)
PIXELS = RNG.integers(0, 256, (12, 9, 7, 3), dtype=np.uint8)


def written(root, split="train", classes=("b", "a", "c"), each=2, suffix=".png"):
    """A split of a folder: `each` images a class, those of class number k PIXELS[each * k:]."""
    for k, name in enumerate(sorted(classes)):
        (root / split / name).mkdir(parents=True, exist_ok=True)
        for i in range(each):
            Image.fromarray(PIXELS[each * k + i]).save(root / split / name / f"{i:03}{suffix}")
    return root


def test_images_and_labels_are_in_the_order_of_their_names(tmp_path):
    found = data.folder(written(tmp_path), "train")
    assert (len(found), found.classes, found.labels.tolist()) == (6, ["a", "b", "c"], [0, 0, 1, 1, 2, 2])
    assert found.labels.dtype == np.int64
    assert [found.path(i).relative_to(tmp_path).as_posix() for i in (0, 3, -1)] == [
        "train/a/000.png", "train/b/001.png", "train/c/001.png",
    ]  # fmt: skip
    for i, (image, label) in enumerate(found):
        assert (image.mode, label) == ("RGB", found.labels[i])
        assert np.array_equal(np.asarray(image), PIXELS[i])
    tensors = data.folder(tmp_path, image="tensor", transform=lambda image: image.float())
    assert np.array_equal(tensors[4][0].numpy(), PIXELS[4].transpose(2, 0, 1))
    assert data.folder(tmp_path, size=5)[0][0].size == (5, 5)
    with pytest.raises(IndexError):
        found[6]


def test_the_digest_is_that_of_the_list_of_names_and_labels(tmp_path):
    found = data.folder(written(tmp_path / "one"), "train")
    lines = [f"{name}/{i:03}.png\t{k}\n" for k, name in enumerate("abc") for i in range(2)]
    assert found.digest == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert data.folder(written(tmp_path / "two"), "train").digest == found.digest  # wherever it lies
    os.rename(tmp_path / "two/train/c/001.png", tmp_path / "two/train/c/002.png")
    assert data.folder(tmp_path / "two").digest != found.digest


def test_folders_within_a_class_links_and_hidden_files(tmp_path):
    root = written(tmp_path)
    (root / "train/a/more").mkdir()
    os.rename(root / "train/a/001.png", root / "train/a/more/001.png")
    os.symlink(root / "train/b/000.png", root / "train/a/z.png")
    (root / "train/.DS_Store").touch()
    (root / "train/a/.hidden.png").touch()
    found = data.folder(root)
    assert [found.path(i).relative_to(root / "train/a").as_posix() for i in range(3)] == [
        "000.png", "more/001.png", "z.png",
    ]  # fmt: skip
    assert np.array_equal(np.asarray(found[1][0]), PIXELS[1])


def test_it_is_read_by_the_workers_of_a_loader_and_pickled(tmp_path):
    found = pickle.loads(pickle.dumps(data.folder(written(tmp_path), image="tensor")))
    images, labels = next(iter(DataLoader(found, batch_size=6, num_workers=1)))
    assert (tuple(images.shape), labels.tolist()) == ((6, 3, 9, 7), found.labels.tolist())


def test_opening_asks_of_no_file_more_than_its_name(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "1.JPEG").touch()  # nothing that could be read
    asked = []
    monkeypatch.setattr(os, "stat", lambda path, *_, was=os.stat, **__: asked.append(str(path)) or was(path, *_, **__))
    monkeypatch.setattr(_lazy, "one_image", lambda *_: pytest.fail("an image is opened"))
    assert len(data.folder(tmp_path)) == 2
    assert not [path for path in asked if path.endswith("JPEG")]


def test_a_list_of_a_million_names_takes_little_memory():
    """1.3 million names of ILSVRC's form take what is said of them, of which 2 GiB is far above."""
    named = ((f"n{k:08}", [f"n{k:08}_{i}.JPEG" for i in range(1300)]) for k in range(1000))
    listing = _lazy.Listing(named)
    assert len(listing) == 1_300_000
    size = len("n01440764_10026.JPEG") + 8 + 8  # the name, where it ends, the label
    assert 0.9 * size < listing.nbytes / len(listing) < size
    page = (Path(__file__).parents[1] / "docs" / "own-data.md").read_text("utf-8")
    assert all(f"some {size} bytes an image" in text for text in (page, data.folder.__doc__, _lazy.__doc__))
    assert f"{size} bytes an image: {round(size * 1.281167)} MB for ImageNet" in page
    assert len(pickle.dumps(listing)) < 1.1 * listing.nbytes  # nothing else is held
    assert [listing[i] for i in (0, 1299, 1300, 1_299_999)] == [
        "n00000000/n00000000_0.JPEG", "n00000000/n00000000_1299.JPEG", "n00000001/n00000001_0.JPEG",
        "n00000999/n00000999_1299.JPEG",
    ]  # fmt: skip


# --- what is wrong, in one line -------------------------------------------------------------------


def no_train(root):
    os.rename(root / "train", root / "other")


def flat(root):
    Image.fromarray(PIXELS[0]).save(root / "val" / "ILSVRC2012_val_00000001.JPEG")


def notes_among_classes(root):
    (root / "train/notes.txt").touch()


def no_classes(root):
    for split in ("train", "val"):
        os.rename(root / split, root / "was")
        (root / split).mkdir()
        os.rename(root / "was", root / f"was_{split}")


def missing_in_val(root):
    os.rename(root / "val/b", root / "moved")


def missing_in_train(root):
    (root / "val/d").mkdir()


def empty_class(root):
    for split in ("train", "val"):
        (root / split / "d").mkdir()
    Image.fromarray(PIXELS[0]).save(root / "train/d/0.png")


def no_image_format(root):
    (root / "val/b/list.csv").touch()


def link_to_itself(root):
    (root / "val/b/loop").symlink_to("loop")


def link_upwards(root):
    (root / "val/b/loop").symlink_to("..", target_is_directory=True)


WRONG = {
    link_to_itself: r"val/b/loop cannot be looked at \(.*: mend it or take it away",
    link_upwards: r"loop cannot be looked at \(.*: mend it or take it away",
    no_train: "has no folder train: name a folder that holds train/CLASS",
    flat: "val/ILSVRC2012_val_00000001.JPEG is in no folder of a class: put it",
    notes_among_classes: "notes.txt is in no folder of a class: take it away",
    no_classes: "train has no folders of classes: name a folder",
    missing_in_val: "val has no class b, which train has: give both the same",
    missing_in_train: "train has no class d, which val has: give both the same",
    empty_class: r"d holds no image \(",
    no_image_format: r"list.csv is of no image format \(",
}


@pytest.mark.parametrize("make", WRONG)
def test_another_layout_is_refused_in_one_line_when_it_is_opened(make, tmp_path):
    written(tmp_path), written(tmp_path, "val")
    assert len(data.folder(tmp_path, "val")) == 6
    make(tmp_path)
    with pytest.raises(InputError, match=WRONG[make]):
        data.folder(tmp_path, "val")


def cut_off(file):
    file.write_bytes(file.read_bytes()[:60])


def text(file):
    file.write_text("no image")


def sixteen_bits(file):
    Image.fromarray(np.full((4, 4), 700, np.uint16)).save(file)


def transparent(file):
    Image.fromarray(np.zeros((4, 4, 4), np.uint8)).save(file)


def gone(file):
    file.unlink()


@pytest.mark.parametrize("harm", [cut_off, text, sixteen_bits, transparent, gone])
def test_an_unreadable_image_is_named_when_it_is_read(harm, tmp_path):
    found = data.folder(written(tmp_path))
    harm(tmp_path / "train/b/000.png")
    assert found[1][1] == 0
    with pytest.raises(InputError, match=r"train/b/000.png .*: mend it or take it away"):
        found[2]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"split": "dev"}, "split is 'dev': give train, val or test"),
        ({"split": 3}, "split is 3: give text"),
        ({"of": "cifar10"}, "of is 'cifar10': give imagenet, or leave it out"),
        ({"image": "array"}, "image is 'array': give 'pil' or 'tensor'"),
        ({"size": 0}, "size is 0: give a whole number, 1 or more"),
        ({"transform": 3}, "transform is 3: give a function"),
    ],
)
def test_arguments_are_refused_in_one_line(given, line, tmp_path):
    with pytest.raises(InputError, match=line):
        data.folder(written(tmp_path), **given)


def test_a_list_of_imagenet_is_held_to_its_counts_and_names(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="train/a is no class of ILSVRC 2012, as n01440764: bring"):
        data.folder(written(tmp_path / "odd"), of="imagenet")
    root = written(tmp_path / "few", classes=("n00000001", "n00000002"))
    with pytest.raises(InputError, match="train has 2 classes, ILSVRC 2012 1,000: complete it"):
        data.folder(root, of="imagenet")
    small = _lazy.Known("ILSVRC 2012", 2, r"n\d{8}", {"train": 5, "val": 4})
    monkeypatch.setitem(_lazy.KNOWN, "imagenet", small)
    with pytest.raises(InputError, match="train has 4 images, ILSVRC 2012 5: complete it"):
        data.folder(root, of="imagenet")
    assert len(data.folder(written(root, "val", ("n00000001", "n00000002")), "val", of="imagenet")) == 4


@pytest.mark.parametrize("of", [None, "imagenet"])
def test_of_a_phone_s_jpeg_of_several_pictures_the_first_is_the_photograph(of, tmp_path, monkeypatch):
    root = written(tmp_path, "train", ("n00000001", "n00000002"), suffix=".jpg")
    monkeypatch.setitem(_lazy.KNOWN, "imagenet", _lazy.Known("two classes", 2, r"n\d{8}", {"train": 4}))
    right = [np.asarray(image) for image, _ in data.folder(root, of=of)]
    file, (first, second), exif = root / "train/n00000001/000.jpg", map(Image.fromarray, PIXELS[:2]), Image.Exif()
    exif[0x0112] = 6
    first.save(file, "MPO", save_all=True, append_images=[second], exif=exif)
    with Image.open(file) as found:
        assert (found.format, found.n_frames) == ("MPO", 2)
    image = np.asarray(data.folder(root, of=of)[0][0])
    assert np.array_equal(image, right[0] if of else np.rot90(right[0], -1))


def test_images_of_imagenet_are_taken_as_they_are_stored(tmp_path, monkeypatch):
    """As torchvision's ImageFolder reads them; of an own folder some are turned, transparent ones refused."""
    root = written(tmp_path, "train", ("n00000001", "n00000002"))
    folder = root / "train" / "n00000001"
    (clear, turned) = sorted(folder.iterdir())
    pixels = np.arange(4 * 6 * 4, dtype=np.uint8).reshape(4, 6, 4)
    Image.fromarray(pixels, "RGBA").save(clear)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels[:, :, :3].copy()).save(turned, exif=exif)
    monkeypatch.setitem(_lazy.KNOWN, "imagenet", _lazy.Known("two classes", 2, r"n\d{8}", {"train": 4}))
    official, own = (data.folder(root, of=of, image="tensor") for of in ("imagenet", None))
    theirs = ImageFolder(str(root / "train"))
    for i in (0, 1):
        assert np.array_equal(official[i][0].permute(1, 2, 0), np.array(theirs[i][0]))
        assert np.array_equal(official[i][0].permute(1, 2, 0), pixels[:, :, :3])
    assert own[1][0].shape == (3, 6, 4)
    with pytest.raises(InputError, match="transparent pixels"):
        own[0]
    clear.write_bytes(b"")
    with pytest.raises(InputError, match=r"cannot be read .*: put the original file back"):  # none may be missing
        official[0]
