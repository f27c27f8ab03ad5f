"""The campaign: kills, damage, hostile input and crowds, by the thousand, in one table.

    python tests/campaign                     all of it, some hours of a core
    python tests/campaign --budget 10         minutes; every part gets its share of the time
    python tests/campaign calls records       some parts
    python tests/campaign --scale 0.01        a hundredth of the tries

A small part of each is in `make test` (tests/test_campaign.py). Nothing may be lost, taken for sound with another
meaning, end in a traceback, or hang; the exit status is 1 where anything was.
"""

import os
import random
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
os.environ["RETHINKING_PLUGINS"] = str(HERE.parent / "plugins")

import click  # noqa: E402
import crowd  # noqa: E402
from parts import PARTS  # noqa: E402
from tally import Budget, sum_of, table  # noqa: E402


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice([*PARTS, "many"]))
@click.option("--budget", type=float, help="Minutes for all parts together.")
@click.option("--scale", type=float, default=1.0, show_default=True, help="Of the tries of each part.")
@click.option("--seed", type=int, default=0, show_default=True)
def main(parts: tuple[str, ...], budget: float | None, scale: float, seed: int) -> None:
    """Run the campaign and print its table."""
    chosen, tallies = parts or (*PARTS, "many"), []
    for name in chosen:
        with tempfile.TemporaryDirectory() as folder:
            if name == "many":
                click.echo(crowd.many(Path(folder), round(50_000 * scale)))
                continue
            part, tries = PARTS[name]
            seconds = 60 * budget / len(chosen) if budget else float("inf")
            began = time.monotonic()
            tallies.append(part(Path(folder), Budget(round(tries * scale), seconds), random.Random(seed)))
            click.echo(f"{name}: {tallies[-1].ended.total():,} tries in {time.monotonic() - began:.0f} s", err=True)
    if tallies:
        click.echo(table(tallies))
    sys.exit(bool(sum_of(tallies).bad))


if __name__ == "__main__":
    main()
