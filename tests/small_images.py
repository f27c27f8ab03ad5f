"""Thirty small images of three classes, and what a small run on them is."""

import numpy as np

RNG = np.random.default_rng(7)
IMAGES = RNG.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
LABELS = np.arange(30) % 3
TINY = {"model": "mlp-1x512", "model_options": {"width": 8}, "n": 20, "steps": 4, "eval_every": 2, "interim_test": 5}
