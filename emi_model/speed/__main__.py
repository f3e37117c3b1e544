"""How fast a machine scores: ``python -m emi_model.speed``, a script that a GPU machine can run.

It needs this package, PyTorch, transformers and numpy; with ``--media`` also PyAV. It prints a
Markdown table, or a JSON object: the machine, its fastest product of matrices, the plain way (one
clip a call in float32), the model alone in each precision asked for, and for a folder of media
files the way from file to score, with decoders in threads. ``emi bench`` adds the whole job.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from emi_model.architecture.config import Precision
from emi_model.errors import EXIT_INTERRUPTED, EXIT_USAGE, EmiError
from emi_model.speed.measure import HIDDEN, LAYERS, measure, random_model
from emi_model.speed.report import markdown
from emi_model.speed.throughput import CLIPS_PER_CALL, OnProgress


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        if asked.model is None:
            model = random_model(asked.layers, asked.hidden)
            name = f"{asked.layers} layers of width {asked.hidden}, random weights"
        else:
            from emi_model.checkpoints.load import load_model  # not needed for random weights

            model, name = load_model(asked.model).model, asked.model
        speed = measure(
            model,
            name,
            asked.precision,
            seconds=asked.seconds,
            device=asked.device,
            plain=asked.plain,
            clips_per_call=asked.clips_per_call,
            media=asked.media,
            decoders=asked.decoders,
            on_stage=_say_stage,
        )
    except EmiError as error:
        sys.stderr.write(f"speed: {error}\n")
        return EXIT_USAGE
    except KeyboardInterrupt:
        sys.stderr.write("speed: interrupted\n")
        return EXIT_INTERRUPTED
    found = json.dumps(speed.to_dict()) if asked.as_json else markdown(speed.rows())
    sys.stdout.write(f"{found}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m emi_model.speed",
        description="Measure how fast this machine scores; a Markdown table.",
    )
    parser.add_argument("--model", metavar="FOLDER", help="default: random weights")
    parser.add_argument("--layers", type=int, default=LAYERS, help="of random weights")
    parser.add_argument("--hidden", type=int, default=HIDDEN, help="width of random weights")
    parser.add_argument(
        "--precision", nargs="+", choices=get_args(Precision), default=["auto"], help="one or more"
    )
    parser.add_argument("--seconds", type=_above_zero, default=20.0, help="for each, about")
    parser.add_argument("--device", help="cpu, cuda, cuda:N; default: CUDA if there is one")
    parser.add_argument(
        "--clips-per-call", type=_count, default=CLIPS_PER_CALL, metavar="N", help="a block's clips"
    )
    parser.add_argument(
        "--no-plain", dest="plain", action="store_false", help="leave out one clip a call in fp32"
    )
    parser.add_argument(
        "--media", type=Path, metavar="FOLDER", help="media files, to be decoded by PyAV and scored"
    )
    parser.add_argument(
        "--decoders", type=_count, metavar="N", help="threads that decode; default: one a core"
    )
    parser.add_argument("--json", dest="as_json", action="store_true", help="one JSON object")
    return parser


def _above_zero(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"found {text}, expected more than 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"found {text}, expected 1 or more")
    return value


def _say_stage(stage: str) -> OnProgress:
    sys.stderr.write(f"{stage}\n")
    return lambda _done, _total: None


if __name__ == "__main__":
    sys.exit(main())
