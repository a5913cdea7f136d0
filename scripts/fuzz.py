"""Many rounds of damaged input for everything that reads files of strangers: make fuzz ROUNDS=20000 SEED=2 TARGET=rpm.

Each failure is printed with the command that repeats it. Without a seed one is chosen and printed. Memory is limited to
2 GiB, so that a reader without bounds fails here, too.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.fuzz.harness import chosen, repeat  # noqa: E402
from tests.fuzz.targets import TARGETS  # noqa: E402

MEMORY = 2 << 30
STEP = 200
"""Rounds of one target before the next one has its turn."""
MOST_FAILURES = 20


def main() -> int:
    """Run the rounds; 1 if any failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2000, help="of each target")
    parser.add_argument("--first", type=int, default=0, help="the number of the first round")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--target", default="", help=f"one of {', '.join(target.name for target in TARGETS)}")
    options = parser.parse_args()
    targets = chosen(TARGETS, options.target)
    if not targets:
        parser.error(f"there is no target {options.target}")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    print(f"seed {options.seed}, {options.rounds} rounds of {', '.join(target.name for target in targets)}", flush=True)
    started, failures = time.monotonic(), 0
    with tempfile.TemporaryDirectory(prefix="bigtop-builder-fuzz-") as folder:
        made = []
        for target in targets:
            (Path(folder) / target.name).mkdir()
            made.append(target(Path(folder) / target.name))
        for first in range(options.first, options.first + options.rounds, STEP):
            for one in made:
                rounds = min(STEP, options.first + options.rounds - first)
                tally = repeat(one, options.seed, first, rounds, stop_after=MOST_FAILURES)
                print(f"{one.name} {first}+{rounds}: {tally.read} read, {tally.refused} refused", flush=True)
                for failure in tally.failures:
                    print(f"FAILED: {failure}", flush=True)
                failures += len(tally.failures)
        for one in made:
            one.close()
    print(f"{failures} failures in {time.monotonic() - started:.0f} s, seed {options.seed}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
