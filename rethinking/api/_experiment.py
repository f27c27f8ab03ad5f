"""Training in this process: an experiment, and the trained network of a run."""

import difflib
import functools
import inspect
import os
import sys
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rethinking import catalog, data, regularizers
from rethinking.api._parts import parts_of
from rethinking.api._result import Result
from rethinking.arguments import Function, one_of, path, size, switch, taking, text, whole_number
from rethinking.arithmetic import as_begun
from rethinking.data import ImageSet
from rethinking.engines.execute import as_recorded, execute, tensors
from rethinking.engines.local import resolve_device, resolve_precision
from rethinking.engines.made_with import arithmetic, machine
from rethinking.errors import InputError
from rethinking.paths import check_writable, data_in, path_of
from rethinking.record import LOG_COLUMNS, Record, Runs, check_current, digests, read, write
from rethinking.record.bundle import committed
from rethinking.seeds import keyed_generator
from rethinking.spec import Part, RunSpec, check_several, image_size
from rethinking.training import Training, bfloat16
from rethinking.training.batches import Tensors, one_logit
from rethinking.training.handed import WHITEN, Handed, HandedSpec
from rethinking.training.network import Source, apart, built, give, placed

MOST_SEEDS = 1000  # of one experiment
EPOCHS = 30  # where nothing says how long
# Fields of a spec that `experiment` takes by name, besides its own arguments.
_OWN = ("data", "model", "model_options", "corruptions", "regularizers", "n", "seed", "data_seed", "keep")
FIELDS = tuple(name for name in RunSpec.model_fields if name not in _OWN)

# Words that people use for an argument, those of the command line among them.
MEANT = {
    "learning_rate": "lr rate eta step_size alpha",
    "batch_size": "bs batch batchsize mini_batch",
    "epochs": "num_epochs n_epochs max_epochs passes",
    "steps": "iterations iters max_steps num_steps budget",
    "seeds": "seed data_seed random_state random_seed",
    "n": "size n_train num_examples samples limit",
    "regularizers": "regularize regularizer regularise reg",
    "corruption": "corrupt corruptions noise",
    "network": "model net module",
    "dataset": "data train train_set trainset",
    "test": "val validation test_set testset valid test_dataset",
    "save": "runs out out_dir output",
    "progress": "quiet verbose",
    "num_classes": "classes n_classes",
    "preprocess": "whiten transform normalize",
    "image": "x input feature image_key",
    "label": "y target label_key",
    "precision": "dtype bf16 amp",
    "initial_weights": "init weight_init initialization initializer",
}

DEVICE = one_of(str, torch.device)


def _in_data_dir(function: Function) -> Function:
    """A function that finds own data sets by name in the data_dir that it is given."""

    @functools.wraps(function)
    def within(*args: Any, **options: Any) -> Any:
        with data_in(options.get("data_dir")):
            return function(*args, **options)

    return within  # type: ignore[return-value]


@taking(epochs=size, device=DEVICE, progress=switch, save=path, data_dir=path, preprocess=text)
@_in_data_dir
def experiment(
    dataset: Any,
    network: Source | str,
    *,
    test: Any = None,
    corruption: str | Part | Sequence[str | Part] | Mapping[str, Any] | None = None,
    regularizers: str | Part | Sequence[str | Part] | Mapping[str, Any] | None = None,
    n: int | None = None,
    epochs: int | None = None,
    seeds: int | Sequence[int] = 1,
    preprocess: str | None = None,
    image: Any = None,
    label: Any = None,
    channels: str | None = None,
    num_classes: int | None = None,
    device: str | torch.device = "auto",
    progress: bool | None = None,
    save: str | Path | None = None,
    data_dir: str | Path | None = None,
    **fields: Any,
) -> Result:
    """Train a network on anybody's data, in this process, a run a seed.

    Args:
        dataset: any map-style torch Dataset, a pair (images, labels) of tensors or arrays, or a data set's name. It is
            read once, and held in memory, or meanwhile in the data folder where inputs take more than 2 GiB as float32:
            the curve is the same. test: likewise, what test accuracy is of; a data set with a name has its own.
        network: a torch.nn.Module, of which a copy is trained from the weights that it has; a function that makes one,
            or its class where that takes no arguments, called under the seed; or a name as "mlp-1x512,width=64",
            initialised as in the figures. What layers draw, as torch.nn.Dropout, follows from the seed; what random
            transforms of the data draw is the same for each.
        corruption, regularizers: as on the command line, "partial_labels=0.3" or ["dropout=0.5", "weight_decay=5e-4"];
            or {"dropout": 0.5}, the value of the first option, or {"dropout": {"rate": 0.5, "where": "last"}}.
        n: the first so many training examples, which must be of two classes at least: shuffle data that lie class by
            class first; None for all. What is measured on a part of data without a name, as test accuracy before the
            last evaluation, is measured on evenly spaced examples. epochs: passes over the training set, 30 where
            neither this nor `steps` is given. seeds: how many, from 0, or which; of the corruption and of the training.
        preprocess: "whiten" for the paper's per-image whitening, which a data set with a name has anyway. Others are
            taken as they come: float32, 8-bit images in fractions of 255, not cropped.
        image, label, channels: where they are in a sample, and where an array has its channels, "first" or "last"; see
            rethinking.corruptions. num_classes: where the data do not tell.
        device: "auto", "cpu", "cuda" or one GPU. progress: whether a bar is shown; None where somebody can see it.
        save: a folder of records. What is there already is read, not trained. data_dir: the folder of data sets.
        fields: other fields of rethinking.RunSpec: batch_size, learning_rate, momentum, steps, stop="fitted",
            eval_every (steps; by default an epoch), held_out, precision ...

    Raises:
        InputError: in one line, before anything is trained.
    """
    _check_arguments(dataset, network, fields, preprocess)
    where = resolve_device(str(device))
    fields["precision"] = resolve_precision(fields.get("precision", "float32"), where)
    fields |= {
        "corruptions": parts_of("corruptions", corruption),
        "regularizers": parts_of("regularizers", regularizers),
    }
    if isinstance(network, str):
        part = Part.parse("models", network)
        fields |= {"model": part.name, "model_options": part.options}
    else:
        fields |= {"model": _called(network), "own_network": True}
    handed = None
    if isinstance(dataset, str):
        own = {"test": test, "image": image, "label": label, "channels": channels, "num_classes": num_classes}
        extra = next((name for name, value in own.items() if value is not None), None)
        if extra:
            raise InputError(f"{extra} is given, and the data set {dataset} has its own: leave it out")
        fields |= {"data": dataset, "n": n}
    else:
        places = {"image": image, "label": label, "channels": channels, "num_classes": num_classes}
        handed = Handed(dataset, n, test, **places, progress=partial(_bar, progress, desc="reading"), data_dir=data_dir)
        fields |= {"data": handed.name, "n": handed.n, "num_classes": handed.num_classes}
        fields |= {"as_given": handed.as_given}
        fields |= {"preprocess": preprocess or ""}
    named = handed is None and isinstance(network, str)
    if save is not None and not named:
        what = "data" if handed else "a network"
        raise InputError(
            f"save is {str(save)!r}, but a record needs {what} with a name: leave save out, or give a name"
        )
    specs = _specs(RunSpec if named else HandedSpec, fields, epochs, _seeds(seeds))
    check_several(specs[0])
    with as_begun():
        if save is not None:
            return _saved(specs, save, where, data_dir, progress)
        images = None if handed else data.load(specs[0].data, data_dir)
        module = None if isinstance(network, str) else network
        made = []
        for spec in specs:
            given = handed.tensors(spec) if handed else images  # type: ignore[arg-type]
            made.append(_trained(spec, given, where, module, progress))
    return Result([record for record, _ in made], [partial(_given, trained) for _, trained in made], data_dir)


@taking(runs=path, device=DEVICE, data_dir=path, progress=switch)
@_in_data_dir
def network(
    run: str | Path | Record,
    runs: str | Path = "runs",
    *,
    device: str | torch.device = "auto",
    data_dir: str | Path | None = None,
    progress: bool | None = None,
) -> nn.Module:
    """The trained network of a run, on the CPU and in evaluation mode: its weights where they are, else trained again.

    Args:
        run: a record, its folder, or enough of its name to find it in `runs`. runs: a folder of records; where there
            is none, those that came with the package. device, data_dir, progress: as in `experiment`, where it has to
            be trained again. Then its weights are kept, if they are those of the record.

    Raises:
        InputError: no such run, or one that trains no network; weights that are damaged; no data to train it on.
    """
    record = _record(run, runs)
    spec = record.spec
    if not isinstance(spec, RunSpec):
        raise InputError(f"{record.path.name} trains no network: name a training run")
    file = record.path / digests.WEIGHTS
    with as_begun():
        if file.is_file():
            digests.check(record.path, record.result, weights=True)
            trained = _untrained(spec)
            give(trained, tensors(file, "move it away"), file)
            return trained.eval()
        given, where = data.load(spec.data, data_dir), resolve_device(str(device))
        again, trained = _trained(spec, given, where, None, progress, record.threads)
    other = record.difference(again, record.final["step"])
    if other:
        warnings.warn(f"{spec.run_id} trained again on this machine is another: {other}", stacklevel=2)
        return trained
    content = as_recorded(apart(trained.state_dict()), record)
    if content is not None:  # else it is the same curve, but not the same weights
        with suppress(OSError):
            write(file, content)
    return trained


# --- arguments ------------------------------------------------------------------------------------


def _check_arguments(dataset: Any, network: Any, fields: dict[str, Any], preprocess: Any) -> None:
    a_class = isinstance(dataset, type) and issubclass(dataset, nn.Module)
    no_data = dataset not in catalog.names("data") if isinstance(dataset, str) else callable(dataset)
    swapped = no_data and not _is_data(dataset) and _is_data(network)
    if isinstance(dataset, nn.Module) or a_class or swapped:
        raise InputError("the data set comes first: experiment(dataset, network)")
    if isinstance(dataset, str):
        catalog.find("data", dataset)
    if isinstance(network, type) and (not issubclass(network, nn.Module) or _required(network)):
        name = network.__name__
        raise InputError(
            f"network is the class {name}: give an instance, {name}(...), or a function, lambda: {name}(...)"
        )
    if not isinstance(network, str | nn.Module) and (wanted := _required(network)):
        raise InputError(
            f"network is a function of {', '.join(wanted)}: give one without, lambda: make({wanted[0]}=...)"
        )
    if not isinstance(network, str) and not callable(network):
        known = ", ".join(catalog.names("models"))
        what = type(network).__name__
        raise InputError(f"network is a {what}: give a torch.nn.Module, a function that makes one, or one of {known}")
    unknown = next((name for name in fields if name not in FIELDS), None)
    if unknown:
        known_ones = [*_NAMED, *FIELDS]
        for kind, argument in (("regularizers", "regularizers"), ("corruptions", "corruption")):
            if unknown in catalog.names(kind):
                raise InputError(f"{unknown}: give it as {argument}='{unknown}={fields[unknown]}'")
        meant = [name for name, words in MEANT.items() if unknown.lower() in words.split()]
        near = meant or difflib.get_close_matches(unknown, known_ones, n=1, cutoff=0.5)
        raise InputError(f"{unknown}: {f'did you mean {near[0]}? ' if near else ''}known are {', '.join(known_ones)}")
    if preprocess not in (None, WHITEN):
        raise InputError(f"preprocess is {preprocess!r}: give 'whiten', or leave it out")


_NAMED = [p.name for p in inspect.signature(experiment).parameters.values() if p.kind is p.KEYWORD_ONLY]


def _is_data(given: Any) -> bool:
    return not isinstance(given, str | nn.Module) and hasattr(given, "__getitem__") and hasattr(given, "__len__")


def _required(function: Any) -> list[str]:
    """The arguments that a function cannot be called without."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in kinds]


def _called(network: Source) -> str:
    name = type(network).__name__ if isinstance(network, nn.Module) else getattr(network, "__name__", "network")
    return "network" if name == "<lambda>" else name


def _seeds(given: int | Sequence[int]) -> list[int]:
    if not isinstance(given, Sequence | range) or isinstance(given, str):
        return list(range(whole_number("seeds", given, 1, MOST_SEEDS)))
    seeds = [whole_number("a seed", seed, 0) for seed in given]
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"seeds is {given!r}: give each seed once, or how many")
    return seeds


def _specs(kind: type[RunSpec], fields: dict[str, Any], epochs: int | None, seeds: list[int]) -> list[RunSpec]:
    """The spec of every seed, as long as `epochs` says."""
    if epochs is not None and "steps" in fields:
        raise InputError("epochs and steps are both given: give one of them")
    first = kind.make(**fields, seed=seeds[0], data_seed=seeds[0])
    length = {} if "steps" in fields else {"steps": whole_number("epochs", EPOCHS if epochs is None else epochs, 1)}
    length = {name: epochs * first.epoch_steps for name, epochs in length.items()}
    length |= {} if "eval_every" in fields else {"eval_every": first.epoch_steps}
    return [first.replace(**length, seed=seed, data_seed=seed) for seed in seeds]


# --- training -------------------------------------------------------------------------------------


def _bar(shown: bool | None, steps: Iterable[int] | None = None, **options: Any) -> Any:
    """A progress bar, a notebook's own in a notebook. shown: None for there and in a terminal."""
    from tqdm.auto import tqdm

    notebook = "ipykernel" in sys.modules
    off = (False if notebook else None) if shown is None else not shown
    return tqdm(steps, disable=off, leave=False, **options)


def _trained(
    spec: RunSpec,
    given: ImageSet | Tensors | None,
    device: str,
    own: Source | None,
    shown: bool | None,
    threads: int = 1,
) -> tuple[Record, nn.Module]:
    """A run in memory: its record, which has no files, and its network. threads: of a CPU."""
    began = time.monotonic()
    training = Training(spec, given, device, own, threads)
    made_with = machine(training.device)
    bfloat16.check(training, arithmetic(made_with), own)
    rows = []
    with _bar(shown, total=spec.steps, desc=f"{spec.model}, seed {spec.seed}", unit=" steps") as bar:
        for evaluation in training.evaluations(lambda step: bar.update(step - bar.n)):
            rows.append(evaluation.as_row())
            bar.set_postfix_str(spec.summary(rows[-1]))
    result = {"status": training.status, "steps": rows[-1]["step"], "diverged_at": training.diverged_at}
    made = made_with | {"precision": spec.precision, "seconds": round(time.monotonic() - began, 1)}
    record = Record(Path(spec.run_id), spec, result, made, {name: [row[name] for row in rows] for name in rows[0]})
    means = [(step, loss / images, right / images) for step, loss, right, images in training.log]
    vars(record)["online"] = {name: [line[k] for line in means] for k, name in enumerate(LOG_COLUMNS)}
    for parameter in training.network.parameters():
        parameter.grad = None
    return record, training.network.cpu().eval()


def _given(trained: nn.Module) -> nn.Module:
    return trained


def _saved(
    specs: list[RunSpec], save: str | Path, device: str, data_dir: str | Path | None, shown: bool | None
) -> Result:
    """The experiment as records in a folder: what is missing is trained, as `rethinking run` does."""
    check_writable(save, "save=")
    runs, root = Runs(save), None if data_dir is None else str(data_dir)
    for spec in specs:
        if runs.find(spec) is None:
            runs.writable()
            with _bar(shown, total=spec.steps, desc=f"{spec.model}, seed {spec.seed}", unit=" steps") as bar:
                go_on = {"on_step": lambda step, bar=bar: bar.update(step - bar.n)}
                execute(spec, runs, device=device, data_dir=root, **go_on)  # type: ignore[arg-type]
        if not runs.complete(spec):
            raise InputError(f"{spec.run_id}: another process is training it: wait for it, or name another folder")
    records = [runs.find(spec) for spec in specs]
    networks = [partial(network, record, device=device, data_dir=data_dir) for record in records if record]
    return Result([record for record in records if record], networks, data_dir)


def _record(run: str | Path | Record, runs: str | Path) -> Record:
    root = committed(runs)
    if not isinstance(run, Record | str | os.PathLike):
        raise InputError(f"run is a {type(run).__name__}: give a record, its folder, or its name")
    if isinstance(run, Record):
        record = run
    elif os.path.isfile(path_of(run, "the run") / "result.json"):
        record = read(Path(run))
    elif isinstance(run, str):
        record = Runs(*root).named(run)
    else:
        raise InputError(f"{run} is no folder of a complete run: give a record, its folder, or its name")
    check_current(record)
    return record


def _untrained(spec: RunSpec) -> nn.Module:
    """The network of a spec before it is trained, on the CPU, without its data."""
    constants = catalog.find("data", spec.data).constants
    height, width, channels = constants["SHAPE"]
    seen = image_size(spec.data, spec.crop)
    classes = 2 if one_logit(spec) else len(constants["CLASSES"])
    generator = keyed_generator("cpu", spec.seed, "training")
    context = regularizers.Run(classes, generator, spec.momentum, min(height, width) - min(seen))
    parts = [regularizers.build(part, context) for part in spec.regularizers]
    shape, own = (channels, *seen), bool(catalog.find("models", spec.model).digest)
    made = built(spec, parts, shape, 1 if one_logit(spec) else classes, images=torch.zeros(2, *shape) if own else None)
    return placed(made, torch.device("cpu"))
