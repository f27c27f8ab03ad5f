"""What code this is: the package's version and its commit."""

import hashlib
import json
import os
import re
import subprocess
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path

import rethinking

PATIENCE = 60.0  # seconds that git may take
VERSION = rethinking.__version__
UNKNOWN = "unknown"
BUILT_FROM = "commit.txt"  # in a wheel


@cache
def commit() -> str:
    """The commit of this package's code when first asked, "+changes" where tracked files differ, or "unknown".

    Of its checkout, where that is of who owns the code, or of the checkout that its wheel was built from or pip
    installed it from. Asked when a process starts: its code stays that commit's, wherever the checkout goes.
    """
    here = Path(__file__).parent
    environ = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}

    def git(*words: str) -> str:
        # Git would read no configuration of another user's checkout, as it may name programs. Here the checkout is of
        # who owns the code, which runs anyway.
        command = ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", str(here), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environ, timeout=PATIENCE)
        return done.stdout.strip()

    try:
        if not _of_its_owner(here) or not git("ls-files", "__init__.py"):
            return _installed_from(here)
        changed = git("status", "--porcelain", "--untracked-files=no", "--", str(here))
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if changed else "")
    except (OSError, ValueError, subprocess.SubprocessError):
        return _installed_from(here)


def _of_its_owner(code: Path) -> bool:
    """Whether the checkout that the code lies in is of who owns the code, or of this user."""
    for folder in (code, *code.parents):
        if os.path.lexists(folder / ".git"):
            return (folder / ".git").lstat().st_uid in (code.stat().st_uid, os.getuid())
    return False


def _installed_from(here: Path) -> str:
    """The commit of the package that lies `here`: its wheel's, or what pip recorded; else "unknown"."""
    with suppress(OSError, UnicodeDecodeError):
        if re.fullmatch(r"[0-9a-f]{12}(\+changes)?", known := (here / BUILT_FROM).read_text().strip()):
            return known
    for distribution in metadata.distributions(name="rethinking"):
        try:
            if Path(str(distribution.locate_file("rethinking"))).samefile(here):
                return json.loads(distribution.read_text("direct_url.json") or "{}")["vcs_info"]["commit_id"][:12]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return UNKNOWN


@cache
def code() -> str:
    """The first 12 digits of a SHA-256 of the package's Python files, without those of plug-ins.

    What a commit does not tell where files were changed since.
    """
    here, found = Path(__file__).parent, hashlib.sha256()
    for path in sorted(here.rglob("*.py")):
        content = path.read_bytes()
        found.update(f"{path.relative_to(here).as_posix()} {len(content)}\n".encode() + content)
    return found.hexdigest()[:12]


def told() -> str:
    """The version, with the commit where there is one: "0.1.0, commit 1a2b3c4d5e6f"."""
    return VERSION if commit() == UNKNOWN else f"{VERSION}, commit {commit()}"
