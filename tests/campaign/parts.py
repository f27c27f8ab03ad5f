"""The parts of the campaign, each with how many tries it has at full size."""

import crowd
import damage
import fuzz
import hostile
import kills

PARTS = {
    "calls": (kills.calls, 1200),
    "signals": (kills.signals, 48),
    "records": (damage.records, 7500),
    "checkpoints": (damage.checkpoints, 600),
    "caches": (damage.caches, 1000),
    "folders": (damage.folders, 1000),
    "drawn": (damage.drawn, 300),
    "pages": (damage.pages, 300),
    "specs": (fuzz.specs, 5000),
    "command_lines": (fuzz.command_lines, 1000),
    "constants": (fuzz.constants, 600),
    "archives": (hostile.archives, 600),
    "hosts": (hostile.hosts, 200),
    "processes": (crowd.processes, 8),
    "full_disk": (crowd.full_disk, 100),
}
