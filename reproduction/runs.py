"""The training runs behind the figures: narrow networks, equal budgets, equal seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
"""Of the repository."""
WEIGHTS = ROOT / "weights" / "experiments"
"""Models of the runs, with a registry of their own; part of the repository alone."""

COMMON: dict[str, Any] = {
    "width": 32,
    "latent": 96,
    "between": 0.0,
    "patches": 8_000,
    "batch": 8,
    "crop": 128,
    "adam_lr": 2e-3,
    "warmup": 200,
    "clip": 1.0,
    "beta_exponent": 0.4,
    "ema": 0.99,
    "precision": "fp32",
    "seed": 1,
}
"""Options of every run; all runs see the same crops in the same order if they have the same seed."""


@dataclass(frozen=True)
class Run:
    """What sets one run apart: options in place of those in `COMMON`, and the run whose result it starts from."""

    options: dict[str, Any]
    start: str = ""


def _minnen(**options: Any) -> dict[str, Any]:
    return {"preset": "minnen2018-gained", **options}


def _agvae(**options: Any) -> dict[str, Any]:
    return {"preset": "agvae2021", **options}


def _balle(**options: Any) -> dict[str, Any]:
    return {"preset": "balle2018-gained", **options}


SINGLE_BETAS = (0.001, 0.007, 0.05)
"""Second, fourth and last of B_mse: what the models of one rate are trained for."""


def _single(beta: float) -> dict[str, Any]:
    """A model of one rate: a scale and its reciprocal around the autoencoder cancel, so nothing is left of them."""
    return {"rate": "bottleneck", "betas": str(beta)}


RUNS: dict[str, Run] = {
    "minnen-hcvr": Run(_minnen()),
    "minnen-cvr": Run(_minnen(rate="cvr")),
    **{f"minnen-single-{k}": Run(_minnen(**_single(beta))) for k, beta in enumerate(SINGLE_BETAS, 1)},
    "minnen-bottleneck": Run(_minnen(rate="bottleneck", trained="entropy", betas="mse"), start="minnen-single-3"),
    "minnen-conditional": Run(_minnen(rate="conditional")),
    "minnen-hcvr-n3": Run(_minnen(betas="0.0003,0.001,0.003")),
    "agvae": Run(_agvae()),
    "sgvae": Run(_agvae(entropy="symmetric")),
    "agvae-cvr": Run(_agvae(rate="cvr")),
    "agvae-seed2": Run(_agvae(seed=2)),
    "sgvae-seed2": Run(_agvae(entropy="symmetric", seed=2)),
    "minnen-hcvr-seed2": Run(_minnen(seed=2)),
    "minnen-cvr-seed2": Run(_minnen(rate="cvr", seed=2)),
    "balle-hcvr": Run(_balle()),
    **{f"balle-single-{k}": Run(_balle(**_single(beta))) for k, beta in enumerate(SINGLE_BETAS, 1)},
}
