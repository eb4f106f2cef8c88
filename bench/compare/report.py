"""The tables of docs/benchmarks.md from the measurements."""

import os
import statistics
import time

PEERS = ("buildah", "docker", "buildah-oci", "docker-oci")
CASES = {
    "nothing": "nothing changed", "one-file": "one source file changed", "dependency": "one dependency added",
    "cold": "cold, package caches warm", "tree nothing": "nothing changed", "tree one-file": "one file changed",
    "tree cold": "cold", "first": "the first build of the run",
}


def machine():
    with open("/proc/cpuinfo") as file:
        cpu = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) >> 20
    return (f"{os.cpu_count()} × {cpu}, {memory} GiB, Linux {os.uname().release}, {time.strftime('%Y-%m-%d')}, "
            f"load {os.getloadavg()[0]:.1f} at the start")


def median(records, case, app, tool, key):
    values = [r[key] for r in records if (r["case"], r["app"], r["tool"]) == (case, app, tool) and key in r]
    return statistics.median(values) if values else None


def unique(values):
    return list(dict.fromkeys(values))


def seconds(value):
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.2f} s"


def megabytes(value):
    return f"{value / 1e6:.1f} MB"


def table(title, head, rows):
    lines = [f"### {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def compared(records, key, form, cases):
    """One row for each case and app: rpack, then each peer with its ratio to rpack."""
    chosen = [r for r in records if r["case"] in cases and key in r]
    tools = [tool for tool in PEERS if any(r["tool"] == tool for r in chosen)]
    rows = []
    for case, app in unique((r["case"], r["app"]) for r in chosen):
        own = median(records, case, app, "rpack", key)
        cells = [CASES.get(case, case), app, "–" if own is None else form(own)]
        for tool in tools:
            theirs = median(records, case, app, tool, key)
            if theirs is None:
                cells.append("–")
            elif not own:
                cells.append(form(theirs))
            else:
                cells.append(f"{form(theirs)} ({theirs / own:.1f}×)")
        rows.append(cells)
    return ["case", "app", "rpack", *tools], rows


def beside(records):
    """What is not a builder: the compiler alone, tar with gzip or pigz, find."""
    rows = []
    others = [r for r in records if r["tool"] not in ("rpack", *PEERS)]
    for case, app, tool in unique((r["case"], r["app"], r["tool"]) for r in others):
        key, form = ("bytes", megabytes) if case == "size" else ("seconds", seconds)
        own, theirs = (median(records, case, app, name, key) for name in ("rpack", tool))
        ratio = f"{own / theirs:.2f}" if own and theirs else "–"
        rows.append([CASES.get(case, case), app, tool, form(theirs), form(own) if own else "–", ratio])
    return ["case", "app", "beside", "it", "rpack", "rpack / it"], rows


def tables(results):
    records = results["records"]
    timings = [case for case in CASES if case != "first"]
    parts = [f"{results['machine']}. Median of {results['rounds']} rounds, the tools taking turns.\n"]
    for title, (head, rows) in (
        ("On the clock", compared(records, "seconds", seconds, timings)),
        ("Processor time", compared(records, "processor", seconds, timings)),
        ("Bytes written", compared(records, "written", megabytes, timings)),
        ("Image size, compressed layers", compared(records, "bytes", megabytes, ["size"])),
        ("Peak memory of a cold build", compared(records, "bytes", megabytes, ["memory"])),
        ("Beside tools that build no image", beside(records)),
    ):
        if rows:
            parts.append(table(title, head, rows))
    return "\n".join(parts)
