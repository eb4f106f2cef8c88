"""What one command costs: seconds on the clock, processor time, bytes written, peak memory.

A tool is its own processes and its daemon's. Nothing is sampled while the clock is read; memory is sampled in a run
of its own, because looking at /proc every few milliseconds takes a share of two cores.
"""

import os
import pathlib
import subprocess
import sys
import threading
import time

PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    pass


def run(command, log=None, **options):
    """Runs to the end and returns stdout; what went wrong is in the exception."""
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(done.stdout + done.stderr)
    if done.returncode:
        printed = done.stdout[-2000:] + done.stderr[-4000:]
        raise Failed(f"{' '.join(map(str, command))}\nended with {done.returncode}\n{printed}")
    return done.stdout


def processes():
    """The parent and the resident bytes of every process."""
    found = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                with open(f"/proc/{entry.name}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found[int(entry.name)] = int(fields[1]), int(fields[21]) * PAGE
    return found


def family(roots):
    """The processes that descend from `roots`, with those; and the resident bytes of all."""
    found = processes()
    children = {}
    for pid, (parent, _) in found.items():
        children.setdefault(parent, []).append(pid)
    members, todo = set(), [pid for pid in roots if pid in found]
    while todo:
        pid = todo.pop()
        if pid not in members:
            members.add(pid)
            todo += children.get(pid, [])
    return members, sum(found[pid][1] for pid in members)


class Peak:
    """The highest sum of resident bytes of this process's children, which a daemon of the tool is too.

    Pages that several processes share count once for each.
    """

    def __init__(self, daemons):
        self.daemons = daemons
        self.bytes = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        own = os.getpid()
        while not self.over.wait(0.02):
            others = family(self.idle)[0]
            roots = [pid for pid, (parent, _) in processes().items() if parent == own and pid not in others]
            self.bytes = max(self.bytes, family([*roots, *self.daemons])[1])

    def __enter__(self):
        # Daemons of the other tools are children of this process too.
        own = os.getpid()
        self.idle = [pid for pid, (parent, _) in processes().items() if parent == own and pid not in self.daemons]
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def written(pid):
    """Bytes that this process, and those of its children that have ended, caused to be written to disk.

    The kernel counts a page when it becomes dirty, so what is deleted before it reaches the disk counts as well.
    """
    lines = pathlib.Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("write_bytes")))


def processor(pid):
    """Seconds of processor time of this process and of those of its children that have ended."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICK


def used(daemons):
    """Processor time and bytes written of everything that ended and of the running daemons, so far."""
    alive = [pid for root in daemons for pid in family([root])[0]]
    times = os.times()
    time_used = times.children_user + times.children_system
    bytes_written = written("self")
    for pid in alive:
        try:
            time_used += processor(pid)
            bytes_written += written(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return time_used, bytes_written


def timed(action, daemons=()):
    """Calls `action`; seconds on the clock, seconds of processor time, bytes written."""
    os.sync()
    before = used(daemons)
    start = time.monotonic()
    action()
    seconds = time.monotonic() - start
    after = used(daemons)
    return {"seconds": seconds, "processor": after[0] - before[0], "written": after[1] - before[1]}


def sampled(action, daemons=()):
    """Calls `action`; its peak memory in bytes."""
    with Peak(daemons) as peak:
        action()
    return peak.bytes


def say(text):
    print(text, file=sys.stderr, flush=True)
