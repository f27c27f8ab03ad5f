"""A published work, and how it is cited."""

import re
from dataclasses import dataclass, field
from functools import partial

AISTATS = "International Conference on Artificial Intelligence and Statistics (AISTATS)"
CVPR = "IEEE Conference on Computer Vision and Pattern Recognition (CVPR)"
ECCV = "European Conference on Computer Vision (ECCV)"
ICLR = "International Conference on Learning Representations (ICLR)"
ICML = "International Conference on Machine Learning (ICML)"
NIPS = "Advances in Neural Information Processing Systems"


@dataclass(frozen=True)
class Work:
    """A published work.

    Attributes:
        kind: BibTeX's entry type. authors: "Family, Given" each, or one name, "Yousan AI". place: the journal,
        proceedings, book, publisher or institution. more: other fields under BibTeX's names: volume, number, pages,
        doi, eprint (an arXiv identifier), origtitle. letter: after the year in the key and after "et al.",
        where an author has two works of one year.
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
        return [f"{first} et al. {self.year}{self.letter}", all_of_them]


def work(kind: str, authors: str, year: int, title: str, place: str = "arXiv", letter: str = "", **more: str) -> Work:
    return Work(kind, tuple(authors.split("; ")), year, title, place, more, letter)


presented, preprint = partial(work, "inproceedings"), partial(work, "misc")
