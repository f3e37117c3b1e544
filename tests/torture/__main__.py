"""The campaign: ``python -m tests.torture [--files N] [--media FOLDER] [--seed N]``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.torture.campaign import run_campaign
from tests.torture.mutations import write_mutants, write_synthetic


def main() -> int:
    """Run it and print what it found; return 1 if something was not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--files", type=int, default=2_000, help="how many (default 2000)")
    parser.add_argument("--media", type=Path, help="a folder of good clips, beside made ones")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="emi-torture-") as folder:
        work, started = Path(folder), time.monotonic()
        tempfile.tempdir = str(work / "tmp")
        (work / "tmp").mkdir()
        bases = write_synthetic(work / "bases")
        if args.media is not None and args.media.is_dir():
            bases += [path for path in args.media.iterdir() if path.is_file()]
        write_mutants(bases, work / "corpus", args.files, args.seed)
        found = run_campaign(work / "corpus", work)
        tempfile.tempdir = None
    for reason, count in found.outcomes.most_common():
        sys.stdout.write(f"{count:7d} {reason}\n")
    for fault in found.faults:
        sys.stdout.write(f"FAULT {fault}\n")
    sys.stdout.write(f"{time.monotonic() - started:.0f} s, {len(found.faults)} faults\n")
    return bool(found.faults)


if __name__ == "__main__":
    sys.exit(main())
