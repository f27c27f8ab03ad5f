"""The shape of a drawn figure's .json, and of what a picture says of itself: checked once, where they are read."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from rethinking import plotting
from rethinking.claims import Verdict
from rethinking.errors import InputError
from rethinking.figures._setting import MOST_SEEDS, SCALES
from rethinking.files import json_of
from rethinking.record import digests
from rethinking.revision import VERSION

LARGEST = 20_000_000  # bytes of a .json; the largest committed one has 230,000
ADVICE = "draw it again, or move it away"
Run = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.+-]+-[0-9a-f]{10}$")]


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Run(_Shape):
    commit: str | None
    torch: str | None
    device_name: str | None
    seconds: Annotated[float, Field(ge=0)] | None
    threads: Annotated[int, Field(ge=1)] = 1


# A claim in a .json is a verdict, and has the fields of one.
_FIELDS: dict[str, Any] = {name: (kind, ...) for name, kind in get_type_hints(Verdict, include_extras=True).items()}
_Claim: Any = create_model("_Claim", __base__=_Shape, **_FIELDS)


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
    finding: str | None = None
    departures: list[str]
    table: list[Annotated[dict[str, Any], Field(min_length=1)]] = []
    claims: list[_Claim]
    runs: dict[Run, _Run]
    missing: list[Run]
    digests: dict[str, str] = {}


class About(_Of):
    """What a picture says of itself, see rethinking.figures.provenance."""

    claims: list[str]
    runs: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    commits: list[str] = []  # none in a picture of an earlier version
    version: str


class Slides(_Shape):
    """What slides say of themselves, or one of all figures."""

    slides: Annotated[list[About], Field(min_length=1)]


class Compared(_Shape):
    """What a plot of two sides says of itself. compare: their names. runs: of both, sorted, each once."""

    compare: Annotated[list[str], Field(min_length=2, max_length=2)]
    runs: list[Run]
    commits: list[str]
    version: str


def provenance(told: dict[str, Any]) -> dict[str, Any]:
    """What a picture says of itself, from its numbers.

    The commit of the code that drew it is not among it, as a picture is drawn to the same bytes by every commit of a
    version.

    Returns:
        figure, scale, model, seeds, asked; claims, their ids; runs, as `digest_of` has them; commits, those that the
        runs were made with, sorted; version, of this package.
    """
    setting = {key: told[key] for key in ("figure", "scale", "model", "seeds", "asked")}
    commits = sorted({str(made["commit"]) for made in told["runs"].values()})
    facts = {"claims": [c["id"] for c in told["claims"]], "runs": digest_of(told["runs"]), "commits": commits}
    return setting | facts | {"version": VERSION}


def digest_of(runs: Iterable[str]) -> str:
    """The SHA-256 of the names of the runs that a picture was drawn from, sorted, each with a line break after it."""
    names = "".join(f"{run}\n" for run in sorted(runs))
    return f"sha256:{hashlib.sha256(names.encode()).hexdigest()}"


def drawn(path: Path) -> dict[str, Any]:
    """What a drawn figure's .json holds: its numbers and, as a record's result.json, the digests that bind them.

    digests    SHA-256 of each picture that was drawn with it, by name
    digest     SHA-256 of the rest, see `digests.of_result`

    Raises:
        InputError: it is no drawn figure, of which the line names the key; or it was changed. One drawn by an earlier
        version has no digests.
    """
    numbers = _checked(json_of(path, ADVICE, LARGEST), Numbers, f"{path} is not a drawn figure", ADVICE)
    held = digests.OWN & numbers.keys()
    if held and not (held == digests.OWN and numbers["digest"] == digests.of_result(numbers)):
        raise InputError(f"{path} was changed since it was drawn, by its own SHA-256: {ADVICE}")
    return numbers


def unbound(numbers: dict[str, Any]) -> dict[str, Any]:
    """What a drawn figure's .json holds, without its digests: what its records give."""
    return {key: value for key, value in numbers.items() if key not in digests.OWN}


def wrong_pictures(path: Path, numbers: dict[str, Any]) -> list[str]:
    """What is wrong with the pictures of a drawn figure, a line each: they must be those drawn with its .json.

    Args:
        path: the .json, which holds `numbers`.
    """
    again = f"draw {numbers['figure']} again with --redraw"
    if "digests" not in numbers:
        return [f"{path} holds no digests of its pictures, as of an earlier version: {again}"]
    held, found = numbers["digests"], []
    there = {f"{path.stem}.{form}" for form in plotting.FORMATS if path.with_suffix(f".{form}").is_file()}
    for name in sorted(held.keys() | there):
        picture = path.with_name(name)
        if name not in there:
            found.append(f"{picture} is missing: {again}")
        elif name not in held:
            found.append(f"{picture} was not drawn with {path.name}: move it away, or {again}")
        elif digests.sha256(picture) != held[name]:
            found.append(f"{picture} is not the picture drawn with {path.name}, by its SHA-256: {again}")
    return found


def about(path: Path) -> dict[str, Any]:
    """What a picture says of itself, in the shape of About, Slides or Compared. Raises InputError where it does not."""
    held = plotting.about(path)
    shape: type[BaseModel] = Slides if "slides" in held else Compared if "compare" in held else About
    return _checked(held, shape, f"{path} does not say what it was drawn from", "draw it again")


def _checked(held: dict[str, Any], shape: type[BaseModel], what: str, advice: str) -> dict[str, Any]:
    try:
        shape.model_validate(held)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise InputError(f"{what} ({'.'.join(map(str, first['loc']))}: {first['msg']}): {advice}") from None
    return held
