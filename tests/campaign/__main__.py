"""The campaign: kills, damage, hostile input and crowds, by the thousand, in one table.

    python tests/campaign                     all of it, half an hour of a core
    python tests/campaign --budget 10         minutes; every part gets its share of the time that is left
    python tests/campaign calls records       some parts
    python tests/campaign --scale 0.01        a hundredth of the tries
    python tests/campaign/broken.py           each part with one of the package's checks taken away, which it must count

A small part of each is in `make test` (tests/test_campaign.py). Nothing may be lost, taken for sound with another
meaning, end in a traceback, or hang; the exit status is 1 where anything was. The seed decides what is damaged, how and
where; not at which moment a signal comes. The parts are in parts.py, and TMPDIR names where they work: best in memory.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
os.environ["RETHINKING_PLUGINS"] = str(HERE.parent / "plugins")

import click  # noqa: E402
import torch  # noqa: E402
from parts import KILLS, LEFT_OUT, PARTS  # noqa: E402
from tally import Budget, sum_of, table  # noqa: E402


def commit() -> str:
    """Of the code, with a word where files differ from it."""
    git = ["git", "-C", str(HERE)]
    found = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip() or "no commit"
    changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True).stdout.strip()
    return f"{found}, with changes" if changed else found


def seconds() -> float:
    """That this process and those that it has started have used of the processor."""
    return sum(os.times()[:4])


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--budget", type=float, help="Minutes for all parts together.")
@click.option("--scale", type=float, default=1.0, show_default=True, help="Of the tries of each part.")
@click.option("--seed", type=int, default=0, show_default=True)
def main(parts: tuple[str, ...], budget: float | None, scale: float, seed: int) -> None:
    """Run the campaign, print its table, and exit with 1 where anything was lost, silent, hung or traced back."""
    torch.set_num_threads(1)
    chosen, tallies, began = parts or tuple(PARTS), {}, time.monotonic()
    click.echo(f"commit {commit()}; seed {seed}, scale {scale:g}", err=True)
    for number, name in enumerate(chosen):
        part, tries = PARTS[name]
        since, used = time.monotonic(), seconds()
        left = (60 * budget - (since - began)) / (len(chosen) - number) if budget else float("inf")
        with tempfile.TemporaryDirectory() as folder:
            chance = random.Random(f"{seed} {name}")
            tallies[name] = part(Path(folder), Budget(max(1, round(tries * scale)), left), chance)
        count = tallies[name].ended.total()
        click.echo(
            f"{name}: {count:,} tries, {len(tallies[name].bad)} bad, in {time.monotonic() - since:.0f} s, of the "
            f"processor {seconds() - used:.0f} s",
            err=True,
        )
    click.echo(table([*tallies.values()]))
    killed = sum(tallies[name].ended.total() for name in KILLS if name in tallies)
    other = sum(t.ended.total() for name, t in tallies.items() if name not in (*KILLS, *LEFT_OUT))
    took = f"{(time.monotonic() - began) / 60:.0f} minutes"
    click.echo(f"{killed:,} kills that hit a live process, {other:,} damaged or hostile inputs, in {took}")
    click.echo(f"commit {commit()}; seed {seed}, scale {scale:g}")
    sys.exit(bool(sum_of([*tallies.values()]).bad))


if __name__ == "__main__":
    main()
