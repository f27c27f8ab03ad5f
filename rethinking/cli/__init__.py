"""The command line: parse, call, print."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`main`, imported when asked for: `rethinking.__main__` heeds signals before the imports, which take a while."""
    if name != "main":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rethinking.cli.root import main

    return main
