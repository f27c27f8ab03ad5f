"""Break the package in one way after the other, draw the figures and the README anew, and see which tests notice.

    python tests/breakages.py                     the tests of claims and measures; then those of pages, recomputation
    python tests/breakages.py tests/test_x.py     others

Each breakage is made in a copy of the tree. What claims and measures do not notice is drawn: the numbers of committed
figures and the README's results are made anew with it, so that a test which only compares what is committed with what
the package gives would not notice. It is no part of `make test` and takes 10 to 30 seconds of a core a breakage.
"""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PRELOADED = ["matplotlib.pyplot", "numpy", "pandas", "pydantic", "seaborn"]
FIRST, THEN = ["claims", "measures"], ["recomputation", "pages"]  # before and after the figures are drawn anew


class Breakage(NamedTuple):
    """A name, the file below rethinking/, and a text that is there once -> what it becomes."""

    name: str
    file: str
    old: str
    new: str


BREAKAGES = [
    Breakage("a measure's median is a mean", "figures/kit/frame.py",
             "else median(values)", "else sum(values) / len(values)"),
    Breakage("a missing seed drops out of a cell in silence", "figures/kit/frame.py",
             "plain = [None if state == MISSING else state or v for v, state in numbers]",
             "plain = [state or v for v, state in numbers if state != MISSING]"),
    Breakage("a state of the runs is turned round", "record/frame.py",
             'return "censored" if record.steps_to_fit() is None else "fitted"',
             'return "fitted" if record.steps_to_fit() is None else "censored"'),
    Breakage("fitted is 90 %, not 99 %", "record/read.py",
             "threshold: float = FITTED", "threshold: float = 0.9"),
    Breakage("a ratio is taken upside down", "figures/kit/measures.py",
             "by: Callable[[float, float], float] = operator.truediv",
             "by: Callable[[float, float], float] = lambda a, b: b / a"),
    Breakage("a baseline is of any seed", "figures/kit/measures.py",
             "if c not in baseline]", 'if c not in baseline and c != "seed"]'),
    Breakage("a censored time is the length of the run", "figures/kit/measures.py",
             "steps = record.steps_to_fit()\n        return CENSORED if steps is None else steps\n",
             'steps = record.steps_to_fit()\n        return record.final["step"] if steps is None else steps\n'),
    Breakage("the last value is the highest", "figures/kit/measures.py",
             "lambda r: 100 * r.final[column], needs=column)\n\n\ndef error",
             "lambda r: 100 * max(r.curve[column]), needs=column)\n\n\ndef error"),
    Breakage("an error is an accuracy", "figures/kit/measures.py",
             "lambda r: 100 - 100 * r.final[column]", "lambda r: 100 * r.final[column]"),
    Breakage("the gain of early stopping has the other sign", "figures/kit/measures.py",
             "100 * (max(values) - values[-1])", "100 * (values[-1] - max(values))"),
    Breakage("the best epoch is off by one", "figures/kit/measures.py",
             "return epochs[best], 100", "return epochs[best] + 1, 100"),
    Breakage("the last evaluation counts on other test images", "figures/kit/measures.py",
             "for k in range(len(images) - 1) if images[k] == images[0]]", "for k in range(len(images))]"),
    Breakage("every seed is read off the first", "figures/kit/declared.py",
             "record = records[label][counts.get(label, 0)]", "record = records[label][0]"),
    Breakage("Table 1 reads the wrong column", "figures/table1.py",
             'final("train_accuracy", "training accuracy (%)")', 'final("online_accuracy", "training accuracy (%)")'),
    Breakage("Table 4's rule is of another number", "figures/table4.py",
             "return Bound(measure, row.train - CLOSE, row.train + CLOSE)",
             "return Bound(measure, row.train - CLOSE - 5, row.train - CLOSE)"),
    Breakage("a bound is not judged", "figures/kit/claim.py",
             "least <= v <= most and above < v < below for v", "least <= v and above < v < below for v"),
    Breakage("chance is 10 % error", "figures/_parts.py",
             "return all(exact(abs(v - chance)) <= subject.tolerance for v in values)",
             "return all(exact(abs(v - 100 + chance)) <= subject.tolerance for v in values)"),
    Breakage("the order of fitting is turned round", "figures/kit/claim.py",
             "all(max(low) < min(high) for low, high in pairwise(levels))",
             "all(max(low) > min(high) for low, high in pairwise(levels))"),
    Breakage("labels are corrupted with 1 - p", "figures/fig1b.py",
             "return setting.until_fitted(seed, model=network, corruptions=labels(p))",
             "return setting.until_fitted(seed, model=network, corruptions=labels(round(1 - p, 1)))"),
    Breakage("least_n is ignored", "claims.py",
             "if n[0] < claim.least_n or seeds < claim.least_seeds:", "if seeds < claim.least_seeds:"),
    Breakage("what is not run is replicated", "claims.py",
             "return verdict(NOT_RUN, reason=", "return verdict(REPLICATED, reason="),
    Breakage("what is not replicated is replicated", "claims.py",
             "return verdict(REPLICATED if reading.holds else NOT_REPLICATED, reading)",
             "return verdict(REPLICATED, reading)"),
    Breakage("text gives a mean for a median", "claims.py",
             'text = f"{number(median(values))}{unit}"', 'text = f"{number(sum(values) / len(values))}{unit}"'),
    Breakage("a censored time is left out of a cell", "claims.py",
             "*[math.inf] * len(late)]", "*[math.inf] * 0]"),
    Breakage("a page leaves out how many seeds there are", "claims.py",
             'f"{text}, {len(there)} of {len(values)} seeds"', "text"),
    Breakage("a page says replicated of every claim", "report/pages.py",
             'f"**{claim.verdict}**"', '"**replicated**"'),
    Breakage("a page counts extensions as the paper's own", "report/pages.py",
             "own, more = ([claim for claim in kept if claim.own == mine] for mine in (True, False))",
             "own, more = ([claim for claim in kept if mine or not claim.own] for mine in (True, False))"),
    Breakage("a page lists the wrong claims as not replicated", "report/pages.py",
             "[c for c in own if c.verdict == NOT_REPLICATED]", "[c for c in own if c.verdict != NOT_REPLICATED]"),
    Breakage("a page leaves out rows that were run", "report/pages.py",
             "return any(v is not None for key in cells", "return all(v is not None for key in cells"),
]  # fmt: skip

# The figures that the tests are about, drawn anew with what the breakage makes of them.
DRAWN = ["table1", "table4", "fig1a", "fig1b", "fig1c"]


def in_the_copy(redrawn: bool, tests: list[str]) -> int:
    """Draw, and run the tests, in the present folder with its package. Returns pytest's exit status."""
    from rethinking import figures, report
    from rethinking.record import Runs

    try:
        runs = Runs("runs")
        for path in sorted(Path("figures").glob("*.json")) if redrawn else ():
            then = figures.drawn(path)
            if then["figure"] in DRAWN:
                now = figures.numbers(then["figure"], figures.setting_of(then), runs)
                path.write_text(json.dumps(now, indent=1) + "\n")
        if redrawn:
            report.update(Path("README.md"), runs, Path("figures"))
    except Exception as error:
        print("\nDRAWING", repr(error)[:100])
    return pytest.main(["-q", "-n", "0", "-p", "no:cacheprovider", "--tb=no", "-x", *tests])


def forked(folder: Path, redrawn: bool, tests: list[str]) -> tuple[int, str]:
    """`in_the_copy` in a fork of this process, which has imported what takes long, and nothing of the package."""
    output = folder / "output"
    process = os.fork()
    if not process:
        with output.open("w") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        os.environ["RETHINKING_PLUGINS"] = str(folder / "tests" / "plugins")
        status = 3
        try:
            status = int(in_the_copy(redrawn, tests))
        except BaseException:  # the rest is the parent's to do
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), output.read_text()


def copy(folder: Path) -> None:
    """The tracked files and those that git does not ignore; runs as a link."""
    words = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"]
    for name in subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines():
        if not name.startswith("runs/") and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / "runs").symlink_to(ROOT / "runs")


def noticed(first: list[str], then: list[str], breakage: Breakage | None) -> list[str]:
    """The tests that fail with the breakage, each once whatever its parameters: of the first, else of the others."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        copy(folder)
        if breakage:
            path = folder / "rethinking" / breakage.file
            text = path.read_text()
            if text.count(breakage.old) != 1:
                sys.exit(f"{breakage.name}: rethinking/{breakage.file} has not once the text {breakage.old!r}")
            path.write_text(text.replace(breakage.old, breakage.new))
        for redrawn, tests in ((False, first), (True, then)):
            status, output = forked(folder, redrawn, tests)
            if status not in (0, 1, 2):  # 2: a file of tests cannot be loaded
                sys.exit(output)
            found = re.findall(r"^DRAWING .*|^(?:FAILED|ERROR) tests/(\S+?\.py(?:::\w+)?)", output, re.M)
            if found:
                break
        return list(dict.fromkeys(name or "drawing fails" for name in found))


def main() -> None:
    """Print a Markdown table: breakage, tests that failed; exits with 1 where one was not noticed."""
    tests = [[f"tests/test_{name}.py" for name in names] for names in (FIRST, THEN)]
    tests = [["--version"], sys.argv[1:]] if sys.argv[1:] else tests
    for name in PRELOADED:
        importlib.import_module(name)
    sys.dont_write_bytecode = True
    sound = noticed(*tests, None)
    if sound:
        sys.exit(f"without a breakage these fail: {sound}")
    print("| breakage | file | noticed by |\n| --- | --- | --- |", flush=True)
    missed = 0
    for breakage in BREAKAGES:
        found = noticed(*tests, breakage)
        missed += not any(".py" in each for each in found)
        print(f"| {breakage.name} | {breakage.file} | {', '.join(found) or '**nothing**'} |", flush=True)
    print(f"\n{len(BREAKAGES) - missed} of {len(BREAKAGES)} breakages noticed")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
