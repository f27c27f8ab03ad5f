"""Citations, and what a picture was made from."""

import json
from pathlib import Path

import click

from rethinking.cli.options import FilePath, among, completed, json_option, out_option, print_json, reading, runs_option
from rethinking.errors import InputError
from rethinking.streams import plain

FORMATS = ("text", "bibtex", "ris", "csl")  # of rethinking.report.cite, which takes a while to import


@click.command()
@click.argument("what", required=False, metavar="[FIGURE|CLAIM]", shell_complete=completed("figures"))
@click.option(
    "--format", "form", default="text", show_default=True, shell_complete=among(FORMATS), help=f"{', '.join(FORMATS)}."
)
@json_option
@out_option
def cite(what: str | None, form: str, as_json: bool, out: str) -> None:
    """Cite this software with its version and commit, the paper, and the source of every method in a figure.

    A claim is named by its id, as on the pages of results and in the .json of figures/; its verdict is cited with it.

    \b
    rethinking cite                                  the software and the paper
    rethinking cite regularizers --format bibtex     and every method in the figure
    rethinking cite fig1b.factor.alexnet
    """
    if form not in FORMATS:
        raise InputError(f"format is {form!r}, allowed are {', '.join(FORMATS)}")
    if as_json and form not in ("text", "csl"):
        raise InputError(f"--json is given beside --format {form}: leave one out")
    from rethinking.report import cite as citations

    cited = citations.citation(what, Path(reading("runs", out)[1] if what else out))
    if as_json:
        print_json({"what": what, "note": cited.note, "csl": json.loads(citations.FORMATS["csl"](cited))})
    else:
        click.echo(citations.FORMATS[form](cited))


@click.command()
@click.argument("file", type=FilePath(path_type=Path))
@json_option
@out_option
@runs_option
def whence(file: Path, as_json: bool, out: str, runs_dir: str) -> int:
    """Tell which runs a drawn FILE (.svg, .pdf, .png or .json) was made from, and whether they still verify.

    It is a figure, a slide, all slides, or a plot of `rethinking compare`.

    A picture carries the figure, its scale and claims, a digest of its runs, their commits and this package's version.
    Whether it was altered is checked against the .json drawn with it, beside it or in the --out folder. The exit status
    is 1 where anything is wrong.
    """
    from rethinking import verify
    from rethinking.record import Runs

    runs_dir, out = reading(runs_dir, out)
    found = verify.whence(file, Runs(runs_dir), Path(out))
    about, findings = found.about, list(found.findings)
    if as_json:
        print_json({"about": about, "runs": found.runs, "compared": found.compared, "findings": findings})
        return int(bool(findings))
    if "compare" in about:
        of = [f"{about['compare'][0]} and {about['compare'][1]} compared"]
    else:
        of = [f"{one['figure']}, scale {one['scale']}" for one in about.get("slides", [about])]
    every = about.get("slides", [about])
    version = ", ".join(sorted({str(one["version"]) for one in every}))
    claims = [str(claim) for one in every for claim in one.get("claims", ())]
    commits = sorted({commit for one in every for commit in one.get("commits", ())})
    click.echo(plain(f"{file}: {'; '.join(of)}, drawn with version {version}"))
    said = [f"claims: {', '.join(claims) or 'none'}", f"commits of its runs: {', '.join(commits) or 'none said'}"]
    said += [f"runs: {one['runs']}" for one in every if isinstance(one["runs"], str)]
    for line in (*said, *(found.runs or ()), *findings):
        click.echo(f"  {plain(line)}")
    if found.runs is None:
        verdict = "which runs these were is not known here"
    elif findings:
        verdict = f"{len(found.runs)} runs: {len(findings)} findings"
    else:
        verdict = f"{len(found.runs)} runs: they verify" if found.runs else "it shows no run"
    unknown = "; whether the picture was altered is not known here, where no .json drawn with it is"
    click.echo(f"  {verdict}{'' if found.compared or found.runs is None else unknown}")
    return int(bool(findings))
