"""The training runs behind the figures: narrow networks, equal budgets, equal seeds."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from agvae.weights import BUNDLED

WEIGHTS = BUNDLED / "experiments"
"""Models of the runs, with a registry of their own; part of the source tree, not of the installed package."""

EXPERIMENTS = {
    "fig2": "importance of channels, on one image",
    "fig3": "discrete rates: one model at its trained gain vectors",
    "fig4": "continuous rates: the same model between its trained vectors",
    "fig9": "gain units, bottleneck scaling, conditional convolution and models of one rate",
    "fig10": "gain units on two backbones, and models of one rate",
    "fig11": "gain units on y and z (HCVR) or on y alone (CVR)",
    "fig12": "asymmetric or symmetric Gaussian entropy model",
    "table1": "additional parameters and computation (trains and codes nothing)",
    "supp-fig1": "gain vectors over the channels",
    "supp-fig2": "symbols and densities of the channel of highest entropy, on one image",
    "supp-n": "six or three gain vectors over a short range of rates (supplement, section 1.2)",
}

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

TRAINING = """\
The loss of each patch is divided by beta^0.4; the paper's equation 6 is not weighted. Adam at 2e-3 with warm-up and
cosine decay, five times that for gain vectors, priors, and scales and biases of conditional convolutions, and an
average of the weights (EMA) is what codes; the paper: Adam at 1e-4, halved at epoch 6. A level is drawn for each
patch."""
"""How the runs are trained where they differ from the paper (section 4.1)."""

CAVEATS = {
    "fig2": "Uneven importance follows in part from the start of training: the transforms begin as principal "
    "components, which are ordered by variance.",
    "fig3": "The paper has n = 5 gain vectors in this figure, these models have 6.",
    "fig9": "Models of MSE only. Bottleneck scaling keeps the transforms of the model of the highest rate and trains "
    "hyperprior and context model. Of conditional convolution, Choi et al.'s mixed bin sizes are not there, and with "
    "them not the degradation where their ranges meet; nor is the curve of the recurrent network [13].",
    "fig10": "Models of MSE only. Section 4.4 of the paper says CVR, the caption HCVR; here it is HCVR.",
    "fig11": "Models of MSE only.",
    "fig12": "Models of MSE only. The paper shows 0.4 to 0.6 bpp; BD-rates are over the whole range here.",
    "supp-fig2": "The normal has the mean and the variance of the asymmetric density of the same model at every "
    "position. The two models have different latents.",
    "supp-n": "n = 3 has the three lowest of the six Lagrange multipliers.",
}
"""In what an experiment differs from the paper's."""


@dataclass(frozen=True)
class Run:
    """What sets one run apart: options in place of those in `COMMON`, and the run whose result it starts from."""

    options: dict[str, Any]
    start: str = ""

    def commands(self, name: str, folder: str) -> str:
        """The shell commands that train this run on the images in DATA and export it to `folder` as model `name`."""
        given = {**COMMON, **self.options}
        words = ["agvae", "train", "--data", "DATA", "--output", f"runs/{name}"]
        for key, value in given.items():
            words += [f"--{key.replace('_', '-')}", str(value)]
        if self.start:
            words += ["--init-from", f"{folder}/{self.start}.safetensors"]
        export = ["agvae", "export", f"runs/{name}/checkpoint.pt", f"{folder}/{name}.safetensors", "--name", name]
        return f"{shlex.join(words)} && {shlex.join(export)}"


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
