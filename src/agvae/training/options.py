"""What decides a training run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from agvae.networks import Config, preset
from agvae.networks.presets import B_MS_SSIM, B_MSE

PRECISIONS = ("bf16", "fp32")
METRICS = ("mse", "ms-ssim")
TRAINED = ("all", "entropy", "gains")
ENTROPIES = {"asymmetric": True, "symmetric": False}
MS_SSIM_SIDE = 160
"""Five scales of windows of 11 x 11 need images with more pixels a side."""
DEVICES = ("auto", "cpu", "cuda")
SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class TrainingOptions:
    """Everything that decides a run; stored in its checkpoints.

    Closest to the paper's training (section 4.1) is `--between 0 --beta-exponent 0 --adam-lr 1e-4`.  What still differs
    then: the learning rate falls along a cosine after a warm-up instead of in a step, Adam's own betas are 0.9 and
    0.98, gain vectors, priors and the density of z learn five times faster, the averaged weights are exported, and a
    level is drawn for each patch instead of each iteration.

    Attributes:
        data: what to train on, PATH[:FIRST-LAST][=SHARE], once or several times. PATH is a folder of images or tar
            files, one of them, or a pattern of such; FIRST-LAST are some of its images, counted from 1. Crops are drawn
            by area, or in the ratio of the shares, which all have or none, as in `--data 'photos-*.tar=0.8' --data
            charts.tar=0.2`. Images smaller than a crop are mirrored, those smaller than half of one left out.
        output: folder for checkpoints and the validation CSV.
        valid: like data, held out, with the name of a kind in place of a share, `valid.tar:1-8=charts`; kinds are
            measured apart, in float32. Without it nothing is validated.
        preset: light, base, agvae2021, minnen2018-gained, balle2018-gained, or one that an installed package registers.
        betas: in place of the preset's Lagrange multipliers "mse" or "ms-ssim", the sets of section 4.1, or numbers in
            ascending order with commas between them, such as 0.001,0.01,0.1; their number is n, and a single one
            trains a model of one rate.
        entropy: in place of the preset's entropy model "asymmetric" or "symmetric" (SG-VAE).
        rate: how a preset of the paper serves rates, in place of its own way, see `agvae.networks.ReferenceConfig`.
        width, latent: channels of a preset of the paper; 0 for its own.
        metric: distortion, "mse" or "ms-ssim"; for the latter beta weighs 1000 (1 - MS-SSIM), and crops must have more
            than 160 pixels a side.
        mse_weight: for the metric "ms-ssim" alone, whose distortion is then 1000 (1 - MS-SSIM) plus this share of
            255^2 MSE: 0.1 adds a tenth of it, since MS-SSIM hardly sees colour and the finest details; 0: nothing.
        between: share of patches trained between two gain vectors; 0: trained vectors alone, as in the paper.
        trained: "all", or what a fixed autoencoder leaves: "entropy" (gains and entropy model) or "gains"
            (also what `rate` "conditional" has in their place).
        memory: most gigabytes (10^9 bytes, of each process) for decoded images: what data have more is read again
            whenever it is drawn, which changes nothing of what is trained; 0 for no limit.
        drawn: share of crops that no file has: flat colours, gradients, dark fields with blobs, noise and a hot pixel.
        minutes: length of the schedule in wall-clock minutes, after which comes the last validation; 0 to use `patches`
            instead.
        patches: length of the schedule in training patches over all processes.
        schedule: "cosine" to 0.01 over the whole length, or "constant" up to the decay. While it is constant, a resumed
            run may be given other `patches`, since nothing that was trained so far depends on them.
        decay: share of the length at the end of the constant schedule over which the learning rate falls to zero, as
            1 - sqrt(progress of the decay).
        batch: patches of a step over all processes.
        crop: side of a patch in pixels, a multiple of 64.
        muon_lr: peak learning rate of the hidden matrices, which Muon trains.
        adam_lr: peak learning rate of all else, which AdamW trains.
        warmup: steps of linear warm-up.
        clip: gradient norm limit.
        beta_exponent: each patch's loss is divided by beta^this, so that no rate owns the gradient; 0: not at all.
        ema: decay of the averaged weights that are validated and exported.
        validate_every: minutes between validations.
        save_every: minutes between checkpoints.
        seed: of crops, levels, noise and initialisation.
        precision: "bf16" (autocast) or "fp32"; of training alone.
        device: "cpu", "cuda" or "auto".
        recorded: 1 to take the steps from Python, with PyTorch's compiler and CUDA graphs, which is twice as fast on
            large GPUs; for one process with CUDA.

    Raises:
        ValueError: a value is outside its range.
    """

    data: Sequence[str]
    output: str
    valid: Sequence[str] = ()
    preset: str = "light"
    betas: str = ""
    entropy: str = ""
    rate: str = ""
    width: int = 0
    latent: int = 0
    metric: str = "mse"
    mse_weight: float = 0.0
    between: float = 0.5
    trained: str = "all"
    memory: float = 0.0
    drawn: float = 0.0
    minutes: float = 0.0
    patches: int = 1_000_000
    schedule: str = "cosine"
    decay: float = 0.2
    batch: int = 8
    crop: int = 256
    muon_lr: float = 5e-3
    adam_lr: float = 2e-3
    warmup: int = 200
    clip: float = 1.0
    beta_exponent: float = 0.4
    ema: float = 0.999
    validate_every: float = 10.0
    save_every: float = 5.0
    seed: int = 0
    precision: str = "bf16"
    device: str = "auto"
    recorded: int = 0

    def __post_init__(self) -> None:
        for name in ("data", "valid"):
            value = getattr(self, name)
            object.__setattr__(self, name, tuple(filter(None, [value] if isinstance(value, str) else value)))
        for good, rule in (
            (self.crop >= 64 and self.crop % 64 == 0, f"crop must be a multiple of 64, not {self.crop}"),
            (self.batch >= 1, f"batch must be 1 or more, not {self.batch}"),
            (0 <= self.minutes < math.inf, f"minutes must be 0 or more, not {self.minutes}"),
            (self.minutes > 0 or self.patches >= 1, f"patches must be 1 or more, not {self.patches}"),
            (self.metric in METRICS, f"metric must be one of {', '.join(METRICS)}, not {self.metric!r}"),
            (
                self.metric != "ms-ssim" or self.crop > MS_SSIM_SIDE,
                f"crop must be more than {MS_SSIM_SIDE} for the metric ms-ssim, not {self.crop}",
            ),
            (0 <= self.mse_weight < math.inf, f"mse_weight must be 0 or more, not {self.mse_weight}"),
            (
                self.metric == "ms-ssim" or not self.mse_weight,
                f"mse_weight is for the metric ms-ssim, not {self.metric}",
            ),
            (
                self.entropy in ("", *ENTROPIES),
                f"entropy must be one of {', '.join(ENTROPIES)}, not {self.entropy!r}",
            ),
            (0 <= self.between <= 1, f"between must be from 0 to 1, not {self.between}"),
            (self.trained in TRAINED, f"trained must be one of {', '.join(TRAINED)}, not {self.trained!r}"),
            (0 <= self.memory < math.inf, f"memory must be 0 or more, not {self.memory}"),
            (0 <= self.drawn <= 1, f"drawn must be from 0 to 1, not {self.drawn}"),
            (self.schedule in SCHEDULES, f"schedule must be one of {', '.join(SCHEDULES)}, not {self.schedule!r}"),
            (0 <= self.decay <= 1, f"decay must be from 0 to 1, not {self.decay}"),
            (0 <= self.muon_lr < math.inf, f"muon_lr must be 0 or more, not {self.muon_lr}"),
            (0 <= self.adam_lr < math.inf, f"adam_lr must be 0 or more, not {self.adam_lr}"),
            (self.warmup >= 0, f"warmup must be 0 or more, not {self.warmup}"),
            (self.clip > 0, f"clip must be more than 0, not {self.clip}"),
            (math.isfinite(self.beta_exponent), f"beta_exponent must be a number, not {self.beta_exponent}"),
            (0 <= self.ema < 1, f"ema must be from 0 to less than 1, not {self.ema}"),
            (self.validate_every >= 0, f"validate_every must be 0 or more, not {self.validate_every}"),
            (self.save_every >= 0, f"save_every must be 0 or more, not {self.save_every}"),
            (0 <= self.seed < 2**63, f"seed must be 0 or more, not {self.seed}"),
            (self.precision in PRECISIONS, f"precision must be one of {', '.join(PRECISIONS)}, not {self.precision!r}"),
            (self.recorded in (0, 1), f"recorded must be 0 or 1, not {self.recorded}"),
            (self.device in DEVICES, f"device must be one of {', '.join(DEVICES)}, not {self.device!r}"),
        ):
            if not good:
                raise ValueError(rule)

    def config(self, start: Config | None = None) -> Config:
        """The network's configuration: that of the model to start from, or the preset, with the changes asked for.

        Raises:
            ValueError: there is no such preset, or it has no such setting, or the setting cannot have that value, or
                the model to start from is of another preset.
        """
        if start and start.preset != self.preset:
            msg = f"preset is {self.preset}, but the model to start from is of preset {start.preset}"
            raise ValueError(msg)
        changes = self.changes()
        base: Any = start or preset(self.preset)
        unknown = changes.keys() - {field.name for field in fields(base)}
        if unknown:
            msg = f"preset {self.preset} has no option {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        try:
            config: Config = replace(base, **changes)
        except ValueError as error:
            msg = f"preset {self.preset}: {error}"
            raise ValueError(msg) from error
        return config

    def changes(self) -> dict[str, Any]:
        """What is asked for in place of a preset's own.

        Raises:
            ValueError: the betas are none.
        """
        found = {name: value for name in ("rate", "width", "latent") if (value := getattr(self, name))}
        if self.betas:
            found["betas"] = _betas(self.betas)
        if self.entropy:
            found["asymmetric"] = ENTROPIES[self.entropy]
        return found


def _betas(text: str) -> tuple[float, ...]:
    try:
        betas = {"mse": B_MSE, "ms-ssim": B_MS_SSIM}.get(text) or tuple(float(part) for part in text.split(","))
    except ValueError:
        betas = ()
    if not betas or not all(0 < beta < math.inf for beta in betas) or list(betas) != sorted(set(betas)):
        msg = f"betas must be mse, ms-ssim, or positive numbers in ascending order, not {text!r}"
        raise ValueError(msg)
    return betas
