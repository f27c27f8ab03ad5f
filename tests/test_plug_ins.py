"""Files of newcomers: one makes a thing, and a mistake in one is a line that names it."""

import os
import subprocess
import sys

import pytest
from command import PLUG_INS, RUN, cli, one_line, plug_in

from rethinking import catalog
from rethinking.errors import InputError

NEW = {
    "corruptions/inverted.py": '''"""Inverted: every pixel becomes its negative, a random half of them."""

import numpy as np

ACTS_ON = "pixels"
OPTIONS = {"half": {"type": "float", "ge": 0.0, "le": 1.0}}


def corrupt(image, label, generator, facts, *, half):
    return np.where(generator.random(image.shape) < half, 255 - image, image), label
''',
    "models/onelayer.py": '''"""One linear layer."""

from torch import nn


def build(num_classes=10, in_channels=3, image_size=28):
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size**2, num_classes))
''',
    "figures/newfig.py": '''"""A new figure."""

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


def test_a_new_thing_is_one_file(toy_dir, tmp_path):
    for name, text in NEW.items():
        file = tmp_path / "mine" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    here = PLUG_INS.parent
    env = {"RETHINKING_PLUGINS": os.pathsep.join([str(PLUG_INS), str(tmp_path / "mine")])}
    listed = cli("list", **env).stdout
    assert "inverted" in listed
    assert "half in [0, 1]" in listed
    assert "onelayer" in listed
    assert "newfig" in listed
    where = ("--data-dir", toy_dir, "--runs", tmp_path / "runs", "--device", "cpu")
    done = cli("figure", "newfig", "--out", tmp_path, *where, **env)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "newfig-quick.svg").exists()
    again = cli(*RUN[:5], "--model", "onelayer", "--corruption", "inverted=0.2", "--steps", "2", *where, **env)
    assert again.returncode == 0, again.stderr
    laws = subprocess.run(
        [sys.executable, "-m", "pytest", "-n0", "-q", "-k", "inverted or onelayer", "-p", "no:cacheprovider",
         str(here / "test_corruptions.py"), str(here / "test_models.py"), str(here / "test_training.py")],
        capture_output=True, text=True, env=os.environ | env, cwd=here.parent, check=False,
    )  # fmt: skip
    assert laws.returncode == 0, laws.stdout
    assert int(laws.stdout.split(" passed")[0].split()[-1]) >= 8


def test_two_files_with_one_name_are_refused(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "alexnet.py").write_text('"""Mine."""\n')
    assert "both hold the network 'alexnet'" in one_line(cli("list", RETHINKING_PLUGINS=tmp_path))
    assert "not a folder" in one_line(cli("list", RETHINKING_PLUGINS=tmp_path / "missing"))


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
SHAPE = (28, 28)
CLASSES = ["a"]
MEAN = VARIANCE = [1.0]
SHA256 = {HASHES}
"""


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("data", "", "it has no constant SIZES"),
        ("corruptions", "", "it has no constant ACTS_ON"),
        ("regularizers", "", "it has no constant OPTIONS"),
        ("figures", 'MODELS = "all"', "MODELS is 'all', it must be a list of networks, or of 'all'"),
        ("figures", "SEEDS = dict(quick=1)", "SEEDS is no literal, and so cannot be read without"),
        (*changed('{"type": "float", "ge": 0.0}', '"float"'), "OPTIONS['strength'] has type none, allowed are float"),
        (*changed('"float"', '"real"'), "OPTIONS['strength'] has type 'real', allowed are float, int, bool, str"),
        (*changed('"ge"', '"min"'), "OPTIONS['strength'] has 'min', allowed are type, ge"),
        (*changed('"float", "ge"', '"str", "ge"'), "OPTIONS['strength'] has 'ge', which is of numbers alone"),
        (*changed('"ge": 0.0', '"default": "much"'), "has the default 'much', which is no float"),
        (*changed('"ge": 0.0', '"ge": "a"'), "has the ge 'a', which is no float"),
        (*changed('"ge": 0.0', '"choices": "ab"'), "has the choices 'ab', which must be a list"),
        (*changed('"ge": 0.0', '"choices": [0.1, "b"]'), "has the choice 'b', which is no float"),
        (*changed('"ge": 0.0}', '"ge": 0.0}, "b": {"type": "int"}'), "NULL gives b no value"),
        (
            *changed('NULL = {"strength"', 'NULL = {"strenght"'),
            "NULL names 'strenght', which is not in OPTIONS",
        ),
        (*changed('NULL = {"strength": 0.0}', "NULL = {}"), "NULL is empty: it must give at least"),
        (*changed('PRACTICE = {"strength": 0.1}', "PRACTICE = 0.1"), "PRACTICE is 0.1, it must be a dict"),
        (*changed("0.1}", "-1.0}"), "PRACTICE has strength -1.0, which OPTIONS does not allow"),
        (*changed("0.1}", "3 * 0.1}"), "PRACTICE is no literal, and so cannot be read without"),
        (*changed("NULL", "STRENGTHS = (0.2, 0.5)\nNULL"), "STRENGTHS is (0.2, 0.5), it must be values of 'strength'"),
        (*changed("NULL", 'FAMILY = "weight"\nNULL'), "FAMILY is 'weight', allowed are weights, units, normalization"),
        (*changed("NULL", 'NEEDS = "convolution"\nNULL'), "NEEDS is 'convolution', allowed are convolutions, pooling"),
        ("corruptions", 'ACTS_ON = "label"', "ACTS_ON is 'label', allowed are labels, pixels"),
        ("corruptions", 'ACTS_ON = "labels"\nKEYED_BY = "sed"', "KEYED_BY is 'sed', allowed are example, seed"),
        ("corruptions", 'ACTS_ON = "labels"\nSAME_AS = {"p": 0.0}', "it must be a list of (options, name or None)"),
        ("models", 'VARIANTS = {"mine": 3}', "VARIANTS['mine'] is 3, it must be a dict"),
        ("models", 'HAS = "convolutions"', "HAS is 'convolutions', it must be a list"),
        ("models", 'HAS = ["convolution"]', "HAS is ['convolution'], allowed are convolutions, pooling"),
        ("figures", 'MODELS = ["all"]\nSEEDS = {"quick": 0}', "SEEDS['quick'] is 0, it must be a number of seeds"),
        ("data", DATA, "SHA256 is no literal"),
        ("data", DATA.replace('"train":', '"training":').replace(HASHES, "{}"), "SIZES has training, test, it must"),
        ("data", DATA.replace(HASHES, "{}"), "SHA256 has , it must have train_images, train_labels"),
    ],
)
def test_a_plug_in_with_a_wrong_constant_is_one_line(tmp_path, kind, text, message):
    plug_in(tmp_path, kind, f'"""Mine."""\n{text}\n')
    with pytest.raises(InputError) as caught:
        catalog._read(kind, tmp_path / kind / "mine.py")
    assert "mine.py: " in str(caught.value)
    assert message in str(caught.value)


def test_a_mistake_in_a_constant_is_one_line_of_the_command(tmp_path):
    env = plug_in(tmp_path, "regularizers", '"""Mine."""\nOPTIONS = 3\n')
    assert "mine.py: it has no constant NULL" in one_line(cli("list", "regularizers", **env))


def test_a_figure_may_have_constants_that_another_kind_has(tmp_path):
    env = plug_in(tmp_path, "figures", '"""Mine."""\nMODELS = ["all"]\nSEEDS = {"quick": 1}\nSIZES = (1, 2)\n')
    assert "mine" in cli("list", "figures", **env).stdout


def test_a_file_named_like_one_of_the_package_is_refused(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mlp.py").write_text('"""Mine."""\nVARIANTS = {"mlp-2x64": {}}\n')
    assert "have one file name: rename one" in one_line(cli("list", "models", RETHINKING_PLUGINS=tmp_path))


@pytest.mark.parametrize(
    ("name", "message"), [("mine.py", "is in no folder of its kind"), ("networks", "mean 'models'")]
)
def test_a_plug_in_in_the_wrong_place_is_one_line(tmp_path, name, message):
    (tmp_path / name).write_text("") if name.endswith(".py") else (tmp_path / name).mkdir()
    assert message in one_line(cli("list", RETHINKING_PLUGINS=tmp_path))


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


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    return {", "    return None and {", "runs of "),
        ('("a",)', '("b",)', "has the condition 'b', not one of runs"),
        ("return [Claim", "return None and [Claim", "TypeError: 'NoneType' object is not iterable"),
        ("Reading(True", "True or Reading(True", "AttributeError"),
        ("return plt.figure(), {}", "return plt.figure()", "TypeError"),
        (
            "return plt.figure(), {}",
            'return plt.figure(), {"a": [float("nan")]}',
            "numbers that are no JSON",
        ),
        ("plt.figure()", "plt.figures()", "line 18: AttributeError"),
        ("RunSpec.make", "RunSpec.mak", "line 12: AttributeError"),
        ("def draw", "def drawn", "has no draw: every figure needs one"),
        ("return plt.figure(), {}", 'return plt.figure(), {"table": [["a", 1]]}', "a table that is no list of dicts"),
        ("def claims", "def claim", "has no claims: every figure needs one"),
    ],
)
def test_a_figure_with_a_mistake_is_one_line_and_draws_nothing(toy_dir, tmp_path, old, new, message):
    assert old in CLAIMING
    env = plug_in(tmp_path, "figures", CLAIMING.replace(old, new))
    where = ("--data-dir", toy_dir, "--runs", tmp_path / "runs", "--out", tmp_path / "drawn", "--device", "cpu")
    done = cli("figure", "mine", *where, **env)  # some are seen only when it is drawn, after lines of training
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert "mine.py" in line
    assert message in line
    assert not list((tmp_path / "drawn").glob("*"))


@pytest.mark.parametrize(
    ("kind", "text", "words", "message"),
    [
        (
            "corruptions",
            'ACTS_ON = "pixels"\n\n\ndef corrupt(image, label, generator, facts):\n    image[0] = 0\n',
            ("--corruption", "mine"),
            "mine.py, line 6: ValueError: assignment destination is read-only",
        ),
        (
            "corruptions",
            'ACTS_ON = "pixels"\n\n\ndef corrupt(image, label, generator, facts):\n    return image[:9], 0\n',
            ("--corruption", "mine"),
            "must give an image of the shape that it is given, and a label",
        ),
        (
            "corruptions",
            'ACTS_ON = "labels"\n\n\ndef corrupt(image, label, generator, facts):\n    return image, label + 0.5\n',
            ("--corruption", "mine"),
            "gives the label",
        ),
        ("corruptions", 'ACTS_ON = "labels"\n', ("--corruption", "mine"), "has no corrupt: every corruption needs one"),
        (
            "models",
            "def build(num_classes, in_channels, image_size):\n    return None\n",
            ("--model", "mine"),
            "mine.py gives NoneType, no torch Module: mend it",
        ),
        (
            "models",
            "from torch import nn\n\n\ndef build(num_classes, in_channels, image_size):\n"
            "    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size**2, 99))\n",
            ("--model", "mine"),
            "not 4 logits each",
        ),
    ],
)
def test_a_run_with_a_mistaken_plug_in_is_one_line_and_leaves_nothing(toy_dir, tmp_path, kind, text, words, message):
    env = plug_in(tmp_path, kind, f'"""Mine."""\n{text}')
    rest = ("--data-dir", toy_dir, "--runs", tmp_path / "runs")
    run = [w for w in RUN if w not in ("--model", "tiny")] if "--model" in words else RUN
    assert message in one_line(cli(*run, *words, "--lr", "0.1", *rest, **env))
    assert not list((tmp_path / "runs").glob("*"))


def test_planning_with_a_mistaken_network_is_one_line(tmp_path):
    env = plug_in(tmp_path, "figures", CLAIMING.replace('model="tiny"', 'model="mine", learning_rate=0.1'))
    text = "    return nn.Sequential(nn.Flatten(), nn.Linear(7, 10))\n"
    plug_in(tmp_path, "models", f'"""Mine."""\nfrom torch import nn\n\n\ndef build(*sizes):\n{text}')
    assert "mine.py: RuntimeError: " in one_line(cli("plan", "mine", "--device", "cpu", **env))


def test_a_record_of_a_plug_in_that_is_not_here_says_so(toy_dir, tmp_path):
    text = '"""Mine."""\nACTS_ON = "labels"\n\n\ndef corrupt(image, label, generator, facts):\n    return image, 0\n'
    env = plug_in(tmp_path, "corruptions", text)
    rest = ("--data-dir", toy_dir, "--runs", tmp_path / "runs")
    assert cli(*RUN, "--corruption", "mine", *rest, **env).returncode == 0
    (record,) = (tmp_path / "runs").iterdir()
    line = one_line(cli("show", record.name, "--runs", tmp_path / "runs"))
    assert "it was made with the plug-in corruptions/mine, which is not here: name its folder" in line


def test_a_folder_of_plug_ins_with_a_misspelt_name_is_one_line(tmp_path):
    (tmp_path / "regularizer").mkdir()
    assert "did you mean 'regularizers'? rename it" in one_line(cli("list", RETHINKING_PLUGINS=tmp_path))


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


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("return images", "return images, labels", None),
        ("return images", "return images", "batch of the regularizer mine must give images and labels, as many"),
        ("return images", "return images[:3], labels", "batch of the regularizer mine must give images and labels"),
        ("return images", "return images + much, labels", "mine.py, line 13: NameError: name 'much' is not defined"),
        ("import Base", "import Bass", "mine.py, line 2: ImportError: cannot import name 'Bass'"),
    ],
)
def test_a_mistake_in_a_plug_ins_code_is_one_line_that_says_where(toy_dir, tmp_path, old, new, message):
    env = plug_in(tmp_path, "regularizers", REGULARIZER.replace(old, new))
    words = (*RUN, "--regularize", "mine=0.5", "--data-dir", toy_dir, "--runs", tmp_path / "runs")
    done = cli(*words, **env)
    if message is None:
        assert done.returncode == 0, done.stderr
    else:
        assert message in one_line(done)
