"""Time and memory of a sync's plan: ``python tests/benchmarks/number_sync.py``.

Plans as many desired against as many current numbers, nine tenths of them the same, in a process of its own for each
size, from 10,000 to 1,000,000: once with ten-digit desired numbers, once with ``+1 (919) 555-0101``. Beside it stands
what bare Python sets of ten-digit text take for the same difference. The bar, a million in 3 s and 1 GiB, is held
against CPU time, since a busy machine blurs the other. "More" is what the plan adds to the two lists themselves.
"""

from __future__ import annotations

import itertools
import json
import random
import resource
import subprocess
import sys
import time

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
BAR_SECONDS, BAR_MIB = 3.0, 1024


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def numbers(count: int) -> list[str]:
    """Different valid numbers, shuffled as hashes and exports do."""
    areas = (919, 984, 336, 704, 828, 910, 980, 252)
    exchanges = [exchange for exchange in range(200, 1000) if exchange % 100 != 11]
    every = (f"{area}{exchange}{line:04d}" for area in areas for line in range(10_000) for exchange in exchanges)
    found = list(itertools.islice(every, count))
    random.Random(743).shuffle(found)
    return found


def measure(size: int, notation: str) -> dict[str, float]:
    many = numbers(size + size // 10)
    current, desired = many[:size], many[size // 10 :]
    if notation == "crm":
        desired = [f"+1 ({n[:3]}) {n[3:6]}-{n[6:]}" for n in desired]
    before = peak_mib()

    start = time.process_time()
    there, wanted = set(current), set(desired)
    floor = (sorted(wanted - there), sorted(there - wanted), there & wanted)
    floor_seconds = time.process_time() - start
    del floor, there, wanted

    start, started = time.process_time(), time.perf_counter()
    from airflow_provider_bandwidth.number_sync import plan_number_sync

    plan = plan_number_sync(desired, current, remove_missing=True)
    seconds, wall = time.process_time() - start, time.perf_counter() - started
    assert (len(plan.to_import), len(plan.to_remove)) == (size // 10, size // 10), plan.counts()
    assert len(plan.unchanged) == size - size // 10
    return {"seconds": seconds, "wall": wall, "floor": floor_seconds, "mib": peak_mib(), "more": peak_mib() - before}


def main() -> None:
    print("         size  notation  CPU time      wall    a number  sets alone      peak      more")
    for notation, size in itertools.product(("digits", "crm"), SIZES):
        command = [sys.executable, __file__, str(size), notation]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        seconds, mib = found["seconds"], found["mib"]
        print(
            f"{size:>13,}{notation:>10}{seconds:>8.3f} s{found['wall']:>8.3f} s{seconds / size * 1e6:>9.2f} us"
            f"{found['floor']:>10.3f} s{mib:>6.0f} MiB{found['more']:>6.0f} MiB"
        )
        if size == SIZES[-1]:
            verdict = "within" if seconds < BAR_SECONDS and mib < BAR_MIB else "BEYOND"
            print(f"{verdict:>13} the bar of {BAR_SECONDS:.0f} s and {BAR_MIB:,} MiB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]), sys.argv[2])))
    else:
        main()
