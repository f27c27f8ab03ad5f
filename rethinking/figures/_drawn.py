"""The shape of a drawn figure's .json, and of what a picture says of itself: checked once, where they are read."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rethinking import plotting
from rethinking.errors import InputError
from rethinking.figures._setting import MOST_SEEDS, SCALES
from rethinking.files import json_of

LARGEST = 20_000_000  # bytes of a .json; the largest committed one has 230,000
ADVICE = "draw it again, or move it away"
Count = Annotated[int, Field(ge=0, lt=2**63)]
Run = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.+-]+-[0-9a-f]{10}$")]


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Run(_Shape):
    commit: str | None
    torch: str | None
    device_name: str | None
    seconds: Annotated[float, Field(ge=0)] | None


class _Claim(_Shape):
    id: str
    own: bool
    name: str
    source: str
    statement: str
    paper: str
    tolerance: str
    verdict: str
    ours: str | None
    n: list[Count]
    seeds: Count
    reason: str | None
    numbers: dict[str, list[float | None]]


class _Of(_Shape):
    """What it is of. seeds: those of the figure, or `asked` for."""

    figure: str
    scale: Literal[SCALES]  # type: ignore[valid-type]
    model: str
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)]
    asked: bool


class Numbers(_Of):
    """A drawn figure's .json. Besides, it may have whatever a figure plots."""

    data: str = ""  # of another data set than the paper's
    crop: Annotated[int, Field(ge=1)] | None = None
    caption: str
    departures: list[str]
    table: list[Annotated[dict[str, Any], Field(min_length=1)]] = []
    claims: list[_Claim]
    runs: dict[Run, _Run]
    missing: list[Run]
    formats: list[Literal[tuple(plotting.FORMATS)]] = []  # type: ignore[valid-type]


class About(_Of):
    """What a picture says of itself, see rethinking.figures.provenance."""

    claims: list[str]
    runs: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    version: str


def drawn(path: Path) -> dict[str, Any]:
    """The numbers of a drawn figure's .json. Raises InputError, which names the key, where it is not one."""
    return _checked(json_of(path, ADVICE, LARGEST), Numbers, f"{path} is not a drawn figure", ADVICE)


def about(path: Path) -> dict[str, Any]:
    """What a picture says of itself. Raises InputError where it does not."""
    advice = "draw it again with --redraw"
    return _checked(plotting.about(path), About, f"{path} does not say what it was drawn from", advice)


def _checked(held: dict[str, Any], shape: type[BaseModel], what: str, advice: str) -> dict[str, Any]:
    try:
        shape.model_validate(held)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise InputError(f"{what} ({'.'.join(map(str, first['loc']))}: {first['msg']}): {advice}") from None
    return held
