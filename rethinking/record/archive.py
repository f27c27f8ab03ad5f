"""The archive list: records that are kept although no drawn figure is of them.

The file runs/ARCHIVE names one run a line; what follows # is a comment. The records stay readable, findable and
verified, and `rethinking prune` never offers them. Where runs/DIGESTS has a line of the list, as `rethinking digest`
writes, the list must be what that line says: a name that is lost unseen would be a record that `prune` may delete.
"""

import hashlib
from pathlib import Path

from rethinking.errors import InputError
from rethinking.files import text_of
from rethinking.record import digests

LIST = digests.ARCHIVE


def archived(root: Path) -> frozenset[str]:
    """The runs that the archive list of a folder of records names; none where there is no list.

    Raises:
        InputError: the list cannot be read; a line is not one run's name; a run is named twice; it is not what
        runs/DIGESTS says.
    """
    path = root / LIST
    held = digests.listed(root).get(LIST, {}).get(LIST)
    if not path.exists():
        if held is not None:
            raise InputError(f"{path} is missing, but has a line in {digests.LIST}: bring it back")
        return frozenset()
    text = text_of(path, "mend it")
    names: dict[str, int] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):  # an editor's byte-order mark
        name = line.partition("#")[0].strip()
        if not name:
            continue
        if len(name.split()) > 1 or "/" in name or "\\" in name:
            raise InputError(f"{path}, line {number}: {name!r} is not the name of a run: give one name a line")
        if name in names:
            raise InputError(f"{path}, line {number}: {name} is named in line {names[name]} already: remove one")
        names[name] = number
    if held is not None and hashlib.sha256(text.encode()).hexdigest() != held:
        raise InputError(f"{path} was changed, by the SHA-256 in {digests.LIST}: bring it back, or `rethinking digest`")
    return frozenset(names)
