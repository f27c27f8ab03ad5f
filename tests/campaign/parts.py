"""The parts of the campaign, each with how many tries it has at full size."""

import crowd
import damage
import fuzz
import hostile
import kills
import leases

PARTS = {
    "calls": (kills.calls, 1300),
    "signals": (kills.signals, 100),
    "processes": (crowd.processes, 12),
    "shared": (crowd.shared, 150),
    "no_room": (crowd.no_room, 400),
    "full_disk": (crowd.full_disk, 100),
    "records": (damage.records, 7500),
    "lists": (damage.lists, 400),
    "leases": (leases.leases, 200),
    "checkpoints": (leases.checkpoints, 600),
    "caches": (damage.caches, 1000),
    "bfloat16": (damage.bfloat16_tried, 300),
    "folders": (damage.folders, 1000),
    "drawn": (damage.drawn, 300),
    "pictures": (damage.pictures, 150),
    "pages": (damage.pages, 300),
    "specs": (fuzz.specs, 5000),
    "command_lines": (fuzz.command_lines, 1000),
    "constants": (fuzz.constants, 600),
    "archives": (hostile.archives, 600),
    "hosts": (hostile.hosts, 200),
    "packages": (hostile.packages, 200),
    "many": (crowd.many, 50_000),
}
KILLS = ("calls", "signals")
LEFT_OUT = ("processes", "shared", "many")  # of what is damaged or hostile
