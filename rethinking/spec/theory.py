"""The specs of runs that train no network. Importing them imports no torch."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from rethinking.spec.base import Positive, Seed, Spec
from rethinking.spec.part import Part, canonical_corruptions

PER_FILTER = 8  # features that a convolutional filter gives: two signs, four quadrants

NonNegative = Annotated[float, Field(ge=0)]
Above0 = Annotated[float, Field(gt=0)]


class Theorem1Spec(Spec):
    """The network of Theorem 1 or its corollary, built for the first n images (see rethinking.theory.theorem1).

    Attributes:
        data, n: as in Spec. corruptions: of labels; random labels by default.
        depth: k, layers of weights. construction: "chosen", direction and biases chosen against rounding, or "random",
        a random direction with biases in the middles of the gaps. data_seed: of the corruptions. seed: of directions.
    """

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "step",
        "depth",
        "width",
        "weights",  # trainable numbers: for depth 2 the theorem's 2n + d
        "nonzeros",  # as wired, with the fixed ones that carry a.x and the sum
        "gap",  # smallest, of neighbours with different labels, as a fraction of the projections' range
        "eigenvalue",  # Lemma 1's smallest, for a direction of length 1 and pixels from 0 to 1
        "condition",  # lower bound of the condition number of A
        "largest_weight",  # in the same units
        "module_error",  # largest |c(x_i) - y_i| of the module's own evaluation
        "plain_error",  # of the plain pass, layer by layer
        "plain_right",  # fraction of labels that rounding the plain pass recovers
        "project_seconds",  # one product X @ a
        "sort_seconds",  # one sort of n numbers
        "construction_seconds",
        "plain_seconds",
        "module_seconds",
    )
    INTEGERS: ClassVar[frozenset[str]] = frozenset({"step", "depth", "width", "weights", "nonzeros"})
    VARYING: ClassVar[frozenset[str]] = frozenset(c for c in COLUMNS if c.endswith("seconds"))
    ALONE: ClassVar[bool] = True  # for its times
    RUNNER: ClassVar[str] = "rethinking.theory.theorem1"

    kind: Literal["theorem1"] = "theorem1"
    corruptions: tuple[Part, ...] = (Part(name="random_labels"),)
    depth: Annotated[int, Field(ge=2, le=100)] = 2
    construction: Literal["chosen", "random"] = "chosen"
    data_seed: Seed = 0
    seed: Seed = 0

    @property
    def steps(self) -> int:
        return 1

    @property
    def precision(self) -> str:
        return "float64"

    @model_validator(mode="after")
    def _check(self) -> "Theorem1Spec":
        object.__setattr__(self, "corruptions", canonical_corruptions(self.corruptions))
        return self

    @property
    def named(self) -> list[tuple[str, str]]:
        return [*super().named, *(("corruptions", p.name) for p in self.corruptions)]

    @property
    def words(self) -> list[str]:
        return ["theorem1", self.data, str(self.n), self.construction, f"k{self.depth}", f"s{self.seed}"]

    def summary(self, row: dict[str, Any]) -> str:
        return (
            f"{row['weights']} weights, off by {row['module_error']:.1e}, by {row['plain_error']:.1e} in the plain pass"
        )


class KernelSpec(Spec):
    """Minimum-norm interpolation, (K + penalty I) alpha = Y, one row a filter count and penalty (see min_norm.py).

    Attributes:
        data, n: as in Spec.
        features: what the kernel looks at: "pixels" / 255, "gabor" or "conv".
        kernel: "gaussian", exp(-gamma |x - y|^2) with gamma = `width` / the median squared distance of training points,
        or "linear", x.y over its mean on the diagonal.
        filters: of "conv", ascending, each count solved for from one sum of kernel matrices. Counts with fewer
        features than images have no row for penalty 0.
        penalties: l2, added to the diagonal, in units of the kernel's mean diagonal; 0 interpolates.
        tolerance: relative residual at which refinement ends.
        seed: of filters and of the subsample whose distances are taken.
    """

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "step",
        "filters",
        "features",  # numbers that an image becomes
        "gamma",
        "penalty",
        "first_residual",  # |Y - (K + penalty) alpha| / |Y| of the float32 solution
        "residual",  # the same after refinement
        "refinements",  # products with the kernel matrix in float64
        "norm",  # sqrt(tr alpha^T K alpha)
        "train_error",
        "test_error",
        "test_images",
        "kernel_seconds",  # features and kernel matrices, for "conv" since the last count
        "factor_seconds",
        "refine_seconds",
        "seconds",  # all of this row
        "lapack_seconds",  # torch.linalg.cholesky alone at this n, extrapolated as n^3 from 8,000 points
        "peak_gigabytes",  # of the process so far (or of the GPU), 10^9 bytes
    )
    INTEGERS: ClassVar[frozenset[str]] = frozenset({"step", "filters", "features", "refinements", "test_images"})
    VARYING: ClassVar[frozenset[str]] = frozenset(c for c in COLUMNS if c.endswith(("seconds", "gigabytes")))
    ALONE: ClassVar[bool] = True
    RUNNER: ClassVar[str] = "rethinking.theory.min_norm"

    kind: Literal["kernel"] = "kernel"
    data: str = "mnist"
    features: Literal["pixels", "gabor", "conv"] = "pixels"
    kernel: Literal["gaussian", "linear"] = "gaussian"
    width: Above0 = 1.0
    filters: tuple[Positive, ...] = ()
    penalties: Annotated[tuple[NonNegative, ...], Field(min_length=1)] = (0.0,)
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 5e-6
    seed: Seed = 0

    @property
    def steps(self) -> int:
        return 100  # per cent, for the progress line

    @property
    def precision(self) -> str:
        return "float32 factor, float64 residuals"

    @model_validator(mode="after")
    def _check(self) -> "KernelSpec":
        if (self.features == "conv") != bool(self.filters):
            raise ValueError(f"features is {self.features!r} with filters {self.filters}: filters are for 'conv' only")
        if list(self.filters) != sorted(set(self.filters)):
            raise ValueError(f"filters is {self.filters}: give rising numbers")
        if self.features == "conv" and self.kernel != "linear":
            raise ValueError("features 'conv' go with kernel 'linear': their number is too large for distances")
        if self.kernel == "linear" and self.width != 1.0:
            raise ValueError(f"width is {self.width:g} with kernel 'linear', which has none: leave it out")
        assert self.n is not None
        if self.filters and 0 in self.penalties and PER_FILTER * self.filters[-1] < self.n:
            raise ValueError(
                f"filters ends at {self.filters[-1]}, which is {PER_FILTER * self.filters[-1]} features for {self.n} "
                f"images: nothing interpolates; give at least {-(-self.n // PER_FILTER)}, or penalties above 0"
            )
        return self

    @property
    def words(self) -> list[str]:
        parts = [self.kernel, self.data, str(self.n), self.features]
        parts += [f"f{self.filters[-1]}"] if self.filters else [f"w{self.width:g}"]
        parts += [] if self.penalties == (0.0,) else [f"l{p:g}" for p in self.penalties]
        return [*parts, f"s{self.seed}"]

    def summary(self, row: dict[str, Any]) -> str:
        filters = f"{row['filters']} filters, " if row["filters"] else ""
        return (
            f"{filters}penalty {row['penalty']:g}: test error {100 * row['test_error']:.2f} %, norm {row['norm']:.1f}, "
            f"residual {row['residual']:.1e}"
        )


class LinearSpec(Spec):
    """A linear model of the first n images that fits them, found by SGD or made to generalize badly (see linear.py).

    Attributes:
        data, n: as in Spec. whitened: each image whitened as for training, or pixels / 255.
        solution: "sgd", from zero; "minimum", of least norm; "random_centres", sum_j alpha_j z_j, z_j Gaussian noise;
        "test_labels", of least norm among those that also fit random labels on the first `extra` test images.
        steps: of SGD, one image each. eval_every: steps between rows.
        data_seed: of random centres and labels. seed: of SGD's order.
    """

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "step",
        "epoch",
        "distance",  # |W - W*| / |W*|, W* the solution of least norm
        "residual",  # |X W - Y| / |Y|
        "norm",  # |W|
        "train_error",
        "test_error",  # of all test images; for "test_labels", of all it was not spoilt on
        "test_images",
        "condition",  # of X X^T
        "rate",  # of convergence predicted per epoch: -d log distance / d epoch, from the smallest eigenvalue
    )
    INTEGERS: ClassVar[frozenset[str]] = frozenset({"step", "test_images"})
    RUNNER: ClassVar[str] = "rethinking.theory.linear"

    kind: Literal["linear"] = "linear"
    n: Positive | None = 300
    whitened: bool = True
    solution: Literal["sgd", "minimum", "random_centres", "test_labels"] = "sgd"
    extra: Positive = 1000
    steps: Positive = 600_000
    eval_every: Positive = 6000
    data_seed: Seed = 0
    seed: Seed = 0

    @property
    def precision(self) -> str:
        return "float64"

    @property
    def words(self) -> list[str]:
        look = "whitened" if self.whitened else "raw"
        return ["linear", self.data, str(self.n), look, self.solution, f"s{self.seed}"]

    def summary(self, row: dict[str, Any]) -> str:
        return (
            f"distance {row['distance']:.1e} from the solution of least norm, norm {row['norm']:.3g}, "
            f"test error {100 * row['test_error']:.1f} %"
        )


class TwoWeightsSpec(Spec):
    """Least squares in two weights, held in L1 and L2 balls of rising radius (see two_weights.py).

    Attributes:
        data, n: as in Spec. radii: number of radii, evenly spaced from 0 to the norm of the free solution.
    """

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "step",
        "radius",  # as a fraction of the free solution's norm, L1 or L2
        "l1_first",  # the solution in the L1 ball
        "l1_second",
        "l1_loss",
        "l2_first",  # in the L2 ball
        "l2_second",
        "l2_loss",
        "curvature_first",  # loss(w) = offset + w^T H w - 2 b^T w, H of these three
        "curvature_second",
        "curvature_both",
        "slope_first",  # b
        "slope_second",
        "offset",
    )
    RUNNER: ClassVar[str] = "rethinking.theory.two_weights"

    kind: Literal["two_weights"] = "two_weights"
    n: Positive | None = 2000
    radii: Annotated[int, Field(ge=2)] = 101

    @property
    def steps(self) -> int:
        return self.radii

    @property
    def precision(self) -> str:
        return "float64"

    @property
    def words(self) -> list[str]:
        return ["two_weights", self.data, str(self.n)]

    def summary(self, row: dict[str, Any]) -> str:
        return f"free solution ({row['l2_first']:.3f}, {row['l2_second']:.3f}), loss {row['l2_loss']:.4f}"
