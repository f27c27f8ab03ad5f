"""The results for other programs: RO-Crate, tidy CSV, LaTeX tables, TensorBoard events."""

import csv
import io
import json
import math
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from rethinking import revision
from rethinking.claims import NOT_JUDGED
from rethinking.errors import InputError
from rethinking.record import Record, Runs, digests
from rethinking.record.frame import SETTINGS, records
from rethinking.report import cite, model
from rethinking.report.escape import latex
from rethinking.report.model import Result
from rethinking.spec import KINDS, ProbeSpec, RunSpec, kind_of

# --- tidy CSV ------------------------------------------------------------------------------------

# Meanings and units of the columns of runs.csv that are neither fields of a spec nor columns of a curve.
_MEANT = {
    "run": ("the record's folder", ""),
    "model_options": ("options of the network, as name=value", ""),
    "corruptions": ("the corruptions as on the command line; none", ""),
    "condition": ("the corruptions in the paper's words", ""),
    "p": ("probability of corrupting a label", "fraction"),
    "regularizer": ("the regularizers as on the command line; none", ""),
    "strength": ("first option of a single regularizer", ""),
    "budget": ("steps that the run may take", "batches"),
    "state": ("fitted, censored, diverged or missing", ""),
    "steps": ("taken when the run ended", "batches"),
    "steps_to_fit": ("to the first evaluation with 99 % training accuracy; empty where not reached", "batches"),
    "diverged_at": ("step of the first loss that was not finite", "batches"),
    "memorized_bits": ("what the network saves in sending the training labels", "bits"),
    "seconds": ("that the run took where it was made", "seconds"),
    "commit": ("of the code that made the run", ""),
    "device": ("that the run was made on", ""),
}
_CLAIMS = {
    "id": "stable name of the claim",
    "figure": "the drawn figure's file",
    "own": "whether the claim is the paper's own",
    "verdict": "what the runs say of it",
    "statement": "the claim in a sentence",
    "source": "work and place",
    "paper": "what the source reports",
    "ours": "median with range over seeds, or why there is no verdict",
    "rule": "of judgement, in words",
    "n": "training images",
    "seeds": "how many",
}
_CELLS = {
    "figure": "the drawn figure's file",
    "row": "of the figure's table, in words",
    "column": "of the figure's table, with its unit",
    "seed": "place of the value among those of the cell, from 0; empty where it is the paper's, or of all seeds",
    "value": "a number, a word, or of all seeds their median and range; empty where not run",
}


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    stream = io.StringIO()
    out = csv.writer(stream, lineterminator="\n")
    out.writerow(head)
    out.writerows(rows)
    return stream.getvalue()


def _meaning(name: str) -> tuple[str, str]:
    """Meaning and unit of a column of runs.csv."""
    columns = {column.name: column for column in RunSpec.COLUMNS}
    if name in _MEANT:
        return _MEANT[name]
    if name in columns and name not in SETTINGS:
        return f"{columns[name].meaning}; at the last evaluation", columns[name].unit
    return str(RunSpec.model_fields[name].description), ""


def _number(value: Any) -> Any:
    """A number as a CSV file has it, empty where it is not finite, as pandas writes it too."""
    return value if not isinstance(value, float) or math.isfinite(value) else ""


def tidy(found: Sequence[Result], runs: Runs) -> dict[str, str]:
    """Text by file: runs.csv, a row a training run; <kind>.csv, a row an evaluation of the runs of a kind, and
    probe-<name>.csv of a probe; cells.csv, a row a value of a figure's table; claims.csv; dictionary.csv, a row a
    column of these.
    """
    frame: pd.DataFrame = records(runs.root).frame()
    files = {"runs.csv": frame.to_csv(index=False, lineterminator="\n")}
    known = [("runs.csv", name, *_meaning(name)) for name in frame.columns]
    by_kind: dict[str, list[Record]] = {}
    names = {id(kind): name for name, kind in KINDS.items()}
    for record in runs.complete_records():
        kind = names[id(kind_of(record.spec))]
        kind += f"-{record.spec.probe.name}" if isinstance(record.spec, ProbeSpec) else ""
        by_kind.setdefault(kind, []).append(record)
    for kind, group in by_kind.items():
        columns = list(dict.fromkeys([*group[0].spec.COLUMNS, *group[0].spec.described]))
        rows = [
            [r.path.name, *(_number(r.curve[c.name][k]) if c.name in r.curve else "" for c in columns)]
            for r in group
            for k in range(len(r.curve["step"]))
        ]
        files[f"{kind}.csv"] = _csv(["run", *(c.name for c in columns)], rows)
        known.append((f"{kind}.csv", "run", *_MEANT["run"]))
        known += [(f"{kind}.csv", c.name, c.meaning, c.unit) for c in columns]
    files["cells.csv"] = _csv([*_CELLS], cells(found))
    told = [vars(c) | {"figure": c.result, "n": " ".join(map(str, c.n))} for result in found for c in result.judged]
    files["claims.csv"] = _csv([*_CLAIMS], [[claim[name] for name in _CLAIMS] for claim in told])
    for file, meant in (("cells.csv", _CELLS), ("claims.csv", _CLAIMS)):
        known += [(file, name, meaning, "") for name, meaning in meant.items()]
    files["dictionary.csv"] = _csv(["file", "column", "meaning", "unit"], known)
    return files


def cells(found: Sequence[Result]) -> list[tuple[str, str, str, int | str, Any]]:
    """Every value of every figure's table: figure, row, column, place among the seeds, value."""
    out = []
    for result in found:
        for row in result.numbers.get("table", []):
            (_, name), *rest = row.items()
            for column, values in rest:
                listed = values if isinstance(values, list) else [values]
                by_seed = isinstance(values, list) and not column.startswith("paper")
                for k, value in enumerate(listed):
                    place = k if by_seed else ""
                    out.append((result.stem, name, column, place, "" if value is None else value))
    return out


# --- LaTeX ----------------------------------------------------------------------------------------

TABLES = {"table1": "Table 1", "table3": "Table 3", "table4": "Table 4"}


def tables(found: Sequence[Result]) -> dict[str, str]:
    """A booktabs table of each of the paper's Tables 1, 3 and 4, its numbers beside ours, by file.

    Raises InputError where none of them is drawn.
    """
    if not any(result.name in TABLES for result in found):
        raise InputError("no drawn figure is of Table 1, 3 or 4: draw one, as with `rethinking figure table1`")
    return {f"{result.stem}.tex": _table(result) for result in found if result.name in TABLES}


def _table(result: Result) -> str:
    rows = result.numbers["table"]
    left = [name for name in rows[0] if name in ("row",) or name.startswith("paper")]
    ours = {"table1": ("train (%)", "test (%)"), "table3": ("test error (%)", "norm"), "table4": ("train (%)",)}
    shown = [name for name in rows[0] if name in left or name in ours[result.name] or name == "n"]
    split = result.name == "table1"  # as the paper has it: crop and weight decay are columns
    heads = ["network", "random crop", "weight decay", "labels"] if split else ["row"]
    heads += [name if name.startswith("paper") or name == "n" else f"ours, {name}" for name in shown[1:]]
    lines = []
    before = ""
    for row in rows:
        network, *marks = row["row"].split(", ")
        label = [row["row"]]
        if split:
            crop, decay = ("yes" if mark in marks else "no" for mark in ("random crop", "weight decay"))
            label = [network, crop, decay, "random" if "random labels" in marks else "true"]
            lines += [r"\midrule"] if before not in ("", network) else []
            before = network
        told = [latex(text) for text in [*label, *(model.as_text(row.get(name, [])) for name in shown[1:])]]
        lines.append(" & ".join(told) + r" \\")
    full = all(c.size == "full size" and c.verdict != NOT_JUDGED for c in result.judged)
    size = "" if result.judged and full else " Some rows are reduced."
    caption = f"{TABLES[result.name]} of Zhang et al. 2017 beside ours: median, with the range over seeds.{size}"
    return "\n".join(
        [
            f"% {latex(result.stem)}, made by rethinking {revision.VERSION}; needs the packages booktabs and graphicx",
            r"\begin{table}",
            rf"\caption{{{latex(caption)}}}",
            r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{"
            + rf"\begin{{tabular}}{{{'l' * (4 if split else 1)}{'r' * (len(shown) - 1)}}}",
            r"\toprule",
            " & ".join(map(latex, heads)) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


# --- RO-Crate -------------------------------------------------------------------------------------

_RUN = "https://w3id.org/ro/wfrun/process/0.5"
_TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
_TYPES = {".json": "application/json", ".csv": "text/csv", ".svg": "image/svg+xml", ".pdf": "application/pdf"}
_TYPES |= {".png": "image/png", ".npz": "application/zip"}


def _made(of: dict[str, Any]) -> str:
    """How a run was made, from what a drawn figure tells of it; the date is in no record."""
    took = "an unknown time" if of["seconds"] is None else f"{of['seconds']:,.0f} seconds"
    return f"Took {took} on {of['device_name']}, with torch {of['torch']}; more is in its environment.json"


def crate(found: Sequence[Result], runs: Runs, folder: Path) -> dict[str, Path | str]:
    """A Process Run Crate of drawn figures and their records: the files to copy by their place, and the metadata.

    Args:
        folder: of the drawn figures.
    """
    model.check_pictures(found, folder)
    files: dict[str, Path | str] = {}
    graph: list[dict[str, Any]] = []
    actions, parts = [], []
    software = {"@id": "#rethinking"}
    paper = {"@id": "https://arxiv.org/abs/1611.03530"}

    def held(place: str, path: Path, about: str) -> dict[str, str]:
        files[place] = path
        kind = _TYPES.get(path.suffix, "text/plain")
        entity = {"@id": place, "@type": "File", "name": about, "encodingFormat": kind}
        graph.append(entity | {"contentSize": str(path.stat().st_size), "sha256": digests.sha256(path)})
        parts.append({"@id": place})
        return {"@id": place}

    made = {run: of for result in found for run, of in result.numbers["runs"].items()}
    versions = {str(of["commit"]): f"#rethinking-{of['commit']}" for of in made.values()}
    for run in sorted(made):
        there = [runs.root / run / name for name in (*digests.FILES, "result.json")]
        held_there = {p.name: held(f"runs/{run}/{p.name}", p, f"{run}: {p.name}") for p in there if p.is_file()}
        graph.append(
            {
                "@id": f"#{run}",
                "@type": "CreateAction",
                "name": f"Run {run}",
                "description": _made(made[run]),
                "instrument": {"@id": versions[str(made[run]["commit"])]},
                "object": held_there["spec.json"],
                "result": [entity for name, entity in held_there.items() if name != "spec.json"],
                "agent": {"@id": "#authors"},
            }
        )
        actions.append({"@id": f"#{run}"})
    if (runs.root / digests.LIST).is_file():
        held(f"runs/{digests.LIST}", runs.root / digests.LIST, "SHA-256 of the files of earlier records")
    for result in found:
        drawn = [folder / f"{result.stem}{suffix}" for suffix in (".json", ".svg", ".pdf", ".png")]
        pictures = [held(f"figures/{p.name}", p, f"{result.title}: {p.name}") for p in drawn if p.is_file()]
        graph.append(
            {
                "@id": f"#{result.stem}",
                "@type": "CreateAction",
                "name": f"{result.title}: {result.command} --redraw",
                "description": result.numbers["caption"],
                "instrument": software,
                "object": [{"@id": f"runs/{run}/curve.csv"} for run in sorted(result.numbers["runs"])],
                "result": pictures,
                "agent": {"@id": "#authors"},
            }
        )
        actions.append({"@id": f"#{result.stem}"})
    root = {
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": {"@id": _RUN},
        "name": cite.TITLE,
        "description": "Drawn figures, with the records of the runs that they are drawn from",
        "datePublished": datetime.now(UTC).date().isoformat(),
        "license": {"@id": "https://spdx.org/licenses/MIT"},
        "hasPart": parts,
        "mentions": actions,
        "citation": paper,
        "author": {"@id": "#authors"},
    }
    known = revision.commit() != revision.UNKNOWN
    metadata = [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        root,
        {"@id": _RUN, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {"@id": "https://spdx.org/licenses/MIT", "@type": "CreativeWork", "name": "MIT License"},
        {"@id": "#authors", "@type": "Organization", "name": cite.AUTHORS},
        {
            **software,
            "@type": "SoftwareApplication",
            "name": "rethinking",
            "version": revision.VERSION + (f"+{revision.commit()}" if known else ""),
        },
        *(
            {"@id": place, "@type": "SoftwareApplication", "name": "rethinking", "version": f"commit {commit}"}
            for commit, place in sorted(versions.items())
        ),
        {**paper, "@type": "ScholarlyArticle", "name": cite.PAPER.title},
    ]
    text = {"@context": ["https://w3id.org/ro/crate/1.1/context", _TERMS], "@graph": metadata + graph}
    files["ro-crate-metadata.json"] = json.dumps(text, indent=1) + "\n"
    return files


# --- TensorBoard ----------------------------------------------------------------------------------


def tensorboard(runs: Runs, to: Path) -> int:
    """Write the curves of every record as TensorBoard events, a folder a run, below a folder that appears whole.

    Returns:
        How many runs.

    Raises:
        InputError: tensorboard is not installed; the folder is there and not empty; a record is damaged.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        raise InputError("tensorboard is not installed: pip install 'rethinking[tensorboard]', and try again") from None
    found = runs.complete_records()
    with whole(to) as folder:
        for record in found:
            with closing(EventFileWriter(str(folder / record.path.name))) as writer:
                for row in record.rows:
                    values = [
                        Summary.Value(tag=name, simple_value=value)
                        for name, value in row.items()
                        if name != "step" and math.isfinite(value)
                    ]
                    writer.add_event(Event(step=int(row["step"]), summary=Summary(value=values)))
    return len(found)


def written(files: dict[str, Path | str], to: Path) -> list[Path]:
    """Write each file below a folder, which must be empty or missing, and which appears whole. Raises InputError."""
    with whole(to) as folder:
        for place, content in files.items():
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copyfile(content, path)
            else:
                path.write_text(content, encoding="utf-8")
    return [to / place for place in files]


@contextmanager
def whole(to: Path) -> Iterator[Path]:
    """A folder to write in, which becomes `to` at the end. Raises InputError where that is there and not empty."""
    check_empty(to)
    to = to.resolve()
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{to.name}.", dir=to.parent) as scratch:
        folder = Path(scratch, "whole")
        folder.mkdir()
        yield folder
        folder.rename(to)  # over an empty folder, too


def check_empty(to: Path) -> None:
    """Raise InputError where a folder holds something, which would be mixed with what is written."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise InputError(f"{to} is there and not an empty folder: name another with --to")
