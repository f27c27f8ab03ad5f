"""The command line, called by tests: in this process, or where it must have its own environment in one of its own."""

import os
import resource
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from rethinking.cli import main
from rethinking.spec import RunSpec

PLUG_INS = Path(__file__).parent / "plugins"
RUN = ("run", "--data", "toy", "--n", "64", "--model", "tiny", "--steps", "4", "--eval-every", "2", "--device", "cpu")
RUN_SPEC = RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2)


def cli(*words, limit=None, stdin=None, **env):
    """A call, with returncode, stdout and stderr. limit: bytes that a file may have."""
    words = [str(word) for word in words]
    if not limit and not env:
        done = CliRunner().invoke(main, words, input=stdin)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)
    return subprocess.run(
        [sys.executable, "-m", "rethinking", *words],
        capture_output=True,
        text=True,
        input=stdin,
        env=os.environ | {k: str(v) for k, v in env.items()},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)) if limit else None,
        timeout=300,
        check=False,
    )


def one_line(done):
    """The only line of an error, beside those of progress."""
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.endswith((": starting", ": failed"))]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("rethinking: ")
    return lines[0]


def plug_in(folder: Path, kind: str, text: str) -> dict[str, str]:
    """The environment in which a file `mine` of that kind is found, beside the plug-ins of the tests."""
    (folder / kind).mkdir()
    (folder / kind / "mine.py").write_text(text)
    return {"RETHINKING_PLUGINS": os.pathsep.join([str(PLUG_INS), str(folder)])}
