"""The specs of runs that train no network. Importing them imports no torch."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from rethinking.spec.base import Column, ImagesSpec, Positive, Seed
from rethinking.spec.part import Part, canonical_corruptions

PER_FILTER = 8  # features that a convolutional filter gives: two signs, four quadrants

NonNegative = Annotated[float, Field(ge=0)]
Above0 = Annotated[float, Field(gt=0)]


class Theorem1Spec(ImagesSpec):
    """The network of Theorem 1 or its corollary, built for the first n images (see rethinking.theory.theorem1).

    Attributes:
        data, n: as in Spec. corruptions: of labels; random labels by default.
        depth: k, layers of weights. construction: "chosen", direction and biases chosen against rounding, or "random",
        a random direction with biases in the middles of the gaps. data_seed: of the corruptions. seed: of directions.
    """

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("step", "always 1: one network is built", "networks", whole=True),
        Column("depth", "layers of weights", "layers", whole=True),
        Column("width", "hidden units of a layer", "units", whole=True),
        Column("weights", "trainable numbers: for depth 2 the theorem's 2n + d", "numbers", whole=True),
        Column("nonzeros", "as wired, with the fixed ones that carry a.x and the sum", "numbers", whole=True),
        Column("gap", "smallest, of neighbours with different labels", "fraction of the projections' range"),
        Column("eigenvalue", "Lemma 1's smallest, for a direction of length 1 and pixels from 0 to 1", "1"),
        Column("condition", "lower bound of the condition number of A", "1"),
        Column("largest_weight", "for a direction of length 1 and pixels from 0 to 1", "1"),
        Column("module_error", "largest |c(x_i) - y_i| of the module's own evaluation", "1"),
        Column("plain_error", "of the plain pass, layer by layer", "1"),
        Column("plain_right", "labels that rounding the plain pass recovers", "fraction"),
        Column("project_seconds", "one product X @ a", "seconds", varying=True),
        Column("sort_seconds", "one sort of n numbers", "seconds", varying=True),
        Column("construction_seconds", "the whole construction", "seconds", varying=True),
        Column("plain_seconds", "the plain pass", "seconds", varying=True),
        Column("module_seconds", "the module's own evaluation", "seconds", varying=True),
    )

    steps: ClassVar[int] = 1
    precision: ClassVar[str] = "float64"
    kind: Literal["theorem1"] = "theorem1"
    corruptions: tuple[Part, ...] = (Part(name="random_labels"),)
    depth: Annotated[int, Field(ge=2, le=100)] = 2
    construction: Literal["chosen", "random"] = "chosen"
    data_seed: Seed = 0
    seed: Seed = 0

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


class KernelSpec(ImagesSpec):
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

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("step", "rows so far, this one included", "rows", whole=True),
        Column("filters", "of the features; 0 where they are no convolution", "filters", whole=True),
        Column("features", "numbers that an image becomes", "numbers", whole=True),
        Column("gamma", "of the Gaussian kernel exp(-gamma |x - y|^2); 0 for a linear one", "1"),
        Column("penalty", "added to the kernel's diagonal", "its mean diagonal"),
        Column("first_residual", "|Y - (K + penalty) alpha| / |Y| of the float32 solution", "fraction"),
        Column("residual", "the same after refinement", "fraction"),
        Column("refinements", "products with the kernel matrix in float64", "products", whole=True),
        Column("norm", "sqrt(tr alpha^T K alpha)", "1"),
        Column("train_error", "over the training images", "fraction"),
        Column("test_error", "over the test images", "fraction"),
        Column("test_images", "how many test images were measured", "images", whole=True),
        Column(
            "kernel_seconds", "features and kernel matrices, for conv since the last count", "seconds", varying=True
        ),
        Column("factor_seconds", "the factorization", "seconds", varying=True),
        Column("refine_seconds", "the refinement", "seconds", varying=True),
        Column("seconds", "all of this row", "seconds", varying=True),
        Column(
            "lapack_seconds",
            "torch.linalg.cholesky alone at this n, extrapolated as n^3 from 8,000 points",
            "seconds",
            varying=True,
        ),
        Column("peak_gigabytes", "memory of the process so far, or of the GPU", "10^9 bytes", varying=True),
    )

    steps: ClassVar[int] = 100  # per cent, for the progress line
    precision: ClassVar[str] = "float32 factor, float64 residuals"
    kind: Literal["kernel"] = "kernel"
    data: str = "mnist"
    features: Literal["pixels", "gabor", "conv"] = "pixels"
    kernel: Literal["gaussian", "linear"] = "gaussian"
    width: Above0 = 1.0
    filters: tuple[Positive, ...] = ()
    penalties: Annotated[tuple[NonNegative, ...], Field(min_length=1)] = (0.0,)
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 5e-6
    seed: Seed = 0

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


class LinearSpec(ImagesSpec):
    """A linear model of the first n images that fits them, found by SGD or made to generalize badly (see linear.py).

    Attributes:
        data, n: as in Spec. whitened: each image whitened as for training, or pixels / 255.
        solution: "sgd", from zero; "minimum", of least norm; "random_centres", sum_j alpha_j z_j, z_j Gaussian noise;
        "test_labels", of least norm among those that also fit random labels on the first `extra` test images.
        steps: of SGD, one image each. eval_every: steps between rows.
        data_seed: of random centres and labels. seed: of SGD's order.
    """

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("step", "images that SGD has seen; 0 for a solution computed directly", "images", whole=True),
        Column("epoch", "passes over the training set", "epochs"),
        Column("distance", "|W - W*| / |W*|, W* the solution of least norm", "fraction"),
        Column("residual", "|X W - Y| / |Y|", "fraction"),
        Column("norm", "|W|", "1"),
        Column("train_error", "over the training images", "fraction"),
        Column("test_error", "over the test images; for test_labels, over those it was not spoilt on", "fraction"),
        Column("test_images", "how many test images were measured", "images", whole=True),
        Column("condition", "condition number of X X^T", "1"),
        Column("rate", "of convergence predicted from the smallest eigenvalue: -d log distance", "1 / epoch"),
    )

    precision: ClassVar[str] = "float64"
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
    def words(self) -> list[str]:
        look = "whitened" if self.whitened else "raw"
        return ["linear", self.data, str(self.n), look, self.solution, f"s{self.seed}"]

    def summary(self, row: dict[str, Any]) -> str:
        return (
            f"distance {row['distance']:.1e} from the solution of least norm, norm {row['norm']:.3g}, "
            f"test error {100 * row['test_error']:.1f} %"
        )


class TwoWeightsSpec(ImagesSpec):
    """Least squares in two weights, held in L1 and L2 balls of rising radius (see two_weights.py).

    Attributes:
        data, n: as in Spec. radii: number of radii, evenly spaced from 0 to the norm of the free solution.
    """

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("step", "radii so far, before this one", "radii", whole=True),
        Column("radius", "of both balls", "the free solution's norm, L1 or L2"),
        Column("l1_first", "first weight of the solution in the L1 ball", "1"),
        Column("l1_second", "second weight of the same", "1"),
        Column("l1_loss", "of the same", "1"),
        Column("l2_first", "first weight of the solution in the L2 ball", "1"),
        Column("l2_second", "second weight of the same", "1"),
        Column("l2_loss", "of the same", "1"),
        Column("curvature_first", "H_11, where loss(w) = offset + w^T H w - 2 b^T w", "1"),
        Column("curvature_second", "H_22", "1"),
        Column("curvature_both", "H_12", "1"),
        Column("slope_first", "b_1", "1"),
        Column("slope_second", "b_2", "1"),
        Column("offset", "the loss of w = 0", "1"),
    )

    precision: ClassVar[str] = "float64"
    kind: Literal["two_weights"] = "two_weights"
    n: Positive | None = 2000
    radii: Annotated[int, Field(ge=2)] = 101

    @property
    def steps(self) -> int:
        return self.radii

    @property
    def words(self) -> list[str]:
        return ["two_weights", self.data, str(self.n)]

    def summary(self, row: dict[str, Any]) -> str:
        return f"free solution ({row['l2_first']:.3f}, {row['l2_second']:.3f}), loss {row['l2_loss']:.4f}"
