"""Check a GPU: ``python -m emi_model.speed.gpu``; ``--help`` says what else may be asked for.

It prints one Markdown table and ends with 0 if nothing failed, 1 if a check did, 2 without a GPU.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from emi_model.errors import EXIT_USAGE, ConfigError
from emi_model.speed.gpu.checks import SECTIONS, run_checks
from emi_model.speed.gpu.rows import CheckRow, CheckVerdict, table
from emi_model.speed.gpu.stage import FULL_SIZES, SMALL, Stage
from emi_model.speed.measure import checked_device

EXIT_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Check and print; returns the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        device = checked_device(asked.device)
    except ConfigError as error:
        sys.stderr.write(f"gpu: {error}\n")
        return EXIT_USAGE
    if device.type != "cuda" and not asked.small:
        sys.stderr.write("gpu: found no GPU, expected one: --small runs what a CPU can show\n")
        return EXIT_USAGE
    rows = run_checks(Stage(device, SMALL if asked.small else FULL_SIZES), asked.only, _tell)
    text = table(rows)
    if asked.out is not None:
        asked.out.write_text(f"{text}\n", encoding="utf-8")
    sys.stdout.write(f"{text}\n")
    return EXIT_FAILED if any(row.verdict == CheckVerdict.NO for row in rows) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m emi_model.speed.gpu",
        description="Check this machine's GPU; a Markdown table.",
    )
    parser.add_argument("--small", action="store_true", help="a small model; runs on a CPU too")
    parser.add_argument("--device", help="cpu, cuda, cuda:N; default: CUDA if there is one")
    parser.add_argument(
        "--only", nargs="+", choices=tuple(SECTIONS), default=tuple(SECTIONS), help="some checks"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table there too")
    return parser


def _tell(row: CheckRow) -> None:
    sys.stderr.write(f"{row.check}: {row.found} [{row.verdict}]\n")


if __name__ == "__main__":
    sys.exit(main())
