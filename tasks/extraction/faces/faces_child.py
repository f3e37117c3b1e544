"""The process behind ``tasks.extraction.faces.finding``: runs a face detector.

Run as ``python faces_child.py DETECTOR``. A request is one line of JSON, ``{"width": 320, "height":
180, "count": 35, "limit_seconds": 120}``, followed by so many RGB pictures, 3 bytes a pixel. Its
answer, one line of JSON, holds ``faces``, for each picture a list of boxes, or ``error``. Native
code of others reads pictures of strangers here: if it crashes, it takes this process alone with it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import IO, Any

MAX_FACES = 32
"""Faces of a picture that are told, the surest ones: the answer's length has a limit."""


def serve_faces(reference: str, requests: IO[bytes], answers: IO[str]) -> None:
    """Answer every request with one line, until the requests end."""
    import numpy as np

    from emi_model.errors import ConfigError
    from tasks.extraction.faces.detectors import load_detector

    detect, error = None, ""
    try:
        detect = load_detector(reference)
    except ConfigError as refused:
        error = str(refused)
    for line in requests:
        request = json.loads(line)
        shape = (request["count"], request["height"], request["width"], 3)
        content = requests.read(int(np.prod(shape)))
        # If the parent has ended, nothing else would end a detector that hangs.
        signal.alarm(request["limit_seconds"])
        answer: dict[str, Any] = {"error": error}
        if detect is not None:
            pictures = np.frombuffer(content, np.uint8).reshape(shape)
            faces = [sorted(detect(one), key=lambda box: -box.confidence) for one in pictures]
            answer = {"faces": [one[:MAX_FACES] for one in faces]}
        signal.alarm(0)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[threads] = "1"  # decoders are as many as there are cores for them
    sys.path.append(str(Path(__file__).resolve().parents[3]))
    own = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    serve_faces(sys.argv[1], sys.stdin.buffer, own)
