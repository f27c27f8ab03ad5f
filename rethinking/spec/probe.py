"""The specs of probes: what is measured on a trained network. Importing them imports no torch."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from rethinking import catalog
from rethinking.spec.base import Column, Spec
from rethinking.spec.part import Part, check_options
from rethinking.spec.training import RunSpec


class ProbeSpec(Spec):
    """A probe of the network that a training run ends with.

    The run's whole spec is in it, so the weights can be made again where they are gone. Options of the probe that are
    at their defaults are left out.

    Attributes:
        run: whose network is measured. probe: a file of `probes/`, with options; its columns follow "step".
    """

    COLUMNS: ClassVar[tuple[Column, ...]] = (Column("step", "rows so far, this one included", "rows", whole=True),)

    steps: ClassVar[int] = 1
    kind: Literal["probe"] = "probe"
    run: RunSpec = Field(description="The training run whose network is measured.")
    probe: Part = Field(description="The probe, with its options.")

    @model_validator(mode="after")
    def _check(self) -> "ProbeSpec":
        given = check_options("probes", self.probe.name, self.probe.options)
        own = check_options("probes", self.probe.name, {k: v for k, v in given.items() if k in self._without_default})
        changed = {k: v for k, v in given.items() if k in self._without_default or v != own[k]}
        object.__setattr__(self, "probe", Part(name=self.probe.name, options=changed))
        return self

    @property
    def _entry(self) -> catalog.Entry:
        return catalog.find("probes", self.probe.name)

    @property
    def _without_default(self) -> set[str]:
        return {k for k, option in self._entry.constants.get("OPTIONS", {}).items() if "default" not in option}

    @property
    def options(self) -> dict[str, Any]:
        """All options of the probe, defaults filled in."""
        return check_options("probes", self.probe.name, self.probe.options)

    @property
    def data(self) -> str:
        return self.run.data

    @property
    def n(self) -> int | None:
        return self.run.n

    @property
    def precision(self) -> str:
        return self.run.precision

    @property
    def named(self) -> list[tuple[str, str]]:
        return [("probes", self.probe.name), *self.run.named]

    @property
    def described(self) -> tuple[Column, ...]:
        declared = self._entry.constants["COLUMNS"].items()
        return (*self.COLUMNS, *(Column(name, **facts) for name, facts in declared))

    @property
    def kept(self) -> tuple[str, ...]:
        return tuple(self._entry.constants.get("ARRAYS", {}))

    @property
    def words(self) -> list[str]:
        return ["probe", self.probe.word, *self.run.words]

    @property
    def shown(self) -> dict[str, Any]:
        return {"probe": self.probe.name, **self.options, "run": self.run.run_id}

    def summary(self, row: dict[str, Any]) -> str:
        values = {name: "-" if value is None else f"{value:.4g}" for name, value in row.items() if name != "step"}
        return ", ".join(f"{name} {value}" for name, value in values.items())
