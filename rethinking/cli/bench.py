"""Speed, as ratios."""

import json

import click

from rethinking import catalog
from rethinking.cli.options import completed


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--model", "models", multiple=True, shell_complete=completed("models"), help="Only these; repeatable.")
@click.option("--rounds", default=7, show_default=True, type=click.IntRange(1), help="Interleaved repetitions.")
@click.option("--precision", default="auto", show_default=True, help="Of our loop: float32, bfloat16 or auto.")
@click.option("--device", default="cpu", show_default=True, help="A torch device.")
def bench(as_json: bool, models: tuple[str, ...], rounds: int, precision: str, device: str) -> None:
    """Time a training step of each network against plain PyTorch loops and the matrix-multiply peak, as ratios."""
    from rethinking import bench as benchmark
    from rethinking.engines.local import resolve_precision

    chosen = list(models) or benchmark.PAPER_NETWORKS
    for name in chosen:
        catalog.find("models", name)
    results = benchmark.measure(chosen, rounds=rounds, precision=resolve_precision(precision, device), device=device)
    click.echo(json.dumps(results, indent=1) if as_json else benchmark.table(results))
