"""What every spec is: a frozen model whose hash names its run."""

import functools
import hashlib
import json
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rethinking import catalog
from rethinking.errors import InputError
from rethinking.spec.part import Door, one_line

if TYPE_CHECKING:
    import numpy as np

NAME = 200  # characters of a run's name before its hash; a file system allows 255

Positive = Annotated[int, Field(ge=1, lt=2**63)]  # what a tensor's sizes can be
Seed = Annotated[int, Field(ge=0, lt=2**32)]


@dataclass(frozen=True)
class Column:
    """A column of a record's curve.

    Attributes:
        name: in curve.csv. meaning: what a value is. unit: of its values; "1" for a pure number.
        whole: whether values are whole numbers. varying: whether they differ from one making of a run to the next, as
        seconds and memory do.
    """

    name: str
    meaning: str
    unit: str
    whole: bool = False
    varying: bool = False


class Spec(BaseModel, metaclass=Door):
    """What determines a result. Device, workers and paths do not, and live elsewhere.

    Fields left at their default do not enter the hash, so a field added later orphans no old run; nor does an option
    of a part that says it came late. What is the same has one name; n is always a number.

    Attributes:
        data: a data set's name. n: the first n training images, in the official order; None means all.
        COLUMNS: of the curves of this kind, "step" first; `described` are those of this run.
        steps: what a run counts up to as it goes on. precision: of the arithmetic, in a word or two.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    if TYPE_CHECKING:  # of every kind: a field, or a constant of the class

        @property
        def data(self) -> str: ...

        @property
        def n(self) -> int | None: ...

        @property
        def steps(self) -> int: ...

        @property
        def precision(self) -> str: ...

    COLUMNS: ClassVar[tuple[Column, ...]]

    @classmethod
    def make(cls, **fields: Any) -> Self:
        """cls(**fields), for a reader's eye: its errors are one InputError line of field, value and what is allowed."""
        return cls(**fields)

    @classmethod
    def from_json(cls, text: str, source: str = "spec") -> Self:
        """From the JSON of `to_json`; omitted fields take their defaults. Raises InputError in one line.

        It is read as a spec of this class; `rethinking.spec.from_json` reads the kind that the text names.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise InputError(f"{source}: {one_line(error, cls)}") from None
        except InputError as error:
            raise InputError(f"{source}: {error}") from None

    def to_json(self) -> str:
        """All fields, one per line; `from_json` gives back an equal spec."""
        return self.model_dump_json(indent=2) + "\n"

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """The fields that differ from their default, and the kind: what the hash is made of."""
        kind = self.model_dump(mode="json", include={"kind"})  # which always differs from that of another kind
        return kind | self.model_dump(mode="json", exclude_defaults=True)

    @functools.cached_property
    def run_id(self) -> str:
        """Readable name and hash, and the record's folder: cifar10-500-inception-random_labels-s0-1a2b3c4d5e."""
        text = json.dumps(self.identity, sort_keys=True, separators=(",", ":"))
        name = re.sub(r"[^a-zA-Z0-9_.+-]", "_", "-".join(self.words))[:NAME].rstrip("-")
        return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    @property
    def named(self) -> list[tuple[str, str]]:
        """What it names of the catalog, as (kind, name)."""
        return [("data", self.data)]

    @property
    def plug_ins(self) -> dict[str, str]:
        """Digests of the files that it names and this package does not hold: {"models/mine": "1a2b3c4d5e6f"}.

        Those that they import from the folders of plug-ins are among them: {"models/_shared": "6f5e4d3c2b1a"}.
        """
        found: dict[str, str] = {}
        for kind, name in self.named:
            entry = catalog.find(kind, name)
            found |= {f"{kind}/{name}": entry.digest, **entry.helpers} if entry.digest else {}
        return found

    @property
    def described(self) -> tuple[Column, ...]:
        """The columns of this run's curve, in order."""
        return self.COLUMNS

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(column.name for column in self.described)

    @property
    def shown(self) -> dict[str, Any]:
        """What `rethinking show` says of it, by name: what identifies it, and its data, network and seed."""
        always = ("data", "n", "model", "seed")
        fields = self.model_dump(mode="json", include=set(always))
        return {name: fields[name] for name in always if name in fields} | self.identity

    @property
    def command(self) -> str:
        """The command that makes such a run, where no engine does: nothing where one does."""
        return ""

    @property
    def kept(self) -> tuple[str, ...]:
        """What its record holds in arrays.npz."""
        return ()

    def misfit(self, arrays: "dict[str, np.ndarray]") -> str | None:
        """Why these cannot be the arrays that a record of this spec holds, in words; None where they can."""
        names = ", ".join(sorted(arrays)) or "none"
        return None if set(arrays) == set(self.kept) else f"it holds {names}, expected {', '.join(self.kept) or 'none'}"

    def contradiction(self, result: dict[str, Any], curve: dict[str, list]) -> str | None:
        """Why a result and a curve, each sound, cannot be of one run of this spec; None where they can.

        Args:
            result: what result.json holds. curve: column -> values, one an evaluation.

        Returns:
            A phrase that begins with the name of the file that is wrong.
        """
        return None if result["status"] == "computed" else f"result.json says {result['status']} of what is computed"

    @property
    def words(self) -> list[str]:
        """The readable part of the run's name."""
        raise NotImplementedError

    def summary(self, row: dict[str, Any]) -> str:
        """What a row of the curve says, in a phrase."""
        raise NotImplementedError

    def replace(self, **fields: Any) -> Self:
        """A validated copy with some fields changed. Raises InputError."""
        return type(self).make(**{k: getattr(self, k) for k in type(self).model_fields} | fields)


class ImagesSpec(Spec):
    """A spec of the first n images of a data set.

    Attributes:
        data, n: as in Spec.
    """

    data: str = Field(default="cifar10", description="Data set.")
    n: Positive | None = Field(
        default=None, description="The first n training images, in the official order; default all."
    )

    @model_validator(mode="before")
    @classmethod
    def _resolve_n(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}  # JSON has no tuples
        data, n = (given.get(key, cls.model_fields[key].default) for key in ("data", "n"))
        if isinstance(data, str) and n is None:
            given["n"] = catalog.find("data", data).constants["SIZES"]["train"]
        return given

    @model_validator(mode="after")
    def _check_n(self) -> Self:
        size = catalog.find("data", self.data).constants["SIZES"]["train"]
        if self.n is not None and self.n > size:
            raise ValueError(f"n is {self.n}, {self.data} has {size} training images: give 1 to {size}")
        return self


def misended(result: dict[str, Any], steps: list[int], ended: dict[str, bool]) -> str | None:
    """Why a training's result and curve contradict each other; None where they do not. ended: how the curve ends."""
    if steps[0] != 0 or any(a >= b for a, b in pairwise(steps)):
        return "curve.csv: steps do not rise from 0"
    status = result["status"]
    return None if ended.get(status, False) else f"result.json says {status}, which its curve does not"
