"""Folders that users name, file systems that cannot do everything, and writing a file whole or not at all."""

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rethinking.errors import InputError, shown
from rethinking.files import Refused, content_of

# What a file system answers to a request that it does not know, or that its mount forbids.
_UNABLE = {errno.EINVAL, errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF}

MARK = ".rethinking-"  # in the name of a file that is half written, so that no other program's file is taken for one


def expand(text: str | os.PathLike[str]) -> Path:
    """The path, with ~ and ~user for a home folder. Raises InputError where that is not known."""
    given = str(path_of(text, "the path"))
    expanded = os.path.expanduser(given)
    if given.startswith("~") and expanded == given:
        raise InputError(f"{given!r} names a home folder that is not known: write the whole path")
    return Path(expanded)


def path_of(given: Any, what: str) -> Path:
    """A path that a user gives. Raises InputError where it is none, or none that a file system could have.

    what: how a line about an error calls it.
    """
    try:
        text = os.fspath(given)
        if not isinstance(text, str):
            raise TypeError
    except Exception:  # somebody's class may raise what it likes
        raise InputError(f"{what} is {shown(given)}: give a path, as text or a pathlib.Path") from None
    if not text:
        raise InputError(f"{what} is empty text: give a path, or leave it out")
    try:
        os.lstat(text)
    except ValueError:
        raise InputError(f"{what} is {shown(text)}, with characters that no path has: give another") from None
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise InputError(f"{what} is {shown(text)} ({error.strerror}): give another path") from None
    return Path(text)


def data_dir(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder of all data sets: `root`, else $RETHINKING_DATA, else the platform's cache folder.

    Raises InputError where there is neither of them, nor a home folder.
    """
    named = root if root is not None and root != "" else os.environ.get("RETHINKING_DATA")
    if named:
        place = expand(path_of(named, "the folder of data sets"))
        if not nearest(place).is_dir():
            raise InputError(f"{place}, to hold data sets, is no folder, or below none: name another")
        return place
    import platformdirs

    with suppress(RuntimeError):
        folder = platformdirs.user_cache_dir("rethinking")
        if not folder.startswith("~"):
            return Path(folder)
    raise InputError("no home folder is known to keep data sets in: name a folder with --data-dir or RETHINKING_DATA")


@contextmanager
def data_in(root: str | os.PathLike[str] | None) -> Iterator[None]:
    """Within, data sets, own ones too, are looked for in the folder `root`, where one is named."""
    before = os.environ.get("RETHINKING_DATA")
    if root is not None:
        os.environ["RETHINKING_DATA"] = os.fspath(root)
    try:
        yield
    finally:
        if before is not None:
            os.environ["RETHINKING_DATA"] = before
        else:
            os.environ.pop("RETHINKING_DATA", None)


def nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    path = path.absolute()
    return next((place for place in (path, *path.parents) if os.path.lexists(place)), Path(path.anchor))


def check_writable(folder: str | os.PathLike[str], option: str) -> None:
    """Raise InputError where nothing could be written in a folder, which need not exist; it is not created.

    option: of the command line, which names another.
    """
    try:
        with tempfile.TemporaryFile(dir=nearest(path_of(folder, option.rstrip("=")))):
            pass
    except OSError as error:
        raise InputError(f"cannot write to {folder} ({error.strerror}): name another with {option}") from None


def same(one: Path, other: Path) -> bool:
    """Whether two paths are one place, whatever they are called and whether it is there."""
    try:
        return one.samefile(other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


@contextmanager
def where_able() -> Iterator[None]:
    """Skip what makes a file safer or easier to share, where its file system cannot do that; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNABLE:
            raise


def check_replaces(path: Path, mark: bytes, option: str, most: int) -> None:
    """Raise InputError where a file is there that this package did not write, so that it is not written over.

    Args:
        path: of the file that is to be written. mark: what every such file holds. option: of the command line, which
        names another. most: the bytes that such a file has.
    """
    try:
        if not os.path.lexists(path) or mark in content_of(path, most):
            return
    except Refused:  # a FIFO, a device or what is too large
        pass
    except OSError as error:
        raise InputError(
            f"{path} is there, and cannot be read ({error.strerror}): name another with {option}"
        ) from None
    raise InputError(f"{path} is there, and was not written by this command: name another with {option}, or delete it")


def write(path: Path, content: bytes | str, *, through: bool = False) -> None:
    """Write a file so that it appears whole or not at all, and stays after a power cut.

    through: where the path is a link, it stays one, and what it leads to is written. Else the file takes its place, as
    in a record, whose links may lead to another record.
    """
    if through and path.is_symlink():
        path = Path(os.path.realpath(path))
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}{MARK}", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            with where_able():
                os.fsync(stream.fileno())
        with where_able():
            os.chmod(name, 0o644)
        os.replace(name, path)
        sync(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def sync(folder: Path) -> None:
    """Have the names in a folder, and not only the bytes of its files, stay after a power cut."""
    if os.name == "posix":
        with where_able():
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def written_as(name: str) -> str | None:
    """The name of the file that `write` has not finished under this one; None where this is no such name."""
    if MARK not in name:  # most names
        return None
    found = re.fullmatch(rf"\.(.+){re.escape(MARK)}[a-z0-9_]{{8}}", name, re.DOTALL)
    return found[1] if found else None
