"""What this machine has for runs: GPUs, cores and memory, within the limits of this process's control groups."""

import ctypes
import importlib.util
import os
import platform
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path

WORKER_MEMORY = 2_100_000_000  # bytes that a worker on the CPU takes at most, with CIFAR-10 and the largest network
ROOT = Path("/")
_DRIVER = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
_COUNT = f"""
import ctypes
driver, count = ctypes.CDLL({_DRIVER!r}), ctypes.c_int(0)
print(count.value if not driver.cuInit(0) and not driver.cuDeviceGetCount(ctypes.byref(count)) else 0)
"""
# A control group's limits and what is used of them: of version 2, which has two kinds, and of version 1.
_MEMORY_FILES = (
    ("memory.max", "memory.current"),
    ("memory.high", "memory.current"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes"),
)
_CPU_FILES = (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us"))


def gpu_count() -> int:
    """NVIDIA GPUs that this process may use, counted by CUDA's driver under CUDA_VISIBLE_DEVICES; torch stays unread.

    0 where the driver cannot start, or torch is built without CUDA.
    """
    return _counted(os.environ.get("CUDA_VISIBLE_DEVICES"))


@cache
def _counted(visible: str | None) -> int:
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return 0
    if not _torch_has_cuda():
        return 0
    try:  # in a process of its own: one that has started CUDA cannot be forked any more
        words = [sys.executable, "-I", "-S", "-c", _COUNT]
        return int(subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def _torch_has_cuda() -> bool:
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return False
    return runpy.run_path(str(Path(found.origin).with_name("version.py")))["cuda"] is not None


def cores(root: Path = ROOT) -> int:
    """Cores that this process may use: of its affinity, and of its control groups' quotas, at least 1."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for group in _groups("cpu", root):
        for files in _CPU_FILES:
            match _numbers(*(group / f for f in files)):
                case [quota, period] if quota > 0 and period > 0:
                    usable = min(usable, quota // period)
    return max(1, usable)


def free_memory(root: Path = ROOT) -> int | None:
    """Bytes that new processes may take: of the machine, and of its control groups' limits; None where not known."""
    free = [1024 * kilobytes for kilobytes in _field(root / "proc/meminfo", "MemAvailable:")]
    for group in _groups("memory", root):
        statistics = group / "memory.stat"
        cached = [*_field(statistics, "total_inactive_file"), *_field(statistics, "inactive_file"), 0]
        for files in _MEMORY_FILES:
            match _numbers(*(group / f for f in files)):
                case [limit, used]:
                    free.append(max(0, limit - used + cached[0]))  # a cached file gives way to a process
    return min(free, default=None)


def workers_that_fit(root: Path = ROOT) -> int:
    """Workers on the CPU: one per core, as far as memory holds them, at least 1."""
    free = free_memory(root)
    return cores(root) if free is None else max(1, min(cores(root), free // WORKER_MEMORY))


def _groups(controller: str, root: Path) -> list[Path]:
    """This process's control groups, of both versions, each with all that it lies in: a limit of any holds."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    mounted, found = root / "sys/fs/cgroup", []
    for line in lines:
        _, names, place = line.split(":", 2)
        if not names:
            tops = [mounted, mounted / "unified"]
        elif controller in names.split(","):
            tops = [mounted / controller, mounted / names]
        else:
            continue
        for top in tops:
            # Inside a container the path is often the host's, and the top is the container's own group.
            own = top / place.strip("/") if ".." not in place else top
            found += [folder for folder in (own, *own.parents) if folder.is_relative_to(top)]
    return found


def _numbers(*files: Path) -> list[int]:
    """The numbers that files hold; none where one is not there, or holds a word, as "max"."""
    try:
        return [int(word) for file in files for word in file.read_text().split()]
    except (OSError, ValueError):
        return []


def _field(file: Path, name: str) -> list[int]:
    """The number on the line of a file that begins with `name`, in a list; empty where there is none."""
    try:
        lines = [line.split() for line in file.read_text().splitlines()]
        return [int(words[1]) for words in lines if words[:1] == [name]]
    except (OSError, ValueError, IndexError):
        return []


def processor() -> str:
    """This machine's processor, with what of its instructions the arithmetic may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    return " ".join([model or platform.machine(), *(f for f in ("avx2", "avx512f", "avx512_bf16") if f in flags)])
