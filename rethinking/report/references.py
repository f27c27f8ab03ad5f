"""The works that this package's docstrings and its documentation cite, as data: what a figure's methods come from.

A docstring cites by author and year, "Wan et al. 2013" or "Ioffe & Szegedy 2015"; `cited` finds these in a text.
"""

import ast
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import rethinking
from rethinking import catalog, figures
from rethinking.errors import InputError
from rethinking.spec import kind_of

PACKAGE = Path(rethinking.__file__).parent


@dataclass(frozen=True)
class Work:
    """A published work.

    Attributes:
        kind: BibTeX's entry type. authors: "Family, Given" each. place: the journal, proceedings, book, publisher or
        institution. more: other fields under BibTeX's names: volume, number, pages, doi, eprint (an arXiv identifier).
        letter: after the year in the key, where an author has two works of one year.
    """

    kind: str
    authors: tuple[str, ...]
    year: int
    title: str
    place: str
    more: dict[str, str] = field(default_factory=dict, hash=False)
    letter: str = ""

    @property
    def families(self) -> list[str]:
        """The authors' family names."""
        return [name.partition(",")[0] for name in self.authors]

    @property
    def key(self) -> str:
        """What it is cited by in BibTeX: "wan2013"."""
        return re.sub("[^a-z]", "", self.families[0].lower()) + f"{self.year}{self.letter}"

    @property
    def names(self) -> list[str]:
        """How a docstring may cite it."""
        first, *rest = self.families
        if not rest:
            return [f"{first} {self.year}"]
        if len(rest) == 1:
            return [f"{first} & {rest[0]} {self.year}"]
        all_of_them = f"{', '.join(self.families[:-1])} & {self.families[-1]} {self.year}"
        return [f"{first} et al. {self.year}", all_of_them]


def _work(kind: str, authors: str, year: int, title: str, place: str, letter: str = "", **more: str) -> Work:
    return Work(kind, tuple(authors.split("; ")), year, title, place, more, letter)


_NIPS = "Advances in Neural Information Processing Systems"
_CVPR = "IEEE Conference on Computer Vision and Pattern Recognition (CVPR)"
_ICLR = "International Conference on Learning Representations (ICLR)"
_ICML = "International Conference on Machine Learning (ICML)"
_ECCV = "European Conference on Computer Vision (ECCV)"
_AISTATS = "International Conference on Artificial Intelligence and Statistics (AISTATS)"

PAPER = _work(
    "inproceedings",
    "Zhang, Chiyuan; Bengio, Samy; Hardt, Moritz; Recht, Benjamin; Vinyals, Oriol",
    2017,
    "Understanding deep learning requires rethinking generalization",
    _ICLR,
    eprint="1611.03530",
)
WORKS = (
    PAPER,
    _work(
        "article",
        "Azulay, Aharon; Weiss, Yair",
        2019,
        "Why do deep convolutional networks generalize so poorly to small image transformations?",
        "Journal of Machine Learning Research",
        volume="20",
        number="184",
        pages="1-25",
        eprint="1805.12177",
    ),
    _work(
        "misc",
        "Ba, Jimmy Lei; Kiros, Jamie Ryan; Hinton, Geoffrey E.",
        2016,
        "Layer normalization",
        "arXiv",
        eprint="1607.06450",
    ),
    _work(
        "article",
        "Bishop, Chris M.",
        1995,
        "Training with noise is equivalent to Tikhonov regularization",
        "Neural Computation",
        volume="7",
        pages="108-116",
    ),
    _work("article", "Breiman, Leo", 1996, "Bagging predictors", "Machine Learning", volume="24", pages="123-140"),
    _work(
        "inproceedings",
        "Coates, Adam; Ng, Andrew; Lee, Honglak",
        2011,
        "An analysis of single-layer networks in unsupervised feature learning",
        _AISTATS,
        pages="215-223",
    ),
    _work(
        "inproceedings",
        "Coates, Adam; Ng, Andrew",
        2011,
        "The importance of encoding versus training with sparse coding and vector quantization",
        _ICML,
        letter="b",
        pages="921-928",
    ),
    _work(
        "incollection",
        "Coates, Adam; Ng, Andrew",
        2012,
        "Learning feature representations with K-means",
        "Neural Networks: Tricks of the Trade, second edition, Springer",
        pages="561-580",
    ),
    _work(
        "inproceedings",
        "Courbariaux, Matthieu; Bengio, Yoshua; David, Jean-Pierre",
        2015,
        "BinaryConnect: training deep neural networks with binary weights during propagations",
        _NIPS,
        volume="28",
        eprint="1511.00363",
    ),
    _work(
        "article",
        "Daugman, John G.",
        1985,
        "Uncertainty relation for resolution in space, spatial frequency, and orientation optimized by two-dimensional "
        "visual cortical filters",
        "Journal of the Optical Society of America A",
        volume="2",
        number="7",
        pages="1160-1169",
    ),
    _work(
        "misc",
        "DeVries, Terrance; Taylor, Graham W.",
        2017,
        "Improved regularization of convolutional neural networks with cutout",
        "arXiv",
        eprint="1708.04552",
    ),
    _work(
        "inproceedings",
        "Ghiasi, Golnaz; Lin, Tsung-Yi; Le, Quoc V.",
        2018,
        "DropBlock: a regularization method for convolutional networks",
        _NIPS,
        volume="31",
        eprint="1810.12890",
    ),
    _work(
        "inproceedings",
        "Glorot, Xavier; Bengio, Yoshua",
        2010,
        "Understanding the difficulty of training deep feedforward neural networks",
        _AISTATS,
        pages="249-256",
    ),
    _work(
        "misc",
        "Golkar, Siavash; Cranmer, Kyle",
        2018,
        "Backdrop: stochastic backpropagation",
        "arXiv",
        eprint="1806.01337",
    ),
    _work(
        "inproceedings",
        "Goodfellow, Ian; Warde-Farley, David; Mirza, Mehdi; Courville, Aaron; Bengio, Yoshua",
        2013,
        "Maxout networks",
        _ICML,
        pages="1319-1327",
        eprint="1302.4389",
    ),
    _work("book", "Goodfellow, Ian; Bengio, Yoshua; Courville, Aaron", 2016, "Deep learning", "MIT Press"),
    _work(
        "inproceedings",
        "He, Kaiming; Zhang, Xiangyu; Ren, Shaoqing; Sun, Jian",
        2016,
        "Deep residual learning for image recognition",
        _CVPR,
        pages="770-778",
        eprint="1512.03385",
    ),
    _work(
        "inproceedings",
        "Huang, Gao; Sun, Yu; Liu, Zhuang; Sedra, Daniel; Weinberger, Kilian Q.",
        2016,
        "Deep networks with stochastic depth",
        _ECCV,
        eprint="1603.09382",
    ),
    _work(
        "inproceedings",
        "Ioffe, Sergey; Szegedy, Christian",
        2015,
        "Batch normalization: accelerating deep network training by reducing internal covariate shift",
        _ICML,
        pages="448-456",
        eprint="1502.03167",
    ),
    _work(
        "techreport",
        "Krizhevsky, Alex",
        2009,
        "Learning multiple layers of features from tiny images",
        "University of Toronto",
    ),
    _work(
        "inproceedings",
        "Krizhevsky, Alex; Sutskever, Ilya; Hinton, Geoffrey E.",
        2012,
        "ImageNet classification with deep convolutional neural networks",
        _NIPS,
        volume="25",
        pages="1097-1105",
    ),
    _work(
        "inproceedings",
        "Krogh, Anders; Hertz, John A.",
        1991,
        "A simple weight decay can improve generalization",
        _NIPS,
        volume="4",
        pages="950-957",
    ),
    _work(
        "article",
        "LeCun, Yann; Bottou, Léon; Bengio, Yoshua; Haffner, Patrick",
        1998,
        "Gradient-based learning applied to document recognition",
        "Proceedings of the IEEE",
        volume="86",
        number="11",
        pages="2278-2324",
        doi="10.1109/5.726791",
    ),
    _work(
        "inproceedings",
        "Li, Xiang; Chen, Shuo; Hu, Xiaolin; Yang, Jian",
        2019,
        "Understanding the disharmony between dropout and batch normalization by variance shift",
        _CVPR,
        pages="2682-2690",
        eprint="1801.05134",
    ),
    _work(
        "inproceedings",
        "Morcos, Ari S.; Barrett, David G. T.; Rabinowitz, Neil C.; Botvinick, Matthew",
        2018,
        "On the importance of single directions for generalization",
        _ICLR,
        eprint="1803.06959",
    ),
    _work(
        "inproceedings",
        "Neyshabur, Behnam; Bhojanapalli, Srinadh; McAllester, David; Srebro, Nathan",
        2017,
        "Exploring generalization in deep learning",
        _NIPS,
        eprint="1706.08947",
    ),
    _work(
        "misc",
        "Neelakantan, Arvind; Vilnis, Luke; Le, Quoc V.; Sutskever, Ilya; Kaiser, Lukasz; Kurach, Karol; Martens, "
        "James",
        2015,
        "Adding gradient noise improves learning for very deep networks",
        "arXiv",
        eprint="1511.06807",
    ),
    _work(
        "article",
        "Parikh, Neal; Boyd, Stephen",
        2014,
        "Proximal algorithms",
        "Foundations and Trends in Optimization",
        volume="1",
        number="3",
        pages="127-239",
    ),
    _work(
        "article",
        "Smith, Alvy Ray",
        1978,
        "Color gamut transform pairs",
        "ACM SIGGRAPH Computer Graphics",
        volume="12",
        number="3",
        pages="12-19",
    ),
    _work(
        "inproceedings",
        "Srebro, Nathan; Shraibman, Adi",
        2005,
        "Rank, trace-norm and max-norm",
        "Conference on Learning Theory (COLT)",
        pages="545-560",
    ),
    _work(
        "article",
        "Srivastava, Nitish; Hinton, Geoffrey; Krizhevsky, Alex; Sutskever, Ilya; Salakhutdinov, Ruslan",
        2014,
        "Dropout: a simple way to prevent neural networks from overfitting",
        "Journal of Machine Learning Research",
        volume="15",
        pages="1929-1958",
    ),
    _work(
        "article",
        "Storn, Rainer; Price, Kenneth",
        1997,
        "Differential evolution - a simple and efficient heuristic for global optimization over continuous spaces",
        "Journal of Global Optimization",
        volume="11",
        number="4",
        pages="341-359",
        doi="10.1023/A:1008202821328",
    ),
    _work(
        "article",
        "Strohmer, Thomas; Vershynin, Roman",
        2009,
        "A randomized Kaczmarz algorithm with exponential convergence",
        "Journal of Fourier Analysis and Applications",
        volume="15",
        number="2",
        pages="262-278",
    ),
    _work(
        "article",
        "Su, Jiawei; Vargas, Danilo Vasconcellos; Sakurai, Kouichi",
        2019,
        "One pixel attack for fooling deep neural networks",
        "IEEE Transactions on Evolutionary Computation",
        volume="23",
        number="5",
        pages="828-841",
        doi="10.1109/TEVC.2019.2890858",
        eprint="1710.08864",
    ),
    _work(
        "inproceedings",
        "Szegedy, Christian; Vanhoucke, Vincent; Ioffe, Sergey; Shlens, Jonathon; Wojna, Zbigniew",
        2016,
        "Rethinking the Inception architecture for computer vision",
        _CVPR,
        pages="2818-2826",
        eprint="1512.00567",
    ),
    _work(
        "article",
        "Tibshirani, Robert",
        1996,
        "Regression shrinkage and selection via the lasso",
        "Journal of the Royal Statistical Society, Series B",
        volume="58",
        number="1",
        pages="267-288",
    ),
    _work(
        "inproceedings",
        "Tompson, Jonathan; Goroshin, Ross; Jain, Arjun; LeCun, Yann; Bregler, Christoph",
        2015,
        "Efficient object localization using convolutional networks",
        _CVPR,
        pages="648-656",
        eprint="1411.4280",
    ),
    _work(
        "inproceedings",
        "Wan, Li; Zeiler, Matthew; Zhang, Sixin; LeCun, Yann; Fergus, Rob",
        2013,
        "Regularization of neural networks using DropConnect",
        _ICML,
        pages="1058-1066",
    ),
    _work(
        "article",
        "Wilson, Edwin B.",
        1927,
        "Probable inference, the law of succession, and statistical inference",
        "Journal of the American Statistical Association",
        volume="22",
        number="158",
        pages="209-212",
        doi="10.1080/01621459.1927.10502953",
    ),
    _work("inproceedings", "Wu, Yuxin; He, Kaiming", 2018, "Group normalization", _ECCV, eprint="1803.08494"),
    _work(
        "misc",
        "Xiao, Han; Rasul, Kashif; Vollgraf, Roland",
        2017,
        "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms",
        "arXiv",
        eprint="1708.07747",
    ),
    _work(
        "inproceedings",
        "Xie, Lingxi; Wang, Jingdong; Wei, Zhen; Wang, Meng; Tian, Qi",
        2016,
        "DisturbLabel: regularizing CNN on the loss layer",
        _CVPR,
        pages="4753-4762",
        eprint="1605.00055",
    ),
    _work(
        "inproceedings",
        "Zeiler, Matthew D.; Fergus, Rob",
        2013,
        "Stochastic pooling for regularization of deep convolutional neural networks",
        _ICLR,
        eprint="1301.3557",
    ),
    _work(
        "inproceedings",
        "Zhang, Hongyi; Cisse, Moustapha; Dauphin, Yann N.; Lopez-Paz, David",
        2018,
        "mixup: beyond empirical risk minimization",
        _ICLR,
        eprint="1710.09412",
    ),
    _work(
        "inproceedings",
        "Zhang, Richard",
        2019,
        "Making convolutional networks shift-invariant again",
        _ICML,
        pages="7324-7334",
        eprint="1904.11486",
    ),
)


def cited(text: str) -> list[Work]:
    """The works that a text names by author and year, or as [zhang2017]; line breaks and commas do not matter."""
    words = " ".join(text.replace("#", " ").split())
    return [w for w in WORKS if any(re.search(rf"\b{re.escape(n)}\b", words) for n in w.names)]


@cache
def _source(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path} cannot be read: mend it, or take its folder out of RETHINKING_PLUGINS") from None


def _texts(path: Path, seen: set[Path]) -> list[str]:
    """A module's source; those of the modules of its own room that it imports; docstrings of the layers it imports."""
    if path in seen or not path.is_file():
        return []
    seen.add(path)
    texts = [_source(path)]
    if not path.is_relative_to(PACKAGE):
        return texts
    room = path.relative_to(PACKAGE).parts[0]
    for node in ast.parse(texts[0]).body:  # what a function imports later is not what the module is made of
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("rethinking."):
            continue
        module = PACKAGE.joinpath(*str(node.module).split(".")[1:])
        if node.module == "rethinking.layers":
            named = {alias.name for alias in node.names}
            layers = ast.parse(_source(PACKAGE / "layers.py")).body
            texts += [
                ast.get_docstring(each) or ""
                for each in layers
                if isinstance(each, ast.ClassDef | ast.FunctionDef) and each.name in named
            ]
        elif room == "theory":
            beside = [module / alias.name for alias in node.names] if module.name == room else [module]
            for each in beside:
                texts += _texts(each.with_suffix(".py"), seen) if each.parent.name == room else []
    return texts


def of_figure(name: str) -> list[Work]:
    """The paper, and the works that a figure and what its runs are made of cite, at any scale. Raises InputError."""
    seen: set[Path] = set()
    texts = _texts(catalog.find("figures", name).path, seen)
    for scale in figures.SCALES:
        for model in catalog.find("figures", name).constants["MODELS"]:
            for spec in figures.unique(figures.specs(name, figures.setting(name, scale, model))):
                module = kind_of(spec).module.split(".")[1:]
                paths = [PACKAGE.joinpath(*module).with_suffix(".py")]
                if module[0] == "training":  # whose networks start as their folder says
                    paths.append(PACKAGE / "models" / "__init__.py")
                for path in [*paths, *(catalog.find(kind, each).path for kind, each in spec.named)]:
                    texts += _texts(path, seen)
    found = {work for text in texts for work in cited(text)} - {PAPER}
    return [PAPER, *sorted(found, key=lambda work: work.key)]
