"""Records of runs, and the only module that opens runs/.

A record is a folder `<runs>/<run_id>/`:

    spec.json          what was asked for
    curve.csv          one row per evaluation
    online.csv         the online log: mean loss (nats) and accuracy of the training batches since the line before;
                       runs made before it was kept have none
    environment.json   what it was made with: versions, commit, device, precision, seconds, digests of plug-ins and, of
                       a probe, of the weights that it measured
    arrays.npz         where the spec has `keep`, or the probe arrays: what is kept of the trained network
    weights.safetensors, checkpoint.safetensors    ignored by git, elsewhere where asked for; the checkpoint goes when
                       the run is complete; a run on ImageNet has a folder, checkpoint/
    lease-0, lease-1 ...    who is making it now
    result.json        written last, with the digests of the others: its existence means that the run is complete

`write` writes it, `lease` says who may, `make` has one that is made again in runs/.again/ replace it, `digests` binds
its files together, `read` reads and checks it, `folder` holds all that is in runs/, `litter` deletes what may go.
`parcel` has a record as bytes, which one machine makes and another puts in place.
`frame` gives the records of a folder as pandas data frames; `archive` reads the list of those that no figure is of.
`bundle` has those that an installed package brings along.
"""

from rethinking.record.archive import archived
from rethinking.record.folder import Runs
from rethinking.record.lease import HEARTBEAT, SILENCE, Making, making
from rethinking.record.make import leased
from rethinking.record.read import STATUSES, Record, check_current, check_plug_ins, parse_curve, parse_log, read
from rethinking.record.write import LOG_COLUMNS, Row, Writer, format_curve, format_log, write

__all__ = [
    "HEARTBEAT",
    "LOG_COLUMNS",
    "SILENCE",
    "STATUSES",
    "Making",
    "Record",
    "Row",
    "Runs",
    "Writer",
    "archived",
    "check_current",
    "check_plug_ins",
    "format_curve",
    "format_log",
    "leased",
    "making",
    "parse_curve",
    "parse_log",
    "read",
    "write",
]
