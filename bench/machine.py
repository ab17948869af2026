"""Where a measurement was made, and with what: the lines without which its figures mean nothing."""

from __future__ import annotations

import hashlib
import os
import platform
import resource
import sys
from importlib.metadata import version
from pathlib import Path

import tokamask

__all__ = ["limit_memory", "load_average", "load_in_words", "machine", "package_version", "peak_memory"]


def machine() -> str:
    """Processor, cores, memory and Python, in one line."""
    cores = os.cpu_count() or 1
    parts = [_processor(), f"{cores} core{'s' if cores > 1 else ''}"]
    if memory := _memory():
        parts.append(f"{memory / 2**30:.0f} GiB")
    return ", ".join([*parts, f"{platform.system()}, Python {platform.python_version()}"])


def load_average() -> float | None:
    """Processes that wanted to run over the last minute, ours among them; None where the system does not tell."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def load_in_words() -> str:
    """`load_average` as part of a sentence."""
    load = load_average()
    return "the machine's load is not known" if load is None else f"the machine's load was {load:g}"


def peak_memory() -> int:
    """The most memory that this process has held, in KiB."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    # On Linux this would also count what the process that started us held at that moment.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def limit_memory(gib: float) -> None:
    """Let this process allocate no more than `gib` GiB; what goes beyond fails in it (Linux; elsewhere no limit).

    Counted is what is private and can be written: neither files that are mapped nor addresses that are only reserved.
    """
    limit = int(gib * 2**30)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def package_version(package: str) -> str:
    """The version of an installed package; for tokamask also which sources, since a checkout changes between releases.

    Raises:
        importlib.metadata.PackageNotFoundError: it is not installed.
    """
    return f"{version(package)} ({_sources()})" if package == "tokamask" else version(package)


def _sources() -> str:
    """Eight digits that differ when any source file of tokamask does."""
    root = Path(tokamask.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:8]


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> int:
    """Bytes of main memory; 0 where the system does not tell."""
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
        return 0
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
