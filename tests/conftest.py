"""Shared by all tests: the toy data set (a plug-in), real data where it is at hand, and no skips in CI."""

import importlib
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# Before rethinking is imported: the tests' plug-ins beside those that whoever calls pytest has named.
_named = [p for p in os.environ.get("RETHINKING_PLUGINS", "").split(os.pathsep) if p]
os.environ["RETHINKING_PLUGINS"] = os.pathsep.join(dict.fromkeys([str(HERE / "plugins"), *_named]))

from rethinking import catalog, data  # noqa: E402
from rethinking.errors import InputError  # noqa: E402

_made = InputError.__init__


def _one_line(error, line):
    """The law of every InputError, wherever a test meets one: it is one line, whatever it was made of."""
    _made(error, line)
    assert "\n" not in str(error), line


InputError.__init__ = _one_line


def real(name: str) -> data.ImageSet:
    """A real data set, or a skip that says how to get it."""
    try:
        return data.load(name)
    except InputError as error:
        pytest.skip(f"{name} is not at hand ({error}): rethinking data fetch {name}")


@pytest.fixture(scope="session")
def cifar10():
    return real("cifar10")


@pytest.fixture(scope="session")
def mnist():
    return real("mnist")


@pytest.fixture(scope="session")
def toy_dir(tmp_path_factory):
    """A data folder that holds the toy set."""
    folder = tmp_path_factory.mktemp("data")
    data.fetch("toy", folder)
    return folder


@pytest.fixture(scope="session")
def toy(toy_dir):
    return data.load("toy", toy_dir)


@pytest.fixture(scope="session")
def toy_runs(toy_dir, tmp_path_factory):
    """A folder of records: the four of toyfig, and that of `command.RUN`; not to be changed."""
    from command import RUN_SPEC

    from rethinking import figures
    from rethinking.engines.execute import execute
    from rethinking.record import Runs

    runs = Runs(tmp_path_factory.mktemp("records"))
    for spec in (*figures.unique(figures.specs("toyfig", figures.setting("toyfig"))), RUN_SPEC):
        assert execute(spec, runs, data_dir=str(toy_dir))
    return runs.root


@pytest.fixture(scope="session")
def results():
    """The committed figures that are evidence, as their files have them, by rank."""
    from rethinking import figures
    from rethinking.report.model import Result

    files = sorted((HERE.parent / "figures").glob("*.json"))
    made = [(numbers, figures.setting_of(numbers)) for numbers in map(figures.drawn, files)]
    found = [Result(n["figure"], setting, figures.stem(n["figure"], setting), n) for n, setting in made]
    return sorted((each for each in found if each.setting.scale != "quick"), key=lambda result: result.rank)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The data folder of a test."""
    monkeypatch.setenv("RETHINKING_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def found(tmp_path, monkeypatch):
    """A function that writes plug-ins, KIND__NAME=text, and lets them be found beside those of the tests."""
    written = []

    def write(**files):
        for name, text in files.items():
            kind, _, stem = name.partition("__")
            file = tmp_path / "mine" / kind / f"{stem}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            package = importlib.import_module(f"rethinking.{kind}")
            monkeypatch.setattr(package, "__path__", [*package.__path__, str(file.parent)])
            written.append(f"rethinking.{kind}.{stem}")
        monkeypatch.setenv("RETHINKING_PLUGINS", os.pathsep.join([str(HERE / "plugins"), str(tmp_path / "mine")]))
        importlib.invalidate_caches()
        catalog._files.cache_clear()

    yield write
    catalog._files.cache_clear()
    for name in written:
        sys.modules.pop(name, None)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """In CI nothing may be skipped: what CI does not run, nobody knows to hold."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter and reporter.stats.get("skipped"):
        reporter.write_line("CI: a skipped test is a failure", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
