"""Table 1: what each way to serve several rates adds to a model of one rate, counted on this project's networks."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from agvae.networks import GainedAutoencoder, ReferenceConfig, build
from agvae.networks.complexity import complexity, parameters
from agvae.networks.gain import GainUnit, level_weights
from agvae.networks.presets import B_MSE
from reproduction.prose import read

SIDE = 256
LATENT = 192
"""c of the paper."""
WIDTHS = {"balle2018": 128, "minnen2018": 192}
"""c_hp, which is N in both backbones."""
METHODS = {"hcvr": "HCVR", "bottleneck": "bottleneck scaling", "conditional": "conditional convolution"}

PAPER = {
    ("balle2018", "hcvr"): (0.076, 0.0004),
    ("balle2018", "bottleneck"): (0.023, 0.0004),
    ("balle2018", "conditional"): (0.315, 0.0428),
    ("minnen2018", "hcvr"): (0.040, 0.0002),
    ("minnen2018", "bottleneck"): (0.010, 0.0002),
    ("minnen2018", "conditional"): (0.140, 0.0193),
}
"""Additional parameters and FLOPs in percent, as printed."""
DIGITS = (3, 4)


class Work(NamedTuple):
    """Of convolutions on 256 x 256 pixels, for each pixel.

    Attributes:
        flops: two for each multiplication, with transposed convolutions counted at their output size, as if no tap
            fell on an inserted zero: the convention under which the paper's percentages come out.
        transform_outputs: numbers that the convolutions of g_a and g_s give.
    """

    flops: float
    transform_outputs: float


def equation_1(c: int, n: int) -> tuple[int, float]:
    """Parameters and FLOPs a pixel that gain units on y add (supplement, equation 1); y is at 1/16."""
    return c * n * 2, c * 2 / 16**2


def equation_2(c: int, n: int, c_hp: int, n_hp: int) -> tuple[int, float]:
    """The same for gain units on y and z (supplement, equation 2); z is at 1/64."""
    parameters_y, flops_y = equation_1(c, n)
    return parameters_y + c_hp * n_hp * 2, flops_y + c_hp * 2 / 64**2


def count() -> dict[str, Any]:
    """{"bases": what the model of one rate has, "rows": what each method adds, beside the paper's numbers}."""
    bases, rows = {}, []
    for backbone, width in WIDTHS.items():
        networks = {rate: _build(backbone, width, rate) for rate in METHODS}
        plain = parameters(networks["hcvr"]) - sum(map(parameters, _gains(networks["hcvr"])))
        work = _work(networks["hcvr"])
        exact = 2000 * complexity(networks["hcvr"])["all"].kmac_per_pixel
        bases[backbone] = {
            "c": LATENT,
            "c_hp": width,
            "parameters": plain,
            "flops_per_pixel": work.flops,
            "flops_per_pixel_without_inserted_zeros": exact,
            "parameters_implied_by_paper": equation_2(LATENT, 6, width, 6)[0] / PAPER[backbone, "hcvr"][0] * 100,
        }
        for rate, network in networks.items():
            added = parameters(network) - plain
            flops = 2 * work.transform_outputs if rate == "conditional" else _gain_products(network, rate)
            percent, paper = (100 * added / plain, 100 * flops / work.flops), PAPER[backbone, rate]
            rows.append(
                {
                    "backbone": backbone,
                    "method": rate,
                    "parameters": added,
                    "flops_per_pixel": flops,
                    "equation": _by_equation(rate, width),
                    "percent": percent,
                    "paper": paper,
                    "agrees": [
                        round(ours, digits) == theirs
                        for ours, theirs, digits in zip(percent, paper, DIGITS, strict=True)
                    ],
                }
            )
    return {"side": SIDE, "n": len(B_MSE), "bases": bases, "rows": rows}


def _build(backbone: str, width: int, rate: str) -> GainedAutoencoder:
    return build(ReferenceConfig("table1", backbone, width, LATENT, rate, False, B_MSE))


def _gains(network: GainedAutoencoder) -> list[GainUnit]:
    return [module for module in network.modules() if isinstance(module, GainUnit)]


def _by_equation(rate: str, width: int) -> tuple[int, float] | None:
    if rate == "hcvr":
        return equation_2(LATENT, len(B_MSE), width, len(B_MSE))
    # one scale and its reciprocal: half of the parameters of equation 1, and the same products
    return (LATENT * len(B_MSE), equation_1(LATENT, 1)[1]) if rate == "bottleneck" else None


def _gain_products(network: GainedAutoencoder, rate: str) -> float:
    """Products of a gain and a number of y or z, before and after quantization, for each pixel."""
    with torch.no_grad():
        weights = level_weights(torch.zeros(1), network.config.levels)
        y = network.analyse(torch.zeros(1, 3, SIDE, SIDE), weights)
        z = network.hyper_analyse(y, weights)
    return 2 * (y.numel() + (z.numel() if rate == "hcvr" else 0)) / SIDE**2


def _work(network: GainedAutoencoder) -> Work:
    flops = outputs = 0

    def count(module: Any, _: object, output: Tensor) -> None:
        nonlocal flops, outputs
        taps = module.in_channels * module.kernel_size[0] * module.kernel_size[1]
        flops += 2 * taps * output.numel()
        outputs += output.numel() if module in transforms else 0

    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    transforms = {*network.analysis.modules(), *network.synthesis.modules()}
    hooks = [module.register_forward_hook(count) for module in convolutions]
    with torch.no_grad():
        network.train()(torch.zeros(1, 3, SIDE, SIDE), torch.zeros(1))
    for hook in hooks:
        hook.remove()
    return Work(flops / SIDE**2, outputs / SIDE**2)


NAMES = {"balle2018": "Ballé et al.", "minnen2018": "Minnen et al."}


def describe(found: dict[str, Any]) -> str:
    """The table of what each method adds, and what can be said of each difference."""
    lines = [
        "| backbone | method | parameters | by equation | % | paper | FLOPs a pixel | by equation | % | paper |",
        "|---|---|" + "---:|" * 8,
    ]
    for row in found["rows"]:
        equation = row["equation"] or ("-", "-")
        cells = [NAMES[row["backbone"]], METHODS[row["method"]], f"{row['parameters']:,}", _plain(equation[0])]
        for k, digits in enumerate(DIGITS):
            mark = "agrees" if row["agrees"][k] else "**differs**"
            cells += [f"{row['percent'][k]:.{digits}f}", f"{row['paper'][k]:.{digits}f}, {mark}"]
            cells += [f"{row['flops_per_pixel']:.4g}", _plain(equation[1])] if k == 0 else []
        lines.append(f"| {' | '.join(cells)} |")
    bases = found["bases"]
    added = {(row["backbone"], row["method"]): row for row in found["rows"]}
    conditional = [f"{added[backbone, 'conditional']['flops_per_pixel']:.1f}" for backbone in WIDTHS]
    explanations = read(
        "table1",
        n=found["n"],
        bases=", ".join(
            f"{NAMES[name]}: {base['parameters']:,} parameters, {base['flops_per_pixel']:,.0f} FLOPs a pixel"
            for name, base in bases.items()
        ),
        implied=bases["minnen2018"]["parameters_implied_by_paper"] / 1e6,
        minnen=bases["minnen2018"]["parameters"] / 1e6,
        balle=added["balle2018", "conditional"]["parameters"],
        exact=" and ".join(f"{bases[name]['flops_per_pixel_without_inserted_zeros']:,.0f}" for name in WIDTHS),
        outputs=" and ".join(conditional),
    )
    return "\n".join([*lines, "", explanations]) + "\n"


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"
