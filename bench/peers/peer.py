"""What the Python peers of bench/train share: the task's files, and one timed step for each line on stdin."""

import json
import sys
import time

import numpy as np


class Task:
    """The folder that bench/train wrote: task.json, weights.f32, images.f32."""

    def __init__(self, folder):
        with open(f"{folder}/task.json") as file:
            task = json.load(file)
        self.backbone, self.shape, self.threads = task["backbone"], task["images"], task["threads"]
        self.way, self.shot, self.query = task["way"], task["shot"], task["query"]
        self.rate = task["rate"]
        self.images = np.fromfile(f"{folder}/images.f32", np.float32).reshape(self.shape)
        flat, at, self.weights = np.fromfile(f"{folder}/weights.f32", np.float32), 0, []
        for dims in task["parameters"]:
            size = int(np.prod(dims))
            self.weights.append(flat[at : at + size].reshape(dims))
            at += size
        assert at == flat.size


def serve(version, step):
    """Says what it is, then answers each line with the milliseconds of a step and its loss."""
    print(json.dumps({"version": version}), flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        loss = step()
        print(json.dumps({"ms": 1000 * (time.perf_counter() - started), "loss": loss}), flush=True)
