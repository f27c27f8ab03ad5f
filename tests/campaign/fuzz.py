"""Anything as a spec, a command line, the constants of a plug-in's file."""

import json
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import damage
import sets
from tally import DETECTED, HANG, HARMLESS, LOST, TRACEBACK, Budget, Tally, apart

from rethinking import catalog, report
from rethinking.cli import main
from rethinking.constants import ALLOWED, NEEDED
from rethinking.engines import cluster, local
from rethinking.spec import from_bytes, from_json

FIGURE = "rademacher"
WORDS = (
    "",
    "0",
    "-1",
    "1e999",
    "nan",
    "inf",
    "true",
    "null",
    "all",
    "..",
    "/",
    "~",
    "~nobody",
    "a=b",
    "=",
    ",",
    "x" * 300,
)
WORDS += ("\udcff", "\x1b[31m", "é", "１", "0x10", "1_000", "9" * 400, "-", "--", "*", "%s", "{}", "[]", "'", '"', "\n")


def value(chance: random.Random, depth: int = 0) -> Any:
    """Any JSON or Python value."""
    plain = [None, True, False, 0, -1, 1, 2, 0.5, -0.0, 1e308, float("nan"), float("inf"), 10**400, 2**63, -(2**63) - 1]
    pick = chance.randrange(10)
    if pick < 5 or depth > 3:
        return chance.choice(plain)
    if pick < 8:
        return chance.choice([*WORDS, "cifar10", "mlp-1x512", "dropout", "float32", "fitted", "labels"])
    if pick == 8:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {
        chance.choice([*WORDS, "name", "options", "width"]): value(chance, depth + 1)
        for _ in range(chance.randrange(4))
    }


def specs(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """Specs of committed records with fields of any value, missing, unknown or twice, and their bytes damaged."""
    tally = Tally("specs")
    texts = [p.read_text() for p in sorted((sets.ROOT / "runs").glob("*/spec.json"))[::7]]
    for _ in budget:
        held = json.loads(chance.choice(texts))
        fields = type(from_json(json.dumps(held))).model_fields
        what = chance.randrange(6)
        for _ in range(chance.randrange(1, 3)):
            held[chance.choice([*fields, *WORDS] if what == 0 else list(fields))] = value(chance)
        text = json.dumps(held)
        if what == 1:
            text = text[:-1] + f', "{chance.choice(list(fields))}": {json.dumps(value(chance))}}}'
        if what == 2:
            text = "[" * chance.choice([1, 10, 10_000]) + text
        content = text.encode("utf-8", "surrogatepass")
        if what == 3:
            content = sets.damaged(content, chance)[1]
        if what == 4:
            content = text.encode(chance.choice(["utf-16", "utf-32", "utf-8-sig"]), "surrogatepass")

        def use(content: bytes = content) -> str:
            spec = from_bytes(content)
            again = from_json(spec.to_json())
            if again != spec or again.run_id != spec.run_id:
                return f"{spec} is read again as {again}"
            return _another(content, spec)

        tally.judge(
            f"spec {content[:300]!r}", use, "", "it is a spec, says what the JSON says, and comes back as it is"
        )
    return tally


def _another(content: bytes, read: Any) -> str:
    """Where a spec says something else than its JSON, read by Python's own reader; empty text where nowhere.

    Lists and objects, which can be written in several ways, are left to the comparison of the spec with itself; null
    says the default of a field whose default it is, as of n, which is then all images.
    """
    spec, fields = read.model_dump(mode="json"), type(read).model_fields
    pairs: list[tuple[str, Any]] = json.loads(content, object_pairs_hook=list)
    if len({key for key, _ in pairs}) < len(pairs):
        return "a key is given twice"
    for key, value in pairs:
        if key not in spec:
            return f"{key} is no field"
        plain = isinstance(value, bool | int | float | str) or value is None
        same = value == spec[key] and isinstance(value, bool) == isinstance(spec[key], bool)
        default = value is None and key in fields and fields[key].default is None
        if plain and not same and not default:
            return f"{key} is {value!r}, and is read as {spec[key]!r}"
    return ""


def _command_line(chance: random.Random, folder: Path) -> list[str]:
    name = chance.choice([*main.commands, *WORDS[:8]])
    words, command = [name], main.commands.get(name)
    if command is not None and hasattr(command, "commands") and chance.random() < 0.8:
        words.append(chance.choice([*command.commands]))
        command = command.commands[words[-1]]
    names = [o for p in getattr(command, "params", []) for o in p.opts if o.startswith("--")]
    for _ in range(chance.randrange(5)):
        if names and chance.random() < 0.7:
            words.append(chance.choice(names))
        if chance.random() < 0.8:
            known = [
                *catalog.names("models"),
                *catalog.names("regularizers"),
                "fig2b",
                "toy",
                "quick",
                "cpu",
                "ray",
                "5",
                "0.5",
            ]
            words.append(chance.choice([*WORDS, *known, str(folder), str(folder / "nowhere"), str(value(chance))]))
    return [word.replace("\0", "") for word in words]


# Commands that write what users name, each as it is called in a small place, with the options that name a file or
# folder; and what it may write there anew, besides that.
PLACED = {
    "report": (["report"], ["--html", "--html", "--readme", "--out", "--runs"], r"docs/results/[^/]+\.md"),
    "slides": (["slides", "--format", "png,pdf"], ["--out", "--figures"], r"slides\.pdf|slide-\d\d\.png"),
    "compare": (["compare", "A", "B"], ["--out"], r"$"),
    "verify": (["verify"], ["--readme", "--html", "--out", "--runs"], r"$"),
    "status": (["status"], ["--runs", "--checkpoints"], r"$"),
    "plan": (["plan", FIGURE, "--scale", "cpu"], ["--runs"], r"$"),
    "figure": (["figure", FIGURE, "--scale", "cpu", "--redraw"], ["--out", "--runs"], rf"{FIGURE}-cpu\.(svg|pdf|json)"),
}
MADE = {"report": ["", "--html page.html"], "slides": ["--out slides"], "compare": ["--out ab.svg", "--out ab.pdf"]}
USERS = ("notes.md", "a.html", "a.svg", "a.pdf", "ab.png", "mine/slides.pdf", "mine/slide-01.png", "docs/results/a.md")
USERS += (f"mine/{FIGURE}-cpu.svg", f"mine/{FIGURE}-cpu.json", f"mine/docs/results/{FIGURE}-cpu.md")


def _small(place: Path, call: Callable[[list[str], Path], None]) -> dict[str, set[str]]:
    """Make a place with few records, figures, what each command has written, a user's files; who has written which."""
    place.mkdir()
    runs = damage._with_records(place)
    (place / "mine").mkdir()
    for name in ("README.md", "mine/README.md"):
        (place / name).write_text(f"words\n\n{report.BEGIN}\n{report.END}\n")
    made = {"figure": {f"figures/{FIGURE}-cpu.{form}" for form in ("json", "svg", "pdf")}}
    names = sorted(path.name for path in runs.root.iterdir() if path.is_dir())[:2]
    PLACED["compare"][0][1:] = names
    for command, every in MADE.items():
        before = sets.tree(place).keys()
        for more in every:
            status, said = apart(lambda c=command, more=more: call([*PLACED[c][0], *more.split()], place))
            if status:
                raise RuntimeError(said)
        made[command] = sets.tree(place).keys() - before
    for name in USERS:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("a user's")
    for name, to in {"a-link.svg": "a.svg", "a-link.html": f"runs/{names[0]}/result.json", "a-link": "mine"}.items():
        (place / name).symlink_to(to)
    return made


def _placed(command: str, place: Path, chance: random.Random) -> list[str]:
    """The command with what is there, or is not, as one or two of its outputs."""
    there = [str(p.relative_to(place)) for p in sorted(place.rglob("*"))]
    folders, others = ("mine", "figures", "slides", "."), ("mine/README.md", "new.svg", "nowhere/new.html")
    words, options, _ = PLACED[command]
    given = [*words]
    for option in dict.fromkeys(chance.choices(options, k=chance.randrange(1, 3))):
        name = chance.choice(chance.choice([USERS, folders, there, others]))
        root, _, suffix = name.rpartition(".")
        given += [option, f"{root}.{suffix.upper()}" if root and chance.random() < 0.2 else name]
    return given


def _harmed(place: Path, held: dict[str, bytes], links: set[str], words: list[str], made: dict[str, set[str]]) -> str:
    """What a command has changed or made that is not its own; empty text where nothing."""
    command = words[0]
    own = made.get(command, set())
    named = {os.path.normpath(word).lower() for word in words[1:]}  # a suffix is written in small letters
    kind = re.compile(rf"(.*/)?({PLACED[command][2]})\Z")

    def may(name: str, then: bytes, now: bytes | None) -> bool:
        outside = [re.sub(rb"(?s)<!-- scoreboard.*<!-- end", b"", text or b"") for text in (then, now)]
        return now is not None and (name in own or (command == "report" and outside[0] == outside[1]))

    new = sorted(n for n in sets.tree(place).keys() - held.keys() if n.lower() not in named and not kind.match(n))
    gone = sorted(links - _links(place))
    found = [sets.lost(place, held, may), f"{new} are new" if new else "", f"{gone} are no links" if gone else ""]
    return ", ".join(filter(None, found))


def _links(place: Path) -> set[str]:
    return {str(p.relative_to(place)) for p in place.rglob("*") if p.is_symlink()}


def command_lines(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """Commands with options and words of any kind; what would be trained, timed or fetched is left out.

    Those that write what users name are called in a place of their own, where nothing may change but what is theirs.
    """
    tally = Tally("command lines")
    sets.toy(folder / "data")
    (folder / "place").mkdir()

    def call(words: list[str], place: Path) -> None:
        from rethinking import bench, data
        from rethinking.cli import options

        os.chdir(place)
        os.environ |= {"RETHINKING_DATA": str(folder / "data"), "HOME": str(folder)}
        local.run = cluster.run = lambda *_, **__: []
        data.fetch = lambda name, *_, **__: Path(name)
        options.fetch_missing = lambda *_, **__: None
        for name in ("measure", "main", "run"):
            if hasattr(bench, name):
                setattr(bench, name, lambda *_, **__: None)
        main(args=words)

    made = _small(folder / "small", call)
    for k in budget:
        words, place = _command_line(chance, folder), folder / "place"
        if words[0] == "bench":  # minutes, on nothing
            words.append("--help")
        placed = words[0] if words[0] in PLACED else chance.choice([*PLACED]) if k % 3 == 0 else None
        if placed:
            place = folder / "copy"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(folder / "small", place, symlinks=True)
            words = _placed(placed, place, chance) if k % 3 == 0 or chance.random() < 0.7 else words
        held, links = (sets.tree(place), _links(place)) if placed else ({}, set())
        status, said = apart(lambda words=words, place=place: call(words, place))
        tried, lines = f"{words!r}"[:400], said.splitlines()
        errors = [line for line in lines if line.startswith("rethinking: ")]
        if status is None:
            tally.add(HANG, tried)
        elif "Traceback" in said or status not in (0, 1, 2):
            tally.add(TRACEBACK, tried, f"status {status}: {said[-2000:]}")
        elif placed and (harmed := _harmed(place, held, links, words, made)):
            tally.add(LOST, tried, harmed)
        elif status == 2 and (len(errors) != 1 or max(map(len, lines)) > 1300):
            tally.add(TRACEBACK, tried, f"{len(errors)} lines of an error: {said[-2000:]}")
        elif status == 2:
            tally.add(DETECTED, tried)
        else:
            only = ", and what is new or another is its own" if placed else ""
            tally.add(HARMLESS, tried, f"it is a command that ends with {status}{only}")
    return tally


def constants(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """A plug-in's file whose literal constants are of any type: read without an import, listed or named in one line."""
    tally = Tally("plug-in constants")
    examples = {}
    for kind in catalog.KINDS:
        names = [n for n in catalog.names(kind) if catalog.find(kind, n).path is not None]
        examples[kind] = Path(catalog.find(kind, names[0]).path).read_text()
    for k in budget:
        kind = chance.choice(catalog.KINDS)
        place = sets.fresh(folder / f"plugins{k % 4}")
        (place / kind).mkdir()
        changed = {
            name: value(chance) if chance.random() < 0.8 else {chance.choice(WORDS): value(chance)}
            for name in chance.sample([*NEEDED[kind], *ALLOWED[kind]], chance.randrange(1, 3))
        }
        lines = [
            f"{name} = {v!r}".replace("nan", "1e999 - 1e999").replace("inf", "1e999") for name, v in changed.items()
        ]
        (place / kind / "mine.py").write_text(
            examples[kind] + "\n" + "\n".join(lines) + "\n", "utf-8", "surrogateescape"
        )

        def use(kind: str = kind, place: Path = place) -> None:
            os.environ["RETHINKING_PLUGINS"] = os.pathsep.join([os.environ["RETHINKING_PLUGINS"], str(place)])
            catalog._files.cache_clear()
            for word in (["list", kind], ["list"]):
                main(args=word, standalone_mode=False)

        status, said = apart(use)
        tried = f"{kind}: {'; '.join(lines)}"[:400]
        if status is None:
            tally.add(HANG, tried)
        elif "Traceback" in said or status not in (0, 2):
            tally.add(TRACEBACK, tried, said[-2000:])
        elif status == 2:
            one = said.count("rethinking: ") == 1
            tally.add(DETECTED if one else TRACEBACK, tried, said[-2000:])
        else:
            tally.add(HARMLESS, tried, "the constants are of an allowed kind")
    return tally
