"""The distribution `rethinking`."""

from setuptools import find_packages, setup

setup(
    name="rethinking",
    version="0.1.0",
    description="A replication of 'Understanding deep learning requires rethinking generalization' (ICLR 2017)",
    license="MIT",
    python_requires=">=3.11",
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
        "test": [
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
