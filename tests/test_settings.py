"""Settings that a library reads: one line says what it cannot read, and no picture depends on them."""

import matplotlib
import pytest
from command import cli, one_line

from rethinking import errors, figures
from rethinking.record import Runs

FIGURE = ("figure", "toyfig", "--redraw", "--quiet", "--device", "cpu")


def drawn(toy_runs, folder):
    done = figures.draw("toyfig", figures.setting("toyfig"), Runs(toy_runs), folder, ("svg", "pdf"))
    return [file.read_bytes() for file in done.files]


def test_no_setting_of_a_user_is_in_a_picture(toy_runs, tmp_path, monkeypatch):
    right = drawn(toy_runs, tmp_path)
    others = {"axes.titlepad": 30, "lines.antialiased": False, "savefig.transparent": True, "pdf.compression": 0}
    for date in ("garbage", "9" * 20, "0"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", date)
        with matplotlib.rc_context(others):
            assert drawn(toy_runs, tmp_path) == right
            assert all(matplotlib.rcParams[name] == value for name, value in others.items())


@pytest.mark.parametrize(
    ("variables", "rc", "words"),
    [
        ({"MPLBACKEND": "foo"}, b"", "matplotlib cannot be imported (Key backend: 'foo' is not a valid value"),
        ({}, b"\xff\xfe\0lines", "matplotlib cannot be imported ('utf-8' codec can't decode byte 0xff in position 0"),
        ({"TQDM_MININTERVAL": "foo"}, b"", "tqdm cannot be imported (could not convert string to float: 'foo'): mend"),
    ],
)
def test_a_setting_that_a_library_cannot_read_is_one_line(variables, rc, words, toy_runs, tmp_path):
    (tmp_path / "matplotlibrc").write_bytes(rc)
    done = cli(*FIGURE, "--runs", toy_runs, "--out", tmp_path, MPLCONFIGDIR=tmp_path, **variables)
    assert done.returncode == 2
    assert words in done.stderr.splitlines()[-1]  # matplotlib may say before that which file it was
    assert "Traceback" not in done.stderr


def test_a_shell_that_counts_its_words_otherwise_is_one_line():
    words = {"_RETHINKING_COMPLETE": "bash_complete", "COMP_WORDS": "rethinking run", "COMP_CWORD": "x"}
    assert "COMP_WORDS and COMP_CWORD are not a shell's words" in one_line(cli(**words))


@pytest.mark.parametrize("error", [ValueError("ours"), ImportError("missing"), errors.InputError("told")])
def test_an_error_within_this_package_is_not_taken_for_a_librarys(error):
    """It is raised while a module is imported, of this package or, the latter two, of another."""
    for module in ("rethinking.ours", "__main__", *(["other.part"] if not isinstance(error, ValueError) else [])):
        with pytest.raises(type(error)) as caught:
            exec(compile("raise error", "a file", "exec"), {"__name__": module, "error": error})
        assert errors.not_imported(caught.value) is None
    if isinstance(error, ValueError):
        with pytest.raises(ValueError, match="ours") as caught:
            exec(compile("raise error", "a file", "exec"), {"__name__": "other.part", "error": ValueError("ours")})
        assert str(errors.not_imported(caught.value)).startswith("other cannot be imported (ours): mend ")
