"""Files of newcomers: one makes a thing, and a mistake in one is a line that names it."""

import importlib
import os
import random
import re
from pathlib import Path

import numpy as np
import pytest
import test_corruptions
import test_models
import test_training
import torch
from command import PLUG_INS, RUN, cli, one_line
from toys import broken_off, curve, gone_on

import rethinking
from rethinking import catalog, constants, figures
from rethinking.engines.execute import execute
from rethinking.errors import InputError
from rethinking.figures.kit import declared
from rethinking.record import Runs
from rethinking.spec import Part, RunSpec
from rethinking.training import Training


@pytest.fixture
def listed(monkeypatch):
    """`rethinking list` where the plug-ins are those of one folder."""

    def call(folder):
        with monkeypatch.context() as patch:
            patch.setenv("RETHINKING_PLUGINS", str(folder))
            catalog._files.cache_clear()
            return one_line(cli("list"))

    yield call
    catalog._files.cache_clear()


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_every_constant_that_is_read_is_explained_where_plug_ins_are_told_to_look(kind):
    told = importlib.import_module(f"rethinking.{kind}").__doc__
    words = {*constants.NEEDED[kind], *constants.ALLOWED[kind]}
    words |= {"models": constants.PAPERS, "probes": constants.COLUMN}.get(kind, set())
    if kind == "figures":
        source = Path(declared.__file__).read_text("utf-8")
        words |= set(re.findall(r'(?:get|has)attr\(module, "(\w+)"', source)) | {"PANELS", "TABLE", "CLAIMS"}
        told += figures.kit.__doc__
    assert {word for word in words if not re.search(rf"\b{word}\b", told)} == set()
    page = (Path(__file__).parents[1] / "docs" / "plug-ins.md").read_text("utf-8")
    assert [word for word in constants.OPTION if f"`{word}`" not in page] == []


NEW = {
    "corruptions__inverted": '''"""Inverted: every pixel becomes its negative, a random half of them."""

import numpy as np

ACTS_ON = "pixels"
OPTIONS = {"half": {"type": "float", "ge": 0.0, "le": 1.0}}


def corrupt(image, label, generator, facts, *, half):
    return np.where(generator.random(image.shape) < half, 255 - image, image), label
''',
    "models__onelayer": '''"""One linear layer."""

from torch import nn


def build(num_classes=10, in_channels=3, image_size=28):
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size**2, num_classes))
''',
    "figures__newfig": '''"""A new figure."""

import matplotlib.pyplot as plt

MODELS = ["onelayer"]
SEEDS = {}
CAPTION = "New."
DEPARTURES = []


def runs(setting):
    from rethinking.spec import Part

    inverted = Part(name="inverted", options={"half": 0.5})
    return {"inverted": [setting.spec(0, data="toy", n=64, steps=4, eval_every=2, corruptions=(inverted,))]}


def draw(setting, records):
    figure, _ = plt.subplots()
    return figure, {}


def claims(setting):
    return []
''',
}


def test_a_new_thing_is_one_file_and_held_to_the_laws(found, toy, toy_dir, tmp_path):
    found(**NEW)
    listed = cli("list").stdout
    assert all(word in listed for word in ("inverted", "half in [0, 1]", "onelayer", "newfig"))
    where = ("--data-dir", toy_dir, "--runs", tmp_path / "runs", "--device", "cpu")
    done = cli("figure", "newfig", "--out", tmp_path, *where)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "newfig-quick.svg").exists()
    test_models.test_gives_logits_for_any_channels_and_classes_and_weights_of_the_seed_alone("onelayer")
    test_training.test_conditions_differ_in_one_thing(toy, "inverted")
    for split in ("train", "test"):
        test_training.test_prepared_images_against_a_slow_reference(toy, "inverted", split)
        test_corruptions.test_three_uses_agree_bit_for_bit("inverted", split)


DRAWS = '''"""Draws from the default generators of torch, Python and numpy: when made, in training and in evaluation."""

import os
import random

import numpy as np
import torch
from torch import nn

PAPER = {"learning_rate": 0.01}


class Draws(nn.Module):
    def __init__(self, classes, inputs):
        super().__init__()
        self.register_buffer("fixed", torch.randn(inputs))
        self.last = nn.Linear(inputs, classes)

    def forward(self, x):
        x = nn.functional.dropout(x.flatten(1) + 0.1 * self.fixed)
        return self.last(x) * (1 + random.random() + np.random.rand())


def build(num_classes=10, in_channels=3, image_size=28):
    return Draws(num_classes, in_channels * image_size**2)
'''


def moved(seed):
    torch.manual_seed(seed), random.seed(seed), np.random.seed(seed)  # noqa: NPY002
    return states()


def states():
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002


def test_what_draws_from_the_default_generators_is_determined_by_its_run(found, toy):
    """From its beginning or from any state, and the generators are left alone, also between two evaluations."""
    found(models__draws=DRAWS)
    run = RunSpec.make(data="toy", model="draws", n=80, batch_size=32, steps=20, eval_every=8)
    before = moved(0)
    first = curve(run, toy)
    assert states() == before
    moved(1)
    training, rows = broken_off(run, toy)
    training.train_step()
    moved(2)
    again = Training(run, toy)
    again.restore(training.state())
    before = moved(3)
    assert gone_on(again, rows) == first == curve(run, toy)
    assert states() == before
    assert curve(run.replace(seed=1), toy) != first


HEAD = """
from torch import nn

PAPER = {{"learning_rate": 0.01}}


class Net(nn.Module):
    def __init__(self, classes, inputs):
        super().__init__()
        {layers}

    def forward(self, x):
        return {forward}


def build(num_classes=10, in_channels=3, image_size=28):
    return Net(num_classes, in_channels * image_size**2)
"""
GELU = HEAD.format(
    layers="self.a, self.act, self.b = nn.Linear(inputs, 8), nn.GELU(), nn.Linear(8, classes)",
    forward="self.b(self.act(self.a(x.flatten(1))))",
)
TIED = HEAD.format(
    layers="self.a, self.b, self.c = nn.Linear(inputs, 8), nn.Linear(8, 8), nn.Linear(8, 8)\n"
    "        self.c.weight, self.d, self.e = self.b.weight, self.a, nn.Linear(8, classes)",
    forward="self.e(self.c(self.b(self.d(x.flatten(1)))))",
)
BACKWARDS = HEAD.format(
    layers="self.out, self.body = nn.Linear(8, classes), nn.Sequential(nn.Linear(inputs, 8), nn.ReLU())",
    forward="self.out(self.body(x.flatten(1)))",
)
SMALL = {"n": 40, "steps": 6, "eval_every": 3, "batch_size": 20, "device": "cpu", "progress": False}


@pytest.mark.parametrize("part", ["batch_norm", "layer_norm", "group_norm=4", "maxout", "backdrop=0.5"])
def test_a_network_that_a_regularizer_finds_nothing_in_is_refused(found, toy_dir, part):
    found(models__gelu=GELU)
    with pytest.raises(InputError, match=f"gelu calls no layers that {part.partition('=')[0]} acts on"):
        rethinking.experiment("toy", "gelu", regularizers=part, data_dir=toy_dir, **SMALL)


def test_tied_weights_and_a_layer_of_two_names_are_kept(found, toy_dir, tmp_path):
    found(models__tied=TIED)
    result = rethinking.experiment("toy", "tied", save=tmp_path, data_dir=toy_dir, **SMALL)
    network = rethinking.network(result.records[0], data_dir=toy_dir)
    for name, value in result.network.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)
    assert network.b.weight is network.c.weight
    file = result.records[0].path / "weights.safetensors"
    content = file.read_bytes()
    file.unlink()
    rethinking.network(result.records[0], data_dir=toy_dir)  # trained again, and kept again
    assert file.read_bytes() == content


def test_the_network_of_a_record_has_its_regularizers_where_training_had_them(found, toy, toy_dir, tmp_path):
    found(models__backwards=BACKWARDS)
    fields = SMALL | {"regularizers": "dropout=0.5,mode=weight_scaling"}
    result = rethinking.experiment("toy", "backwards", save=tmp_path, data_dir=toy_dir, **fields)
    network = rethinking.network(result.records[0], data_dir=toy_dir)
    trained = Training(result.records[0].spec, toy)
    trained.network.load_state_dict(network.state_dict())
    images = trained.test_images[:8]
    with torch.no_grad():
        assert torch.equal(network.eval()(images), trained.network.eval()(images))


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("models/alexnet.py", '"""Mine."""\n', "both hold the network 'alexnet'"),
        ("models/mlp.py", '"""Mine."""\nVARIANTS = {"mlp-2x64": {}}\n', "have one file name: rename one"),
        ("regularizers/mine.py", '"""Mine."""\nOPTIONS = 3\n', "mine.py: it has no constant NULL"),
        ("regularizer/mine.py", "", "did you mean 'regularizers'? rename it"),
        ("networks/mine.py", "", "mean 'models'"),
        ("mine.py", "", "is in no folder of its kind"),
        (None, "", "not a folder"),
    ],
)
def test_a_file_with_another_s_name_or_in_the_wrong_place_is_one_line(listed, tmp_path, file, text, message):
    if file:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    assert message in listed(tmp_path if file else tmp_path / "missing")


def test_a_figure_may_have_constants_that_another_kind_has(found):
    found(figures__mine='"""Mine."""\nMODELS = ["all"]\nSEEDS = {"quick": 1}\nSIZES = (1, 2)\n')
    assert "mine" in catalog.names("figures")


GOOD = """
OPTIONS = {"strength": {"type": "float", "ge": 0.0}}
NULL = {"strength": 0.0}
PRACTICE = {"strength": 0.1}
"""


def changed(old, new):
    assert old in GOOD
    return "regularizers", GOOD.replace(old, new)


HASHES = 'dict.fromkeys(["train_images"], "")'
DATA = f"""
SIZES = {{"train": 2, "test": 2}}
SHAPE = (28, 28, 1)
CLASSES = ["a"]
MEAN = VARIANCE = [1.0]
SHA256 = {HASHES}
"""

DIGESTS = "{'train_images': '', 'train_labels': '', 'test_images': '', 'test_labels': ''}"
LARGEST = DATA.replace(HASHES, DIGESTS).replace('["a"]', '["a", "b"]').replace("{", "{{").replace("}", "}}")
LARGEST += "LARGEST_CLASS = {}\n"


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("data", "", "it has no constant SIZES"),
        ("figures", 'MODELS = "all"', "MODELS is 'all', it must be a list of networks, or of 'all'"),
        ("figures", "SEEDS = dict(quick=1)", "SEEDS is no literal, and so cannot be read without"),
        (*changed('{"type": "float", "ge": 0.0}', '"float"'), "OPTIONS['strength'] has type none, allowed are float"),
        (*changed('"float"', '"real"'), "OPTIONS['strength'] has type 'real', allowed are float, int, bool, str"),
        (*changed('"ge"', '"min"'), "OPTIONS['strength'] has 'min', allowed are type, ge"),
        (*changed('"float", "ge"', '"str", "ge"'), "OPTIONS['strength'] has 'ge', which is of numbers alone"),
        (*changed('"ge": 0.0', '"default": "much"'), "has the default 'much', which is no float"),
        (*changed('"ge": 0.0', '"choices": "ab"'), "has the choices 'ab', which must be a list"),
        (*changed('"ge": 0.0', '"choices": [0.1, "b"]'), "has the choice 'b', which is no float"),
        (*changed('"ge": 0.0}', '"ge": 0.0}, "b": {"type": "int"}'), "NULL gives b no value"),
        (*changed('NULL = {"strength"', 'NULL = {"strenght"'), "NULL names 'strenght', which is not in OPTIONS"),
        (*changed('NULL = {"strength": 0.0}', "NULL = {}"), "NULL is empty: it must give at least"),
        (*changed('PRACTICE = {"strength": 0.1}', "PRACTICE = 0.1"), "PRACTICE is 0.1, it must be a dict"),
        (*changed("0.1}", "-1.0}"), "PRACTICE has strength -1.0, which OPTIONS does not allow"),
        (*changed("0.1}", "3 * 0.1}"), "PRACTICE is no literal, and so cannot be read without"),
        (*changed("NULL", "STRENGTHS = (0.2, 0.5)\nNULL"), "STRENGTHS is (0.2, 0.5), it must be values of 'strength'"),
        (*changed("NULL", 'FAMILY = "weight"\nNULL'), "FAMILY is 'weight', allowed are weights, units, normalization"),
        ("corruptions", 'ACTS_ON = "label"', "ACTS_ON is 'label', allowed are labels, pixels"),
        ("corruptions", 'ACTS_ON = "labels"\nSAME_AS = {"p": 0.0}', "it must be a list of (options, name or None)"),
        ("models", 'VARIANTS = {"mine": 3}', "VARIANTS['mine'] is 3, it must be a dict"),
        ("models", 'HAS = "convolutions"', "HAS is 'convolutions', it must be a list"),
        ("figures", 'MODELS = ["all"]\nSEEDS = {"quick": 0}', "SEEDS['quick'] is 0, it must be a number of seeds"),
        ("figures", 'SEEDS = {"quik": 2}', "SEEDS names 'quik', allowed are quick, cpu, paper"),
        ("figures", 'SEED = {"quick": 2}', "SEED is not read: did you mean SEEDS? if not, give it a name of its own"),
        ("models", 'PAPER = {"lr": 0.1}', "PAPER names 'lr', allowed are learning_rate, parameters"),
        ("models", 'PAPER = {"learning_rate": 0}', "PAPER has the learning_rate 0, it must be a number above 0"),
        ("models", 'PAPER = {"learning_rate": "0.1"}', "PAPER has the learning_rate '0.1', it must be a number above"),
        ("models", 'PAPER = {"parameters": {"mine": 0.5}}', "PAPER has the parameters {'mine': 0.5}, it must be their"),
        ("models", 'OPTIONS = {"a": {"type": "int", "late": True}}', "OPTIONS['a'] is late and has no default"),
        ("models", 'PAPERS = {"learning_rate": 0.1}', "PAPERS is not read: did you mean PAPER?"),
        ("corruptions", 'ACTS_ON = "labels"\nKEYEDBY = "seed"', "KEYEDBY is not read: did you mean KEYED_BY?"),
        ("corruptions", 'ACTS_ON = "labels"\nOPTION = dict(p=1)', "OPTION is not read: did you mean OPTIONS?"),
        (*changed("NULL =", "NULLS ="), "NULLS is not read: did you mean NULL?"),
        ("data", DATA, "SHA256 is no literal"),
        ("data", DATA.replace('"train":', '"training":').replace(HASHES, "{}"), "SIZES has training, test, it must"),
        ("data", DATA.replace(HASHES, "{}"), "SHA256 has , it must have train_images, train_labels"),
        ("data", LARGEST.format('{"train": 0.5, "test": 50.0}'), "it must be the share of the largest class in train"),
        ("data", LARGEST.format('{"train": 0.5, "test": 0.4}'), "it must be the share of the largest class in train"),
        (
            "data",
            DATA.replace("28, 1)", "28)").replace(HASHES, DIGESTS),
            "SHAPE is (28, 28), it must be (height, width,",
        ),
        ("data", LARGEST.format('{"train": 0.5}'), "LARGEST_CLASS is {'train': 0.5}, it must be the share"),
    ],
)
def test_a_plug_in_with_a_wrong_constant_is_one_line(tmp_path, kind, text, message):
    (tmp_path / "mine.py").write_text(f'"""Mine."""\n{text}\n')
    with pytest.raises(InputError) as caught:
        catalog._read(kind, tmp_path / "mine.py")
    assert "mine.py" in str(caught.value)
    assert message in str(caught.value)


def test_names_of_its_own_are_a_plug_ins_business(tmp_path):
    own = "ACTS_ON = 'labels'\nKEYS = [1]\nTABLE = {}\nOPTIMUM = 3\n_OPTIONS = 1\nPaper = 2\n"
    (tmp_path / "mine.py").write_text(f'"""Mine."""\n{own}')
    assert catalog._read("corruptions", tmp_path / "mine.py")
    (tmp_path / "both.py").write_text('"""Mine."""\nMODELS = ["mlp-1x512"]\nMODEL = MODELS[0]\n_SEEDS = {}\n')
    assert catalog._read("figures", tmp_path / "both.py")


def test_seeds_that_a_figure_does_not_name_are_the_usual_ones(found):
    text = (Path(__file__).parent / "plugins" / "figures" / "toyfig.py").read_text(encoding="utf-8")
    found(figures__few=text.replace(', "cpu": 2, "paper": 2', ""))
    assert [figures.setting("few", scale).seeds for scale in ("quick", "cpu", "paper")] == [2, 3, 3]


def constant(value):
    """A network's file with that as VARIANTS, which is in line 3."""
    return f'"""Mine."""\n\nVARIANTS = {value}\n'.encode("utf-8", "surrogatepass")


ODD = {
    "a list as key": (constant("{[]: 1}"), "unhashable type: 'list'"),
    "a dict in a set": (constant("{{}}"), "unhashable type: 'dict'"),
    "a set": (constant('{"mine": {"a": {1}}}'), "holds a value of type set"),
    "bytes": (constant("{'mine': {'a': b'x'}}"), "holds a value of type bytes"),
    "a complex number": (constant("{'mine': {'a': 1j}}"), "holds a value of type complex"),
    "an ellipsis": (constant("{'mine': {'a': ...}}"), "holds a value of type ellipsis"),
    "a number as key": (constant("{1: {}}"), "holds a key of type int"),
    "a pair as key": (constant("{(1, 2): {}}"), "holds a key of type tuple"),
    "65 bits": (constant("{'mine': {'a': 0x1" + 16 * "0" + "}}"), "holds a whole number of more than 64 bits"),
    "100,000 bits": (constant("{'mine': {'a': 0x" + 25_000 * "f" + "}}"), "a whole number of more than 64 bits"),
    "5,000 digits": (constant(5000 * "9"), "Exceeds the limit"),
    "infinity": (constant("{'mine': {'a': 1e999}}"), "holds a number that is not finite"),
    "long text": (constant(f"{{'mine': {{'a': {20_000 * 'x'!r}}}}}"), "holds text of 20,000 characters"),
    "half of a surrogate pair": (constant(r"{'mine': {'a': '\ud800'}}"), "holds half of a surrogate pair"),
    "lists in lists": (constant(f"{{'mine': {{'a': {50 * '['}{50 * ']'}}}}}"), "nested deeper than 20"),
    "brackets": (constant(5000 * "[" + 5000 * "]"), "too many nested parentheses"),
    "signs": (constant(100_000 * "-" + "1"), "cannot be read as Python|recursion"),
    "sums": (constant("1" + 50_000 * "+1"), "cannot be read as Python|recursion|is no literal"),
    "attributes": (constant("a" + 50_000 * ".a"), "cannot be read as Python|recursion|is no literal"),
    "2 MB": (constant("{}") + 2 * 10**6 * b"#", "larger than 1,000,000 bytes"),
    "no UTF-8": (b"\xff", "not text in UTF-8"),
    "a null": (b"\0", "null bytes"),
    "another encoding": (b"# coding: foo\nVARIANTS = {}\n", "unknown encoding"),
}


@pytest.mark.parametrize("name", ODD)
def test_a_constant_of_any_kind_is_one_line_with_the_file_and_its_line(tmp_path, name):
    content, message = ODD[name]
    (tmp_path / "mine.py").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        catalog._read("models", tmp_path / "mine.py")
    line = str(caught.value)
    assert line.startswith(f"{tmp_path}/mine.py")
    assert "\n" not in line
    assert ", line 3: " in line or "cannot be read" in line or name in ("a null", "another encoding")
    assert "None" not in line


CLAIMING = '''"""Mine."""
from rethinking.claims import Claim, Reading
from rethinking.spec import RunSpec

MODELS = ["all"]
SEEDS = {"quick": 1}
CAPTION = "Mine."
DEPARTURES = []


def runs(setting):
    return {"a": [RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2)]}


def draw(setting, records):
    import matplotlib.pyplot as plt

    return plt.figure(), {}


def claims(setting):
    return [Claim("mine", "me", "it holds", "none", "always", ("a",), lambda groups: Reading(True, "1", {}))]
'''


@pytest.fixture(scope="module")
def trained(toy_dir, tmp_path_factory):
    """The one run that the figure wants."""
    runs = Runs(tmp_path_factory.mktemp("runs"))
    assert execute(RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2), runs, data_dir=str(toy_dir))
    return runs


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    return {", "    return None and {", "runs of "),
        ('("a",)', '("b",)', "has the condition 'b', not one of runs"),
        ("return [Claim", "return None and [Claim", "TypeError: 'NoneType' object is not iterable"),
        ("Reading(True", "True or Reading(True", "AttributeError"),
        ("return plt.figure(), {}", "return plt.figure()", "TypeError"),
        ("return plt.figure(), {}", 'return plt.figure(), {"a": [float("nan")]}', "numbers that are no JSON"),
        ("plt.figure()", "plt.figures()", "line 18: AttributeError"),
        ("RunSpec.make", "RunSpec.mak", "line 12: AttributeError"),
        ("def draw", "def drawn", "has no draw: every figure needs one"),
        ("return plt.figure(), {}", 'return plt.figure(), {"table": [["a", 1]]}', "a table that is no list of dicts"),
    ],
)
def test_a_figure_with_a_mistake_is_one_line_and_draws_nothing(found, trained, tmp_path, old, new, message):
    assert old in CLAIMING
    found(figures__mine=CLAIMING.replace(old, new))
    line = one_line(cli("figure", "mine", "--runs", trained.root, "--out", tmp_path / "drawn", "--device", "cpu"))
    assert "mine.py" in line
    assert message in line
    assert not list((tmp_path / "drawn").glob("*"))


DTYPES = "mine gives some images as float64 and others as uint8: let it give one"
CORRUPT = "\n\n\ndef corrupt(image, label, generator, facts):\n    "
BUILD = "from torch import nn\n\n\ndef build(num_classes, in_channels, image_size):\n    return "


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("corruptions", f'ACTS_ON = "pixels"{CORRUPT}image[0] = 0\n', "mine.py, line 6: ValueError: assignment"),
        ("corruptions", f'ACTS_ON = "pixels"{CORRUPT}return image[:9], 0\n', "must give an image of the shape that it"),
        ("corruptions", f'ACTS_ON = "pixels"{CORRUPT}return image / (1 + image[0, 0, 0] % 2), label\n', None),
        ("corruptions", f'ACTS_ON = "pixels"{CORRUPT}return image if image.sum() % 2 else image / 2, label\n', DTYPES),
        ("corruptions", f'ACTS_ON = "labels"{CORRUPT}return image, label + 0.5\n', "gives the label"),
        ("corruptions", 'ACTS_ON = "labels"\n', "has no corrupt: every corruption needs one"),
        ("models", f"{BUILD}None\n", "mine.py gives NoneType, no torch Module: mend it"),
        ("models", f"{BUILD}nn.Sequential(nn.Flatten(), nn.Linear(3 * 28**2, 99))\n", "not 4 logits each"),
        ("regularizers", "return images", "batch of the regularizer mine must give images and labels, as many"),
        ("regularizers", "return images[:3], labels", "batch of the regularizer mine must give images and labels"),
        ("regularizers", "return images + much, labels", "mine.py, line 13: NameError: name 'much' is not defined"),
        ("regularizers", "return images, labels", None),
    ],
)
def test_a_run_with_a_mistaken_plug_in_is_one_line_and_leaves_nothing(found, toy_dir, tmp_path, kind, text, message):
    """By the command once of each kind; of one that is not mistaken a record is left."""
    text = REGULARIZER.replace("return images", text) if kind == "regularizers" else f'"""Mine."""\n{text}'
    found(**{f"{kind}__mine": text})
    options = {"strength": 0.5} if kind == "regularizers" else {}
    fields = {"model": "mine"} if kind == "models" else {"model": "tiny", kind: (Part(name="mine", options=options),)}
    runs = Runs(tmp_path / "runs")

    def trained():
        spec = RunSpec.make(data="toy", n=64, steps=4, eval_every=2, learning_rate=0.1, **fields)
        with catalog.blame():  # as a worker does
            return execute(spec, runs, data_dir=str(toy_dir))

    if message is None:
        assert trained()
        return
    with pytest.raises(InputError) as caught:
        trained()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    if "[:9]" in text or "None" in text or "much" in text:
        words = {"models": ("--model", "mine"), "corruptions": ("--corruption", "mine")}
        words = words.get(kind, ("--regularize", "mine=0.5"))
        done = cli(*RUN, *words, "--lr", "0.1", "--data-dir", toy_dir, "--runs", runs.root)
        assert message in one_line(done)
    assert not list(runs.root.glob("*"))


def test_planning_with_a_mistaken_network_is_one_line(found):
    text = "    return nn.Sequential(nn.Flatten(), nn.Linear(7, 10))\n"
    text = f'"""Mine."""\nfrom torch import nn\n\n\ndef build(*sizes):\n{text}'
    found(figures__mine=CLAIMING.replace('model="tiny"', 'model="mine", learning_rate=0.1'), models__mine=text)
    assert "mine.py does not take inputs of shape (3, 28, 28)" in one_line(cli("plan", "mine", "--device", "cpu"))


@pytest.mark.parametrize("both", [False, True])
def test_a_record_of_plug_ins_that_are_not_here_says_so(found, toy_dir, tmp_path, monkeypatch, both):
    found(corruptions__mine=f'"""Mine."""\nACTS_ON = "labels"{CORRUPT}return image, 0\n')
    found(regularizers__ours=REGULARIZER.replace("return images", "return images, labels"))
    more = {"regularizers": (Part(name="ours", options={"strength": 0.1}),)} if both else {}
    spec = RunSpec.make(data="toy", n=64, model="tiny", steps=2, corruptions=(Part(name="mine"),), **more)
    assert execute(spec, Runs(tmp_path / "runs"), data_dir=str(toy_dir))
    monkeypatch.setenv("RETHINKING_PLUGINS", str(PLUG_INS))
    catalog._files.cache_clear()
    line = one_line(cli("show", spec.run_id, "--runs", tmp_path / "runs"))
    one = "it was made with the plug-in corruptions/mine, which is not here: name its folder in"
    two = "with the plug-ins corruptions/mine and regularizers/ours, which are not here: name their folders in"
    assert (two if both else one) in line


def test_a_folder_of_plug_ins_that_is_named_twice_is_read_once(tmp_path, monkeypatch):
    """As a variable like PATH may be set; by whatever name."""
    (tmp_path / "again").symlink_to(PLUG_INS)
    monkeypatch.setenv("RETHINKING_PLUGINS", os.pathsep.join(map(str, [PLUG_INS, PLUG_INS, tmp_path / "again"])))
    catalog._files.cache_clear()
    assert {"tiny", "carrier"} <= {*catalog.names("models")}
    assert catalog.plugin_folders("models") == [str(PLUG_INS / "models")]


REGULARIZER = (
    '"""Mine."""\nfrom rethinking.regularizers import Base\n'
    + GOOD
    + """
class Regularizer(Base):
    def __init__(self, strength):
        pass

    def batch(self, images, labels, generator):
        return images
"""
)
