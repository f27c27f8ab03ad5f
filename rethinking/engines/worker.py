"""A worker process: one job per line on standard input, one event per line on standard output, both JSON.

    {"spec": {...}, "until": null, "anew": false, "again": []}
        ->  {"event": "step", "step": 40} ...  {"event": "evaluation", ...} ...
            {"event": "step", "step": 40, "network": run id, "steps": 400} ..., of the run whose weights a probe reads
            {"event": "done"} | {"event": "busy"} | {"event": "error", "message": ..., "retry": bool}

Paid once per worker, not per run: the interpreter, torch, the data set. It ends when its input does.
"""

import json
import math
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from rethinking import catalog, streams
from rethinking.errors import InputError

STEP_EVERY = 0.5  # seconds between step events


def main(
    runs_root: str,
    device: str,
    checkpoints: str,
    weights: str,
    data_dir: str | None,
    threads: str,
    owner: str | None = None,
) -> None:
    """Serve until standard input ends; SIGTERM ends the present run, its checkpoint written.

    owner: the folder of records that checkpoints are for, where it is another than `runs_root`.
    """
    if data_dir:  # where own data sets are found by name
        os.environ["RETHINKING_DATA"] = data_dir
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # until there is something to save
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the parent's to handle
    events = os.fdopen(os.dup(1), "w")
    streams.prepare(forgiving=True)
    os.dup2(2, 1)  # what a plug-in prints is not an event
    jobs: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read, args=(jobs,), daemon=True).start()

    from rethinking.engines.execute import Stopped, ask_to_stop, execute
    from rethinking.record import Runs
    from rethinking.revision import commit
    from rethinking.spec import from_json

    signal.signal(signal.SIGTERM, lambda *_: ask_to_stop() or sys.exit(143))
    commit()  # of the code as it is loaded; the checkout may move on while runs go on

    def say(**event: Any) -> None:
        clean = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in event.items()}
        try:
            print(json.dumps(clean), file=events, flush=True)
        except BrokenPipeError:  # the parent is gone, and the end of its input stops the run, its checkpoint written
            os.dup2(os.open(os.devnull, os.O_WRONLY), events.fileno())

    last, now = 0.0, 0

    def on_step(step: int, **network: Any) -> None:
        nonlocal last, now
        now = 0 if network else step
        if time.monotonic() - last >= STEP_EVERY:
            last = time.monotonic()
            say(event="step", step=step, **network)

    def on_evaluation(row: dict[str, Any]) -> None:
        if now:  # said with every evaluation, however soon after the step before
            say(event="step", step=now)
        say(event="evaluation", **row)

    while (line := jobs.get()) is not None:
        last, now, mine = 0.0, 0, ""
        try:
            job = json.loads(line)
            spec = from_json(json.dumps(job["spec"]))
            mine = ", ".join(spec.plug_ins)  # where an error is theirs, another try ends as this one
            runs = Runs(runs_root, checkpoints, weights, again=job["again"])
            runs.owner = Path(owner) if owner else runs.root
            finished = execute(
                spec,
                runs,
                device=device,
                data_dir=data_dir,
                on_step=on_step,
                on_evaluation=on_evaluation,
                on_resume=lambda step: say(event="resumed", step=step),
                on_network=lambda run, step: on_step(step, network=run.run_id, steps=run.steps),
                until=job["until"],
                anew=job["anew"],
                threads=int(threads),
            )
        except Stopped:
            sys.exit(143)
        except InputError as error:
            say(event="error", message=str(error), retry=False)
        except OSError as error:
            say(event="error", message=f"{error.strerror or error}: {error.filename or runs_root}", retry=False)
        except Exception as error:
            place = catalog.plug_in_line(error)
            message = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            told = place or (f"with {mine}" if mine else None)
            say(event="error", message=f"{told}: {message}" if told else message, retry=told is None)
        else:
            say(event="done" if finished else "busy")


def _read(jobs: "queue.Queue[str | None]") -> None:
    for line in sys.stdin:
        jobs.put(line)
    jobs.put(None)
    os.kill(os.getpid(), signal.SIGTERM)  # the parent is gone or done
