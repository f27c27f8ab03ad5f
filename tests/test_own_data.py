"""Own data sets: whatever can be added is measured right and verified ever after; the rest is refused in one line."""

import gzip
import hashlib
import io
import json
import os
import pickle
import random
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image
from small_images import IMAGES, LABELS, TINY

from rethinking import catalog, data
from rethinking.engines.execute import execute
from rethinking.errors import InputError
from rethinking.record import Runs
from rethinking.spec import RunSpec

CLASSES = ("ant", "bee", "cat")
NO_TEXT = os.fsdecode(b"b\xff")  # which a folder can be called

pytestmark = pytest.mark.usefixtures("home")


def image_folder(root, images=IMAGES, names=CLASSES, labels=LABELS, form="png"):
    for k, (image, label) in enumerate(zip(images, labels, strict=True)):
        (root / names[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(root / names[label] / f"{k:03}.{form}")
    return root


def idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    with (gzip.open if path.suffix == ".gz" else open)(path, "wb") as stream:
        stream.write(struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape))
        stream.write(array.astype(np.uint8).tobytes())


def batch(path, images, labels, protocol=2):
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    path.write_bytes(pickle.dumps({b"data": rows, b"labels": labels.tolist()}, protocol=protocol))


# --- layouts: each gives the same images, labels and measurements ---------------------------------


def folders(at):
    image_folder(at / "train")
    image_folder(at / "test", IMAGES[:9], labels=LABELS[:9])
    return at, {}


def folder_and_test(at):
    return image_folder(at / "a", form="bmp"), {"test": image_folder(at / "b", IMAGES[:9], labels=LABELS[:9])}


def keras(at):
    arrays = {"x_train": IMAGES, "y_train": LABELS[:, None], "x_test": IMAGES[:9], "y_test": LABELS[:9, None]}
    np.savez_compressed(at / "a.npz", **arrays)
    return at / "a.npz", {}


def channels_first(at):
    arrays = {"images": np.asfortranarray(IMAGES.transpose(0, 3, 1, 2)), "labels": np.array(CLASSES)[LABELS]}
    np.savez(at / "a.npz", **arrays)
    np.savez(at / "b.npz", images=IMAGES[:9].astype(np.int64), labels=np.array(CLASSES)[LABELS[:9]])
    return at / "a.npz", {"test": at / "b.npz"}


def npy_pair(at):
    for name, array in {"x": IMAGES, "y": LABELS, "tx": IMAGES[:9], "ty": LABELS[:9]}.items():
        np.save(at / f"{name}.npy", array)
    return at / "x.npy", {"labels": at / "y.npy", "test": at / "tx.npy", "test_labels": at / "ty.npy"}


def npy_folder(at):
    arrays = {"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES[:9], "test_labels": LABELS[:9]}
    for name, array in arrays.items():
        np.save(at / f"{name}.npy", array)
    return at, {}


def cifar_pickles(at):
    for k in range(5):
        batch(at / f"data_batch_{k + 1}", IMAGES[6 * k : 6 * k + 6], LABELS[6 * k : 6 * k + 6], protocol=2 + k % 2)
    batch(at / "test_batch", IMAGES[:9], LABELS[:9])
    (at / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CLASSES)}))
    return at, {}


def cifar_binary(at):
    rows = np.concatenate([LABELS[:, None], IMAGES.transpose(0, 3, 1, 2).reshape(30, -1)], axis=1).astype(np.uint8)
    (at / "data_batch_1.bin").write_bytes(rows.tobytes())
    (at / "test_batch.bin").write_bytes(rows[:9].tobytes())
    return at, {}


LAYOUTS = [folders, folder_and_test, keras, channels_first, npy_pair, npy_folder, cifar_pickles, cifar_binary]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_images_their_labels_and_their_measure(layout, tmp_path):
    path, options = layout(tmp_path)
    folder = data.add("mine", path, **options)
    assert data.check("mine") == folder
    loaded, constants = data.load("mine"), catalog.find("data", "mine").constants
    right = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}
    for split, count in ((loaded.train, 30), (loaded.test, 9)):
        assert split.images.shape == (count, 32, 32, 3)
        assert len({image.tobytes() for image in split.images}) == count
        assert [right[image.tobytes()] for image in split.images] == split.labels.tolist()
    official, draws = layout in (cifar_pickles, cifar_binary), np.random.default_rng(0)
    for split, count in ((loaded.train, 30), (loaded.test, 9)):  # the test set's order is drawn last
        by_class = layout in (folders, folder_and_test)
        found = IMAGES[np.argsort(LABELS[:count], kind="stable")] if by_class else IMAGES[:count]
        assert np.array_equal(split.images, found if official else found[draws.permutation(count)])
    named = layout in (folders, folder_and_test, channels_first, cifar_pickles)
    assert loaded.classes == (CLASSES if named else ("0", "1", "2"))
    pixels = IMAGES.reshape(-1, 3).astype(np.float64)
    assert np.allclose(loaded.facts.mean, pixels.mean(0))
    assert np.allclose(loaded.facts.variance, pixels.var(0))
    assert constants["LARGEST_CLASS"] == {"train": 1 / 3, "test": 1 / 3}
    assert "mine" in catalog.names("data")
    assert "30 training and 9 test images" in catalog.find("data", "mine").summary


def test_images_of_five_channels_are_a_torch_data_set_of_tensors(tmp_path):
    images = np.arange(30 * 4 * 4 * 5, dtype=np.uint8).reshape(30, 4, 4, 5)
    np.savez(tmp_path / "a.npz", x_train=images, y_train=LABELS, x_test=images[:9], y_test=LABELS[:9])
    data.add("mine", tmp_path / "a.npz", channels="last")
    assert data.torch_dataset("mine", image="tensor")[0][0].shape == (5, 4, 4)
    with pytest.raises(InputError, match="mine has images of 5 channels, as no PIL image: give image='tensor'"):
        data.torch_dataset("mine")


@pytest.mark.parametrize("end", ["", ".gz"])
def test_mnists_layout_and_grey_images(end, tmp_path, home):
    for split, count in (("train", 30), ("t10k", 9)):
        idx(tmp_path / f"raw/{split}-images-idx3-ubyte{end}", IMAGES[:count, ..., 0])
        idx(tmp_path / f"raw/{split}-labels-idx1-ubyte{end}", LABELS[:count])
    data.add("digits", tmp_path)
    assert np.array_equal(data.load("digits").train.images, IMAGES[..., :1])
    data.add("grey", image_folder(tmp_path / "grey", IMAGES[..., :1]), hold_out=0.2, size=16)
    assert data.load("grey").train.images.shape == (24, 16, 16, 1)
    assert set(data.load("grey").train.labels[:12].tolist()) == {0, 1, 2}  # an order drawn once, not by class
    assert data.remove("grey") == home / "grey"
    assert sorted(os.listdir(home)) == ["digits"]


def _with_val(at, kind):
    if kind == "folder":
        for split, count in (("train", 30), ("val", 6), ("test", 9)):
            image_folder(at / split, IMAGES[:count], labels=LABELS[:count])
        return at
    more = {"val_images": IMAGES[:6], "val_labels": LABELS[:6]}
    if kind == "single":
        more |= {"images": IMAGES[:5], "labels": LABELS[:5]}
    return _npz(at, **more)


@pytest.mark.parametrize(
    ("kind", "left"),
    [("folder", "val"), ("npz", "val_images, val_labels"), ("single", "val_images, val_labels, images, labels")],
)
def test_what_is_there_beside_a_training_and_a_test_set_is_said_to_be_left_out(kind, left, tmp_path):
    said = []
    data.add("mine", _with_val(tmp_path, kind), say=said.append)
    taken = "train, test" if kind == "folder" else "train_images, train_labels, test_images, test_labels"
    assert [line.partition(": ")[2] for line in said] == [f"{left} left out; taken: {taken}"]
    loaded = data.load("mine")
    assert (len(loaded.train.labels), len(loaded.test.labels)) == (30, 9)
    assert f"without {left}" in catalog.find("data", "mine").summary


def _parts(at, *names, classes=CLASSES):
    for name in names:
        image_folder(at / name, IMAGES[:9], labels=LABELS[:9], names=classes)
    return at


def _with_file(at, name, what):
    """A folder of images with one more file, of bytes, or a link."""
    place = image_folder(at) / name
    place.write_bytes(what) if isinstance(what, bytes) else place.symlink_to(what)
    return at


def _linked(at):
    image_folder(at)
    (at / "ant" / "more").symlink_to(at / "bee")
    return at


def _hidden(at):
    for name in (".ipynb_checkpoints", "more/.thumbnails"):  # copies, of which some would be on the other side
        (image_folder(at) / "ant" / name).mkdir(parents=True)
        Image.fromarray(IMAGES[0]).save(at / "ant" / name / "000.png")
    Image.fromarray(IMAGES[0]).save(at / "ant" / ".000.png")
    return at


def _loose(at):
    Image.fromarray(IMAGES[0]).save(image_folder(at) / "loose.png")
    return at


# What lies there; what of it is taken; what is said.
FOLDERS = {
    "a validation set alone": (
        lambda at: _parts(at, "Train", "Validation"),
        {},
        (9, 9),
        ["Validation is taken as the test set"],
    ),
    "more than sets": (
        lambda at: _parts(at, "train", "test", "unlabelled", "annotations"),
        {},
        (9, 9),
        ["annotations, unlabelled left out; taken: train, test"],
    ),
    "a class called train": (
        lambda at: image_folder(at, names=("bus", "car", "train")),
        {"hold_out": 0.2},
        (24, 6),
        [],
    ),
    "images of no class": (
        _loose,
        {"hold_out": 0.2},
        (24, 6),
        ["1 images that are in no folder of a class are left out"],
    ),
    "hidden images and folders within a class": (
        _hidden,
        {"hold_out": 0.2},
        (24, 6),
        ["3 images that are hidden, or in a hidden folder, are left out"],
    ),
    "a link to a folder within a class": (
        _linked,
        {"hold_out": 0.2},
        (24, 6),
        ["1 links to folders within a class are left out"],
    ),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_of_folders_what_is_taken_and_what_is_not_is_said(case, tmp_path):
    build, options, sizes, lines = FOLDERS[case]
    said = []
    data.add("mine", build(tmp_path), say=said.append, **options)
    loaded = data.load("mine")
    assert (len(loaded.train.labels), len(loaded.test.labels)) == sizes
    assert len(loaded.classes) == 3
    assert [line.partition(": ")[2] for line in said] == lines


@pytest.mark.parametrize(("counts", "line"), [((4, 4, 4), None), ((6, 4, 2), None), ((7, 4, 1), "bee 7, ant 4, cat 1")])
def test_classes_of_unlike_sizes_are_said(counts, line, tmp_path):
    """Where the largest has more than 1.5 equal shares of the test images, on which figures judge chance."""
    labels, said = np.repeat([1, 0, 2], counts), []
    image_folder(tmp_path / "train")
    image_folder(tmp_path / "test", IMAGES[:12], labels=labels)
    data.add("mine", tmp_path, say=said.append)
    assert [each.split("; ")[0] for each in said] == [f"mine: test images by class: {line}"] * bool(line)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["png", "tiff", "webp"])
def test_images_are_turned_as_their_exif_says(form, orientation, tmp_path):
    """By [tiff6] and EXIF: 2 to 4 mirrored, half a turn, flipped; 5 to 8 also with rows and columns exchanged."""
    stored = {  # of an image as it is seen
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: np.rot90,
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, 3),
    }[orientation]
    exif, images = Image.Exif(), IMAGES[:6, :20]
    exif[0x0112] = orientation
    for k, image in enumerate(images):
        (tmp_path / "a" / CLASSES[k % 3]).mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(np.ascontiguousarray(stored(image)))
        picture.save(tmp_path / "a" / CLASSES[k % 3] / f"{k}.{form}", exif=exif, lossless=True)
    said = []
    data.add("mine", tmp_path / "a", test=tmp_path / "a", say=said.append)
    loaded = data.load("mine")
    assert {image.tobytes() for image in loaded.train.images} == {image.tobytes() for image in images}
    assert all("6 images are turned upright, as their EXIF" in line for line in said)
    assert len(said) == (0 if orientation == 1 else 2)


MODES = {"1": 1, "L": 1, "LA": 1, "P": 3, "PA": 3, "RGB": 3, "CMYK": 3, "YCbCr": 3}


@pytest.mark.parametrize("mode", MODES)
def test_images_of_every_mode_are_bytes_of_grey_or_colour(mode, tmp_path):
    source = [Image.fromarray(image) for image in IMAGES]
    images = [(i.convert("P").convert(mode) if mode == "PA" else i.convert("L").convert(mode)) for i in source]
    for k, image in enumerate(images):
        (tmp_path / CLASSES[k % 3]).mkdir(exist_ok=True)
        image.save(tmp_path / CLASSES[k % 3] / f"{k}.tif")
    data.add("mine", tmp_path, hold_out=0.2)
    loaded = data.load("mine").train.images
    seen = {np.asarray(i.convert("L" if MODES[mode] == 1 else "RGB")).tobytes() for i in images}
    assert loaded.shape == (24, 32, 32, MODES[mode])
    assert {image.tobytes() for image in loaded} <= seen


@pytest.mark.parametrize("grey", ["training", "test"])
def test_grey_images_of_one_set_are_in_colour_where_those_of_the_other_are(grey, tmp_path):
    parts, said = {"training": tmp_path / "train", "test": tmp_path / "test"}, []
    for name, path in parts.items():
        image_folder(path, IMAGES[..., :1] if name == grey else IMAGES)
    data.add("mine", tmp_path, say=said.append)
    loaded = data.load("mine")
    assert loaded.train.images.shape == loaded.test.images.shape == (30, 32, 32, 3)
    for name, split in (("training", loaded.train), ("test", loaded.test)):
        right = np.repeat(IMAGES[..., :1], 3, axis=3) if name == grey else IMAGES
        assert {image.tobytes() for image in split.images} == {image.tobytes() for image in right}
    other = "test" if grey == "training" else "training"
    assert said == [f"the {grey} images are grey, and are kept in colour, as the {other} images are"]


# --- what cannot be added is refused in one line, and leaves nothing ------------------------------


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


def _npz(at, **arrays):
    given = {"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES[:9], "test_labels": LABELS[:9]}
    np.savez(at / "a.npz", **{name: array for name, array in (given | arrays).items() if array is not None})
    return at / "a.npz"


def _named(name):
    """Labels of which the first class has that name."""
    names = np.array([name, "bee", "cat"])
    return {"train_labels": names[LABELS], "test_labels": names[LABELS[:9]]}


def _bomb(at):
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (100000, 1000, 1000, 3), }"
    with zipfile.ZipFile(at / "b.npz", "w") as archive:
        for name in ("images", "labels"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    return at / "b.npz"


def _truncated(at):
    path = _npz(at)
    path.write_bytes(path.read_bytes()[:5000])
    return path


def _with(at, name, content=b"", image=None):
    """A good folder with another file in it."""
    image_folder(at / "a")
    place = at / "a" / name
    place.parent.mkdir(exist_ok=True)
    image.save(place) if image else place.write_bytes(content)
    return at / "a"


def _evil(at):
    cifar_pickles(at)
    (at / "data_batch_1").write_bytes(pickle.dumps({"data": Evil(), "labels": [1]}))
    return at


def _several(at):
    frames = [Image.fromarray(IMAGES[k]) for k in (0, 1)]
    image_folder(at / "a")
    frames[0].save(at / "a/ant/x.tif", save_all=True, append_images=frames[1:])
    return at / "a"


def _deep(at):
    """PNGs of 16 bits a channel, which Pillow reads as 8."""
    rows = zlib.compress((b"\0" + 3 * 32 * b"\x12\x34") * 32)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 16, 2, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts]
    return _with(at, "ant/x.png", b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def _deep_tiff(at):
    """A TIFF of 16 bits a channel, each channel by itself, of which Pillow reads half the bytes as values of 8 bits."""
    stream = io.BytesIO()
    Image.fromarray(IMAGES[0]).save(stream, "TIFF")
    content = stream.getvalue()
    for was, now in ((struct.pack("<3H", 8, 8, 8), struct.pack("<3H", 16, 16, 16)), (_planes(1), _planes(2))):
        assert content.count(was) == 1
        content = content.replace(was, now)
    return _with(at, "ant/x.tif", content)


def _planes(kind):
    """The entry of a TIFF that says how channels lie: 1, together; 2, each by itself."""
    return struct.pack("<HHII", 284, 3, 1, kind)


def _exif_behind(at):
    """An orientation behind the pixels, of which the header knows nothing."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.fromarray(IMAGES[0, :20]).save(stream, "PNG", exif=exif)
    chunks, content = [], stream.getvalue()
    place = 8
    while place < len(content):
        end = place + 12 + struct.unpack(">I", content[place : place + 4])[0]
        chunks.append(content[place:end])
        place = end
    chunks.sort(key=lambda chunk: [b"IHDR", b"IDAT", b"eXIf", b"IEND"].index(chunk[4:8]))
    image_folder(at / "a", IMAGES[:, :20])
    (at / "a" / "ant" / "x.png").write_bytes(content[:8] + b"".join(chunks))
    return at / "a"


def _of_mode(mode, value):
    return lambda at: _with(at, "ant/x.tif", image=Image.new(mode, (32, 32), value))


def _beside(at, name):
    (at / name).mkdir()
    Image.fromarray(IMAGES[0]).save(at / name / "x.png")
    return at


CLEAR = Image.new("RGBA", (32, 32))
BAD = {
    "is not there: name a folder": lambda at: at / "nothing",
    "is nothing that can be added": lambda at: _with(at, "x.txt", b"x") / "x.txt",
    "has no test set: name one with --test, or": lambda at: image_folder(at),
    "the training set has 1 class": lambda at: _npz(at, train_labels=LABELS * 0),
    "has 30 images, .* 29 labels": lambda at: _npz(at, train_labels=LABELS[1:]),
    "test label 7 at index 0 is of no class": lambda at: _npz(at, test_labels=LABELS[:9] + 7),
    "give one label an image": lambda at: _npz(at, train_labels=np.eye(3)[LABELS]),
    "is float64: give whole numbers or names": lambda at: _npz(at, train_labels=LABELS / 2),
    "it holds object, no plain numbers": lambda at: _npz(at, train_labels=np.array([Evil()] * 30)),
    "is float64: give bytes": lambda at: _npz(at, train_images=IMAGES / 255),
    "is uint16 from 0 to .*: give bytes": lambda at: _npz(at, train_images=IMAGES.astype(np.uint16) * 257),
    "channels may be first or last: give --channels": lambda at: _npz(at, train_images=IMAGES[:, :3]),
    r"is \(30, 3072\): give images": lambda at: _npz(at, train_images=IMAGES.reshape(30, -1)),
    "holds whatever: name the arrays train_images": lambda at: (np.savez(at / "c", whatever=1), at / "c.npz")[1],
    "labels.npy.*larger than|images.npy.*larger than": _bomb,
    "a.npz cannot be read": _truncated,
    "images differ in size": lambda at: _with(at, "ant/x.png", image=Image.new("RGB", (31, 32))),
    "x.png cannot be read": lambda at: _with(at, "ant/x.png", b"not a picture"),
    "pixels of mode I;16": lambda at: _with(at, "ant/x.png", image=Image.new("I;16", (32, 32))),
    "x.png has pixels of mode RGB and more than 8 bits": _deep,
    "x.tif has pixels of mode RGB and more than 8 bits": _deep_tiff,
    "x.ppm has pixels of mode RGB and more than 8 bits": lambda at: _with(
        at, "ant/x.ppm", b"P6 32 32 65535\n" + bytes(6 * 32 * 32)
    ),
    "y.ppm has pixels of mode RGB and more than 8 bits": lambda at: _with(
        at, "ant/y.ppm", b"P3 32 32 256\n" + 3 * 32 * 32 * b"256 "
    ),
    "pixels of mode I:": _of_mode("I", 70000),
    "pixels of mode F:": _of_mode("F", 0.5),
    "pixels of mode LAB:": _of_mode("LAB", 0),
    "images differ in size.*x.png 20 x 32": _exif_behind,
    "holds test, train, .*parts of a set: name the training folder": lambda at: _beside(_parts(at, "train"), "test"),
    "holds seg_test, seg_train, .*parts of a set": lambda at: _parts(at, "seg_train/x", "seg_test/x"),
    "holds test, val, .*parts of a set": lambda at: _parts(at, "val", "test"),
    "holds two arrays called images": lambda at: (np.savez(at / "c", images=IMAGES, Images=IMAGES), at / "c.npz")[1],
    "is int32 from -1 to .*: give bytes": lambda at: _npz(at, train_images=IMAGES.astype(np.int32) - 1),
    "is float32: give bytes": lambda at: _npz(at, train_images=IMAGES.astype(np.float32)),
    "has transparent pixels": lambda at: _with(at, "ant/x.png", image=CLEAR),
    "holds several pictures": _several,
    "dog holds no image": lambda at: _with(at, "dog/notes.txt"),
    "which is not opened": _evil,
    r"class '\\udcff' has no name of": lambda at: _npz(at, **_named("\udcff")),
    r"class '\\ud800' has no name of": lambda at: _npz(at, **_named("\ud800")),
    r"class 'a\\nb' has no name of": lambda at: _npz(at, **_named("a\nb")),
    "class 'x{40}' has no name of": lambda at: _npz(at, **_named(500 * "x")),
    "the labels are no text": lambda at: _npz(at, train_labels=np.full(30, -1, np.int32).view("<U1")),
    r"class 'b\\udcff' has no name of": lambda at: image_folder(at, names=("ant", NO_TEXT, "cat")),
    "holds test_images without test_labels: add": lambda at: _npz(at, test_labels=None),
    "holds train_labels without train_images: add": lambda at: _npz(at, train_images=None),
    r"bad\.png cannot be read \(no image, whatever its name\)": lambda at: _with_file(
        at, "ant/bad.png", b"\x89PNG\r\n"
    ),
    "gone.png is a link to what is not there: mend it": lambda at: _with_file(at, "ant/gone.png", at / "nowhere"),
    "images are 32 x 32 x 3 and 16 x 32 x 3: bring them to one size$": lambda at: _npz(at, test_images=IMAGES[:9, :16]),
    "images are 32 x 32 x 3 and 32 x 32 x 1: bring them to one number of channels$": lambda at: _npz(
        at, test_images=IMAGES[:9, ..., :1]
    ),
}


@pytest.mark.parametrize("line", BAD)
def test_what_cannot_be_added_is_refused_in_one_line_and_leaves_nothing(line, tmp_path, home, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = BAD[line](tmp_path)
    hold_out = 0.2 if path.is_dir() and "test" not in line and "opened" not in line else None
    with pytest.raises(InputError, match=line) as error:
        data.add("mine", path, hold_out=hold_out)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "evil").exists()
    assert not home.exists() or os.listdir(home) == []


def test_arguments_that_do_not_fit_what_is_there_are_refused(tmp_path):
    whole, alone = _parts(tmp_path / "a", "train", "test"), image_folder(tmp_path / "b")
    for path, options, line in (
        (alone, {"test": whole}, "--test names .*a, which has a training and a test set: name its test set alone"),
        (whole, {"test": alone}, "has a test set, and --test names another"),
        (alone, {"hold_out": 0.2, "channels": "first"}, "--channels is given, but a folder of images has them in a"),
    ):
        with pytest.raises(InputError, match=line):
            data.add("mine", path, **options)


def test_a_name_is_free_or_refused(tmp_path):
    path = _npz(tmp_path)
    data.add("mine", path)
    for name, line in {
        "mine": "mine exists, in",
        "again": "these are the images and labels of mine",
        "cifar10": "cifar10 is taken",
        "alexnet": "alexnet is taken",
        "3seeds": "is taken",
        "../x": "cannot name a data set",
        "my-set": "cannot name a data set",
    }.items():
        with pytest.raises(InputError, match=line):
            data.add(name, path)
    for name in ("cifar10", "nothing", "../data"):
        with pytest.raises(InputError, match="deletes what `data add` has added"):
            data.remove(name)


def test_a_changed_set_is_noticed(tmp_path, home):
    data.add("mine", _npz(tmp_path))
    spec, runs = RunSpec.make(data="mine", **TINY), Runs(tmp_path / "runs")
    execute(spec, runs)
    record = runs.find(spec)
    assert record.environment["plug_ins"] == {"data/mine": catalog.find("data", "mine").digest}
    file = home / "mine" / "train_images.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    for use in (data.load, data.check):
        with pytest.raises(InputError, match=r"train_images has SHA-256 .*`rethinking data remove mine`, then add it"):
            use("mine")
    data.remove("mine")
    with pytest.raises(InputError, match=r"data set mine, which is not here: add .*`rethinking data add mine PATH`"):
        runs.find(spec)
    data.add("mine", _npz(tmp_path, train_labels=np.roll(LABELS, 1)))
    with pytest.raises(InputError, match=r"was made with another version of the data set mine: .* add again the image"):
        runs.find(spec)
    (home / "mine" / catalog.DESCRIPTION).write_text('{"TEXT": "x", "SIZES": {"train": -1, "test": 1}}')
    with pytest.raises(InputError, match=r"description.json is damaged: remove mine with"):
        catalog.find("data", "mine")
    data.remove("mine")


ANOTHER = {
    "TEXT": "30 training and 9 test images; own, from somewhere else.",
    "SIZES": {"train": 29, "test": 9},
    "SHAPE": [32, 31, 3],
    "CLASSES": ["1", "0", "2"],
    "LARGEST_CLASS": {"train": 0.5, "test": 1 / 3},
    "MEAN": [127.0, 127.0, 127.0],
    "VARIANCE": [5000.0, 5000.0, 5000.0],
    "SHA256": dict.fromkeys(("train_images", "train_labels", "test_images", "test_labels"), "0" * 64),
    "CROP": 28,
    "DIGEST": "0" * 64,
}


@pytest.mark.parametrize("key", ANOTHER)
def test_a_description_whose_meaning_was_changed_is_refused_wherever_it_is_read(key, tmp_path, home):
    data.add("mine", _npz(tmp_path))
    file = home / "mine" / catalog.DESCRIPTION
    held = json.loads(file.read_text())
    assert held.keys() == ANOTHER.keys() - {"CROP"}
    file.write_text(json.dumps(held))  # the same, in another layout
    assert data.check("mine") == home / "mine"
    file.write_text(json.dumps(held | {key: ANOTHER[key]}))
    again = "remove mine with `rethinking data remove`, and add it again"
    for use in (data.load, data.check, data.facts, lambda name: RunSpec.make(data=name, **TINY)):
        with pytest.raises(InputError) as error:
            use("mine")
        assert str(error.value) == f"{file} was changed since it was written, by its own SHA-256: {again}"


def test_every_flipped_bit_of_a_description_is_refused_or_changes_nothing(tmp_path, home):
    data.add("mine", _npz(tmp_path))
    file = home / "mine" / catalog.DESCRIPTION
    whole, right, chance = file.read_bytes(), catalog.find("data", "mine").constants, random.Random(0)
    lines = []
    for _ in range(1000):
        at = chance.randrange(len(whole))
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :])
        try:
            held = catalog.find("data", "mine").constants
        except InputError as error:
            lines.append(str(error))
        else:
            assert repr(held) == repr(right)
    assert all("add it again" in line and "\n" not in line for line in lines)
    assert 900 < len(lines) < 1000  # the rest is space between words of JSON


def test_a_description_without_a_digest_is_refused_and_added_again_it_is_of_the_same_records(tmp_path, home):
    data.add("mine", _npz(tmp_path))
    file = home / "mine" / catalog.DESCRIPTION
    held = json.loads(file.read_text())
    before = json.dumps({k: v for k, v in held.items() if k != "DIGEST"}, indent=1, ensure_ascii=False) + "\n"
    file.write_text(before)  # as an earlier version wrote it, and kept the digest of it in records
    with pytest.raises(InputError, match=r"has no DIGEST, as of an earlier version, .*remove mine with .* add it"):
        data.load("mine")
    data.remove("mine")
    data.add("mine", _npz(tmp_path))
    assert catalog.find("data", "mine").digest == hashlib.sha256(before.encode()).hexdigest()[:12]
