"""The distribution `rethinking`.

A wheel brings the committed records and drawn figures along, as one archive that `rethinking.record.bundle` reads, and
the commit that it was built from, which `rethinking.revision` reads.
"""

import subprocess
import tarfile
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent


def evidence() -> list[Path]:
    """The committed files of records and figures; in a source distribution, which has no git, those that are there."""
    git = ["git", "-C", str(HERE), "ls-files", "-z", "--", "runs", "figures"]
    try:
        listed = subprocess.run(git, capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = []
    found = [HERE / name for name in listed if name]
    found = found or [p for folder in ("runs", "figures") for p in (HERE / folder).rglob("*")]
    return sorted(p for p in found if p.is_file() and p.suffix != ".safetensors")


def commit() -> str:
    """The commit of this clone, "+changes" where tracked files of the package differ; nothing where it is no clone."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(HERE), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if not git("ls-files", "--", "rethinking/__init__.py"):  # the repository is another's
            return ""
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "rethinking")
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


class BuildPy(build_py):
    """Adds commit and archive, the same bytes every time, but where a clone is installed to be edited."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode and (known := commit()):
            Path(self.build_lib, "rethinking", "commit.txt").write_text(f"{known}\n")
        files = [] if self.editable_mode else evidence()
        if not files:
            return
        with tarfile.open(Path(self.build_lib, "rethinking", "record", "evidence.tar.xz"), "w:xz") as archive:
            for file in files:
                about = tarfile.TarInfo(file.relative_to(HERE).as_posix())
                about.size = file.stat().st_size
                with file.open("rb") as stream:
                    archive.addfile(about, stream)


setup(
    name="rethinking",
    version="0.1.0",
    description="A replication of 'Understanding deep learning requires rethinking generalization' (ICLR 2017)",
    license="MIT",
    python_requires=">=3.11",
    cmdclass={"build_py": BuildPy},
    packages=find_packages(include=["rethinking", "rethinking.*"]),
    package_data={"rethinking.report": ["page.html"]},
    install_requires=[
        "torch>=2.11",
        "torchvision>=0.26",
        "numpy>=2.0",
        "pandas>=3.0",
        "seaborn>=0.13.2",
        "matplotlib>=3.9",
        "click>=8.1",
        "jinja2>=3.1.5",
        "pydantic>=2.9",
        "platformdirs>=4.0",
        "safetensors>=0.4.5",
        "tqdm>=4.66",
    ],
    extras_require={
        "tensorboard": ["tensorboard>=2.17"],
        "ray": ["ray>=2.50"],
        "test": [
            "ray>=2.50",
            "tensorboard>=2.17",
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "hypothesis>=6.100",
            "scipy>=1.13",
            "setuptools>=77",
            "scikit-learn>=1.5",
            "ruff>=0.9",
            "mypy>=1.14",
        ],
        "docs": [
            "sphinx>=9.0",
            "myst-parser>=5.0",
            "furo>=2025.12",
            "sphinx-click>=6.2",
            "sphinxcontrib-bibtex>=2.7",
        ],
    },
    entry_points={"console_scripts": ["rethinking = rethinking.__main__:main"]},
)
