"""Prints a line per tick until it is told to stop."""

import argparse
import itertools
import signal
import threading


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two ticks")
    interval = parser.parse_args().interval

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print(f"working every {interval:g} s", flush=True)
    for tick in itertools.count(1):
        if stop.wait(interval):
            break
        print(f"tick {tick}", flush=True)
    print("stopped", flush=True)


if __name__ == "__main__":
    main()
