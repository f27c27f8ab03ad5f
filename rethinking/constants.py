"""The literal constants of a plug-in's file: which there may be, what they must be. They are read without an import."""

import difflib
import math
import re
from typing import Any

TYPES = {"float": float, "int": int, "bool": bool, "str": str}
FAMILIES = ("weights", "units", "normalization", "data", "labels", "gradient")  # what a regularizer acts on
# What of a network regularizers ask for; models.features finds them.
FEATURES = (
    "convolutions", "pooling", "residual blocks", "hidden linear layers", "batch normalization",
    "local response normalization",
)  # fmt: skip
SPLITS = ("train", "test")
BALANCED = 1.5  # equal shares: a larger class of the test set makes chance no single number
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
NEEDED = {
    "data": ("SIZES", "SHAPE", "CLASSES", "MEAN", "VARIANCE", "SHA256"),
    "corruptions": ("ACTS_ON",),
    "models": (),
    "regularizers": ("OPTIONS", "NULL", "PRACTICE"),
    "probes": ("COLUMNS",),
    "figures": (),
}
ALLOWED = {
    "data": ("CROP", "LARGEST_CLASS"),
    "corruptions": ("OPTIONS", "KEYED_BY", "KEY", "SAME_AS", "NEEDS", "ONE_LOGIT", "PLACED", "PERMUTES", "REGRESSION"),
    "models": ("VARIANTS", "OPTIONS", "PAPER", "HAS"),
    "regularizers": ("ONLY", "STRENGTHS", "FAMILY", "NEEDS", "REFUSES"),
    "probes": ("OPTIONS", "ARRAYS"),
    "figures": ("MODELS", "SEEDS", "OTHER_DATA", "ONE_NETWORK"),
}
# What a file that does not name them has.
USUAL: dict[str, dict[str, Any]] = {"figures": {"MODELS": ["all"], "SEEDS": {"quick": 1, "cpu": 3, "paper": 3}}}
DICTS = (
    "SIZES", "LARGEST_CLASS", "SHA256", "OPTIONS", "NULL", "PRACTICE", "ONLY", "VARIANTS", "PAPER", "SEEDS", "COLUMNS",
    "ARRAYS",
)  # fmt: skip
WORDS = {"ACTS_ON": ("labels", "pixels"), "KEYED_BY": ("example", "seed"), "FAMILY": FAMILIES}
NEAR = 0.88  # of a constant's name to one that is read, from 0 to 1: a slip and no name of its own; KEYS to KEY is not
PAPERS = {"learning_rate", "parameters"}  # what of a network's paper is read
DEPTH, LONGEST = 20, 10_000  # of a constant: levels, characters of a text
LIMITS = {"ge": float.__ge__, "gt": float.__gt__, "le": float.__le__, "lt": float.__lt__}
OPTION = ("type", *LIMITS, "choices", "default", "description", "late")  # what of an option is read
COLUMN = {"meaning", "unit", "whole", "varying"}  # and of a probe's column


def wrong(kind: str, constants: dict[str, Any], computed: set[str]) -> str | None:
    """What is wrong with a file's constants, in words; None where nothing is.

    Args:
        kind: one of catalog.KINDS. constants: the literal ones. computed: the names of the others.
    """
    known = (*NEEDED[kind], *ALLOWED[kind])
    for name in (*constants, *computed):
        near = difflib.get_close_matches(name, known, n=1, cutoff=NEAR)
        if near and name not in known and near[0] not in {*constants, *computed} and not name.startswith("_"):
            return f"{name} is not read: did you mean {near[0]}? if not, give it a name of its own"
    for name in known:
        if name in computed:
            return f"{name} is no literal, and so cannot be read without importing the file"
    for name in NEEDED[kind]:
        if name not in constants:
            return f"it has no constant {name} that can be read without importing it"
    own = {name: constants[name] for name in known if name in constants}
    for name, value in own.items():
        problem = _odd(value)
        if problem:
            return f"{name} holds {problem}"
    try:
        return _wrong(kind, own)
    except (TypeError, ValueError, AttributeError, KeyError, IndexError, OverflowError) as error:
        # A value of a type that no check expects, deep within another.
        return f"its constants ({', '.join(own)}) hold a value of a type that is not allowed ({error})"


def _odd(value: Any, depth: int = 0) -> str | None:
    """What in a literal could not be written as JSON and read back, in words; None where nothing is."""
    if isinstance(value, dict | list | tuple):
        if depth == DEPTH:
            return f"lists or dicts nested deeper than {DEPTH}"
        odd = [key for key in value if not isinstance(key, str)] if isinstance(value, dict) else []
        if odd:
            return f"a key of type {type(odd[0]).__name__}, where text is expected"
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return next(filter(None, (_odd(part, depth + 1) for part in parts)), None)
    if isinstance(value, str):
        if len(value) > LONGEST:
            return f"text of {len(value):,} characters, more than {LONGEST:,}"
        return None if value.isascii() or not re.search("[\ud800-\udfff]", value) else "half of a surrogate pair"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "a whole number of more than 64 bits"
    if isinstance(value, float) and not math.isfinite(value):
        return "a number that is not finite"
    return None if value is None or isinstance(value, int | float) else f"a value of type {type(value).__name__}"


def _wrong(kind: str, own: dict[str, Any]) -> str | None:
    for name, value in own.items():
        if name in DICTS and not isinstance(value, dict):
            return f"{name} is {value!r}, it must be a dict"
        if name in WORDS and value not in WORDS[name]:
            return f"{name} is {value!r}, allowed are {', '.join(WORDS[name])}"
    for key, option in own.get("OPTIONS", {}).items():
        problem = _wrong_option(option)
        if problem:
            return f"OPTIONS[{key!r}] {problem}"
    return {
        "data": _wrong_data,
        "corruptions": _wrong_corruption,
        "models": _wrong_model,
        "regularizers": _wrong_regularizer,
        "probes": _wrong_probe,
        "figures": _wrong_figure,
    }[kind](own)


def _wrong_option(option: Any) -> str | None:
    if not isinstance(option, dict) or option.get("type") not in TYPES:
        given = repr(option.get("type")) if isinstance(option, dict) else "none"
        return f"has type {given}, allowed are {', '.join(TYPES)}"
    unknown = [key for key in option if key not in OPTION]
    if unknown:
        return f"has {unknown[0]!r}, allowed are {', '.join(OPTION)}"
    limits = [key for key in LIMITS if key in option]
    if limits and option["type"] not in ("float", "int"):
        return f"has {limits[0]!r}, which is of numbers alone"
    bare = {"type": option["type"]}
    for key in limits:
        if not _fits(option[key], bare):
            return f"has the {key} {option[key]!r}, which is no {option['type']}"
    if "choices" in option:
        if not isinstance(option["choices"], list | tuple) or not option["choices"]:
            return f"has the choices {option['choices']!r}, which must be a list"
        for choice in option["choices"]:
            if not _fits(choice, bare):
                return f"has the choice {choice!r}, which is no {option['type']}"
    if "default" in option and not _fits(option["default"], option):
        return f"has the default {option['default']!r}, which is no {option['type']} that it allows"
    if option.get("late") and "default" not in option:
        return "is late and has no default, which the runs before it are taken to have"
    return None


def _fits(value: Any, option: dict[str, Any]) -> bool:
    """Whether an option may have that value."""
    kind = (int, float) if option["type"] == "float" else TYPES[option["type"]]
    if not isinstance(value, kind) or (isinstance(value, bool) and option["type"] != "bool"):
        return False
    within = all(holds(float(value), float(option[key])) for key, holds in LIMITS.items() if key in option)  # type: ignore[arg-type]
    return within and value in option.get("choices", (value,))


def _wrong_values(name: str, values: dict[str, Any], options: dict[str, Any]) -> str | None:
    for key, value in values.items():
        if key not in options:
            return f"{name} names {key!r}, which is not in OPTIONS ({', '.join(options)})"
        if not _fits(value, options[key]):
            return f"{name} has {key} {value!r}, which OPTIONS does not allow"
    return None


def _wrong_regularizer(own: dict[str, Any]) -> str | None:
    options, null, practice = own["OPTIONS"], own["NULL"], own["PRACTICE"]
    for name, values in (("NULL", null), ("PRACTICE", practice)):
        problem = _wrong_values(name, values, options)
        if problem:
            return problem
        if not values:
            return f"{name} is empty: it must give at least one option"
        unset = [key for key in options if key not in values and "default" not in options[key] and key not in null]
        if unset:
            return f"{name} gives {unset[0]} no value, and it has no default"
    first, only = next(iter(options)), own.get("ONLY", {})
    if not all(isinstance(words, list | tuple | dict) for words in only.values()):
        return f"ONLY is {only!r}, it must give for each option what it asks for"
    unknown = [key for key, words in only.items() if {key, *words} - options.keys()]
    if unknown:
        return f"ONLY names {unknown[0]!r}: it and what it asks for must be in OPTIONS ({', '.join(options)})"
    swept = own.get("STRENGTHS", (practice.get(first),))
    usual = practice.get(first)
    listed = isinstance(swept, list | tuple) and usual in swept
    if not listed or (usual is not None and not all(_fits(value, options[first]) for value in swept)):
        return f"STRENGTHS is {swept!r}, it must be values of {first!r}, with practice's {usual!r} among them"
    return _wrong_features("NEEDS", own.get("NEEDS", []))


def _wrong_features(name: str, value: Any) -> str | None:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not set(words) <= set(FEATURES):
        return f"{name} is {value!r}, allowed are {', '.join(FEATURES)}"
    return None


def _wrong_model(own: dict[str, Any]) -> str | None:
    for name, options in own.get("VARIANTS", {}).items():
        if not isinstance(options, dict):
            return f"VARIANTS[{name!r}] is {options!r}, it must be a dict"
    paper = own.get("PAPER", {})
    if unknown := sorted(paper.keys() - PAPERS):
        return f"PAPER names {unknown[0]!r}, allowed are {', '.join(sorted(PAPERS))}"
    rate = paper.get("learning_rate", 0.01)
    if isinstance(rate, bool) or not _number(rate, 0.0) or rate == 0:
        return f"PAPER has the learning_rate {rate!r}, it must be a number above 0"
    counts = paper.get("parameters", 1)
    if not all(map(_whole, counts.values() if isinstance(counts, dict) else [counts])):
        return f"PAPER has the parameters {counts!r}, it must be their number, or a dict of it by network"
    has = own.get("HAS", [])
    for words in has.values() if isinstance(has, dict) else [has]:
        if isinstance(words, str):
            return f"HAS is {has!r}, it must be a list"
        problem = _wrong_features("HAS", words)
        if problem:
            return problem
    return None


def _wrong_corruption(own: dict[str, Any]) -> str | None:
    same = own.get("SAME_AS", [])
    pairs = isinstance(same, list | tuple) and all(isinstance(p, list | tuple) and len(p) == 2 for p in same)
    if not pairs or not all(isinstance(options, dict) for options, _ in same):
        return f"SAME_AS is {same!r}, it must be a list of (options, name or None)"
    needs = own.get("NEEDS", ())
    if not isinstance(needs, list | tuple) or not set(needs) <= {"mean", "variance"}:
        return f"NEEDS is {needs!r}, it must be a list of mean, variance"
    return None


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _wrong_data(own: dict[str, Any]) -> str | None:
    for name, keys in (("SIZES", SPLITS), ("SHA256", ARRAYS)):
        if set(own[name]) != set(keys):
            return f"{name} has {', '.join(map(str, own[name]))}, it must have {', '.join(keys)}"
    if not all(map(_whole, own["SIZES"].values())):
        return f"SIZES is {own['SIZES']!r}, it must be numbers of images, 1 or more"
    if not all(isinstance(digest, str) for digest in own["SHA256"].values()):
        return f"SHA256 is {own['SHA256']!r}, it must be digests"
    shape = own["SHAPE"]
    if not isinstance(shape, list | tuple) or len(shape) != 3 or not all(map(_whole, shape)):
        return f"SHAPE is {shape!r}, it must be (height, width, channels)"
    classes = own["CLASSES"]
    if not isinstance(classes, list | tuple) or len(classes) < 2 or not all(isinstance(c, str) for c in classes):
        return f"CLASSES is {classes!r}, it must be a list of two names or more"
    for name, least in (("MEAN", -math.inf), ("VARIANCE", 0.0)):
        values = own[name]
        listed = isinstance(values, list | tuple) and len(values) == shape[2]
        if not listed or not all(_number(v, least) for v in values):
            return f"{name} is {values!r}, it must be a list, one number for each of {shape[2]} channels"
    if "CROP" in own and not _whole(own["CROP"]):
        return f"CROP is {own['CROP']!r}, it must be a number of pixels, 1 or more"
    largest = own.get("LARGEST_CLASS", dict.fromkeys(SPLITS, 1.0))
    if set(largest) != set(SPLITS) or not all(_number(v, 1 / len(classes)) and v <= 1 for v in largest.values()):
        return f"LARGEST_CLASS is {largest!r}, it must be the share of the largest class in {' and '.join(SPLITS)}"
    return None


def _number(value: Any, least: float) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= least


def _wrong_probe(own: dict[str, Any]) -> str | None:
    columns = own["COLUMNS"]
    if not columns or {"step", "event"} & columns.keys():
        return f"COLUMNS is {columns!r}, it must name columns, but not 'step' or 'event', which are taken"
    for name, facts in columns.items():
        words = isinstance(facts, dict) and all(isinstance(facts.get(key), str) for key in ("meaning", "unit"))
        if not isinstance(name, str) or not name.isidentifier():
            return f"COLUMNS has {name!r}, a name must be of letters, digits and underscores"
        if not words or not {"meaning", "unit"} <= facts.keys() <= COLUMN:
            return f"COLUMNS[{name!r}] is {facts!r}, it must have meaning and unit, and may have whole and varying"
        if not all(isinstance(facts.get(key, False), bool) for key in ("whole", "varying")):
            return f"COLUMNS[{name!r}] is {facts!r}, its whole and varying must be True or False"
    return None


def _wrong_figure(own: dict[str, Any]) -> str | None:
    own = USUAL["figures"] | own
    if not isinstance(own["MODELS"], list) or not own["MODELS"]:
        return f"MODELS is {own['MODELS']!r}, it must be a list of networks, or of 'all'"
    scales = USUAL["figures"]["SEEDS"]
    for scale, seeds in own["SEEDS"].items():
        if scale not in scales:
            return f"SEEDS names {scale!r}, allowed are {', '.join(scales)}"
        if not _whole(seeds):
            return f"SEEDS[{scale!r}] is {seeds!r}, it must be a number of seeds, 1 or more"
    for name in ("OTHER_DATA", "ONE_NETWORK"):
        if not isinstance(own.get(name, False), bool):
            return f"{name} is {own[name]!r}, it must be True or False"
    return None
