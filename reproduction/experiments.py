"""The experiments of the paper that can be reproduced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reproduction.kinds import Experiment, Latents, Numbers, RateDistortion, Table
from reproduction.lines import SINGLE, Line, Panels, single_rates, two_seeds


def _importance(names: Sequence[str], image: Path) -> tuple[Numbers, bytes]:
    from reproduction.importance import draw_importance

    return draw_importance(names[0], image)


def _gains(names: Sequence[str], image: Path) -> tuple[Numbers, bytes]:
    from reproduction.gain_vectors import draw_gain_vectors

    return draw_gain_vectors(names[0])


def _densities(names: Sequence[str], image: Path) -> tuple[Numbers, bytes]:
    from reproduction.densities import draw_densities

    return draw_densities(names, image)


def _discrete(model: str) -> Panels:
    return {model: [Line("trained vectors (DVR)", (model,), style="ko")]}


def _continuous(model: str) -> Panels:
    (vectors,) = _discrete(model)[model]
    between = Line("with interpolation (CVR)", (model,), (vectors.label,), between=True, style="C0.-")
    return {model: [between, vectors]}


_ALL: tuple[Experiment, ...] = (
    Latents("fig2", "importance of channels, on one image", _importance, any_model=True),
    RateDistortion("fig3", "discrete rates: one model at its trained gain vectors", _discrete, any_model=True),
    RateDistortion("fig4", "continuous rates: the same model between its trained vectors", _continuous, any_model=True),
    RateDistortion(
        "fig9",
        "gain units, bottleneck scaling, conditional convolution and models of one rate",
        lambda _: {
            "Minnen et al.": [
                single_rates("minnen"),
                Line("HCVR", ("minnen-hcvr",), (SINGLE,)),
                Line("bottleneck scaling", ("minnen-bottleneck",), ("HCVR",)),
                Line("conditional convolution", ("minnen-conditional",), ("HCVR",)),
            ]
        },
    ),
    RateDistortion(
        "fig10",
        "gain units on two backbones, and models of one rate",
        lambda _: {
            "Ballé et al.": [single_rates("balle"), Line("HCVR", ("balle-hcvr",), (SINGLE,))],
            "Minnen et al.": [single_rates("minnen"), Line("HCVR", ("minnen-hcvr",), (SINGLE,))],
        },
    ),
    RateDistortion(
        "fig11",
        "gain units on y and z (HCVR) or on y alone (CVR)",
        lambda _: {
            "AG-VAE": two_seeds("agvae", "HCVR", "agvae-cvr", "CVR"),
            "Minnen et al.": two_seeds("minnen-hcvr", "HCVR", "minnen-cvr", "CVR"),
        },
    ),
    RateDistortion(
        "fig12",
        "asymmetric or symmetric Gaussian entropy model",
        lambda _: {"AG-VAE": two_seeds("agvae", "asymmetric (AG-VAE)", "sgvae", "symmetric (SG-VAE)")},
    ),
    Table("table1", "additional parameters and computation (trains and codes nothing)"),
    Latents("supp-fig1", "gain vectors over the channels", _gains, of_image=False, any_model=True),
    Latents(
        "supp-fig2",
        "symbols and densities of the channel of highest entropy, on one image",
        _densities,
        beside={"agvae": "sgvae", "agvae-seed2": "sgvae-seed2"},
        any_model=True,
    ),
    RateDistortion(
        "supp-n",
        "six or three gain vectors over a short range of rates (supplement, section 1.2)",
        lambda _: {
            "Minnen et al., HCVR": [
                Line("n = 6", ("minnen-hcvr",)),
                Line("n = 3", ("minnen-hcvr-n3",), ("n = 6",)),
            ]
        },
    ),
)
EXPERIMENTS = {experiment.name: experiment for experiment in _ALL}
