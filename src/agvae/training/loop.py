"""The training loop: one process or many, CPU or CUDA, resumable."""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from agvae.networks import PRESETS, Config, GainedAutoencoder, build
from agvae.networks.presets import B_MS_SSIM, B_MSE
from agvae.shortage import memory_errors
from agvae.training.checkpoint import (
    BEST,
    CHECKPOINT,
    VALIDATION,
    check_free,
    keep_last_good,
    only_run,
    write_checkpoint,
)
from agvae.training.data import load_pool
from agvae.training.drawn import with_drawn
from agvae.training.export import read_checkpoint
from agvae.training.loss import random_levels, rate_distortion
from agvae.training.muon import Muon
from agvae.training.signals import Interruption
from agvae.training.validate import FLAT, LevelResult, flat_pictures, load_kinds, mean_log2_loss, validate
from agvae.weights import read_model_file
from agvae.whole_file import append_whole, csv_line, make_folder

CHECKPOINT_VERSION = 1
PRECISIONS = ("bf16", "fp32")
METRICS = ("mse", "ms-ssim")
TRAINED = ("all", "entropy", "gains")
ENTROPIES = {"asymmetric": True, "symmetric": False}
MS_SSIM_SIDE = 160
"""Five scales of windows of 11 x 11 need images with more pixels a side."""
DEVICES = ("auto", "cpu", "cuda")
SCHEDULES = ("cosine", "constant")
MOST_SKIPPED = 20
"""Steps in a row without finite gradients after which a run ends."""
TRIED = 16
"""Patches on which weights are tried before they take the place of others in the checkpoint."""
TRIALS = 2**62
"""Number of the first step whose random numbers are those of trials."""
WORST = 10.0
"""How many times the lowest loss of a trial that of weights may be which are saved."""


class DivergedError(ValueError):
    """Training has come to numbers that are not finite, or to a loss far above what it was."""


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
            measured apart, in float32. None for no validation.
        preset: a name in `PRESETS`.
        betas: in place of the preset's Lagrange multipliers "mse" or "ms-ssim", the sets of section 4.1, or numbers in
            ascending order with commas between them, such as 0.001,0.01,0.1; their number is n, and a single one
            trains a model of one rate.
        entropy: in place of the preset's entropy model "asymmetric" or "symmetric" (SG-VAE).
        rate, width, latent: in place of those of a preset of the paper, see `agvae.networks.ReferenceConfig`.
        metric: distortion, "mse" or "ms-ssim"; for the latter beta weighs 1000 (1 - MS-SSIM), and crops must have more
            than 160 pixels a side.
        between: share of patches trained between two gain vectors; 0: trained vectors alone, as in the paper.
        trained: "all", or what a fixed autoencoder leaves: "entropy" (gains and entropy model) or "gains"
            (also what `rate` "conditional" has in their place).
        drawn: share of crops that no file has: flat colours, gradients, dark fields with blobs, noise and a hot pixel.
        minutes: length of the schedule in wall-clock minutes; 0 to use `patches` instead.
        patches: length of the schedule in training patches over all processes.
        schedule: "cosine" to 0.01 over the whole length, or "constant" up to the decay. While it is constant, a resumed
            run may be given other `patches`, since nothing that was trained so far depends on them.
        decay: share of the length at the end of the constant schedule over which the learning rate falls to zero, as
            1 - sqrt(progress of the decay).
        batch, crop: patches per step over all processes, and their side in pixels, a multiple of 64.
        muon_lr, adam_lr: peak learning rates of the hidden matrices (Muon) and of all else (AdamW).
        warmup: steps of linear warm-up.
        clip: gradient norm limit.
        beta_exponent: each patch's loss is divided by beta^this, so that no rate owns the gradient; 0: not at all.
        ema: decay of the averaged weights that are validated and exported.
        validate_every, save_every: minutes between validations and between checkpoints.
        seed: of crops, levels, noise and initialisation.
        precision: "bf16" (autocast) or "fp32"; of training alone.
        device: "cpu", "cuda" or "auto".

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
    between: float = 0.5
    trained: str = "all"
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

    def __post_init__(self) -> None:
        for name in ("data", "valid"):
            value = getattr(self, name)
            object.__setattr__(self, name, tuple(filter(None, [value] if isinstance(value, str) else value)))
        for good, rule in (
            (self.preset in PRESETS, f"preset must be one of {', '.join(PRESETS)}, not {self.preset!r}"),
            (self.crop >= 64 and self.crop % 64 == 0, f"crop must be a multiple of 64, not {self.crop}"),
            (self.batch >= 1, f"batch must be 1 or more, not {self.batch}"),
            (0 <= self.minutes < math.inf, f"minutes must be 0 or more, not {self.minutes}"),
            (self.minutes > 0 or self.patches >= 1, f"patches must be 1 or more, not {self.patches}"),
            (self.metric in METRICS, f"metric must be one of {', '.join(METRICS)}, not {self.metric!r}"),
            (
                self.metric != "ms-ssim" or self.crop > MS_SSIM_SIDE,
                f"crop must be more than {MS_SSIM_SIDE} for the metric ms-ssim, not {self.crop}",
            ),
            (
                self.entropy in ("", *ENTROPIES),
                f"entropy must be one of {', '.join(ENTROPIES)}, not {self.entropy!r}",
            ),
            (0 <= self.between <= 1, f"between must be from 0 to 1, not {self.between}"),
            (self.trained in TRAINED, f"trained must be one of {', '.join(TRAINED)}, not {self.trained!r}"),
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
            (self.device in DEVICES, f"device must be one of {', '.join(DEVICES)}, not {self.device!r}"),
        ):
            if not good:
                raise ValueError(rule)

    def config(self, start: Config | None = None) -> Config:
        """The network's configuration: that of the model to start from, or the preset, with the changes asked for.

        Raises:
            ValueError: it has no such setting, or the setting cannot have that value, or the model to start from is
                of another preset.
        """
        if start and start.preset != self.preset:
            msg = f"preset is {self.preset}, but the model to start from is of preset {start.preset}"
            raise ValueError(msg)
        changes: dict[str, Any] = {
            name: value for name in ("rate", "width", "latent") if (value := getattr(self, name))
        }
        if self.betas:
            changes["betas"] = _betas(self.betas)
        if self.entropy:
            changes["asymmetric"] = ENTROPIES[self.entropy]
        base: Any = start or PRESETS[self.preset]
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


def _betas(text: str) -> tuple[float, ...]:
    try:
        betas = {"mse": B_MSE, "ms-ssim": B_MS_SSIM}.get(text) or tuple(float(part) for part in text.split(","))
    except ValueError:
        betas = ()
    if not betas or not all(0 < beta < math.inf for beta in betas) or list(betas) != sorted(set(betas)):
        msg = f"betas must be mse, ms-ssim, or positive numbers in ascending order, not {text!r}"
        raise ValueError(msg)
    return betas


class Trainer:
    """A run of `TrainingOptions`; `run` trains to the end of the schedule or until the time given is over.

    Args:
        options: what to train, and how.
        init_from: model file to start from.
        from_zoo: checkpoint of CompressAI's zoo to start from.
        network: that of the checkpoint which `resume` is to go on from, if it may not be the preset's own.

    Raises:
        ValueError: options that no run can have, or data or files to start from that are no good.
        OSError: a file cannot be read.
    """

    def __init__(
        self,
        options: TrainingOptions,
        init_from: str | None = None,
        from_zoo: str | None = None,
        network: Config | None = None,
    ) -> None:
        source = read_model_file(init_from) if init_from else None
        config = options.config(source.config if source else network)
        self.options = options
        self.rank, self.world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        self.device = self._device()
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if self.world > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        if options.batch % self.world:
            msg = f"the batch of {options.batch} must be a multiple of the {self.world} processes"
            raise ValueError(msg)
        count = options.batch // self.world
        self.share = slice(self.rank * count, (self.rank + 1) * count)
        if not options.output:
            msg = "output must be the name of a folder"
            raise ValueError(msg)
        self.output = Path(options.output)
        make_folder(self.output)

        torch.manual_seed(options.seed)
        self.pool = load_pool(options.data, options.crop, self.device, self._say)
        self.valid = load_kinds(options.valid, self._say) | flat_pictures() if options.valid and self.rank == 0 else {}
        self.step, self.patches, self.elapsed = 0, 0, 0.0
        self.skipped = self.skipped_in_row = self.skipped_when_saved = 0
        self.best = self.lowest = math.inf
        self.resumed: Path | None = None

        self.model = build(config)
        self.generator = torch.Generator(self.device)
        self.generator.manual_seed(options.seed)
        self.model.start(self.pool.draw(64, options.crop, self.generator).cpu())
        if source:
            warm_start(self.model, source.state, source.config.betas)
        if from_zoo:
            left = start_from_zoo(self.model, Path(from_zoo))
            if left:
                self._say(f"not taken from {from_zoo}, as this network has other shapes: {', '.join(left)}")
        self.model.to(self.device)
        self.average = build(self.model.config).to(self.device)
        self.average.load_state_dict(self.model.state_dict())
        self.optimizers = make_optimizers(self.model, options)
        self.peaks = [[group["lr"] for group in o.param_groups] for o in self.optimizers]
        self.compute: nn.Module = self.model
        if self.world > 1:
            self.compute = nn.parallel.DistributedDataParallel(self.model)

    def _device(self) -> torch.device:
        name = self.options.device
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cuda":
            if not torch.cuda.is_available():
                msg = "device cuda is not available here"
                raise ValueError(msg)
            name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        return torch.device(name)

    def _say(self, line: str) -> None:
        if self.rank == 0:
            with contextlib.suppress(OSError):  # a log that nobody reads any more, or a full disk, ends no run
                print(line, flush=True)

    @property
    def progress(self) -> float:
        """Share of the schedule that is done, 0 to 1."""
        o = self.options
        done = self.elapsed / (60 * o.minutes) if o.minutes else self.patches / o.patches
        return min(1.0, done)

    def run(self, stop_after: float = math.inf) -> None:
        """Train until the schedule ends, `stop_after` minutes have passed, or SIGTERM, SIGINT or SIGHUP comes.

        A checkpoint is written on the way and at the end, after the last step was finished. Then a signal that came
        has the effect that it has outside of this method.

        Raises:
            ValueError: the output folder holds files of another run, or another run is at work there.
            DivergedError: the loss is not finite or far above what it was, or weights are not finite; the checkpoint
                that is there was written before.
            MemoryError: a step needs more than there is.
            OSError: the last checkpoint cannot be written; on the way this is only reported.
        """
        o = self.options
        purpose = f"for steps of {o.batch} crops of {o.crop} x {o.crop} pixels: take a smaller --batch or --crop"
        check_free(self.output, self.resumed)
        with only_run(self.output, self._say) if self.rank == 0 else contextlib.nullcontext():
            check_free(self.output, self.resumed)  # again, as a run may have come and ended between
            with Interruption() as interruption, memory_errors(purpose):
                self._run(stop_after, interruption)

    def _run(self, stop_after: float, interruption: Interruption) -> None:
        if self.rank == 0:
            self.lowest = self.trial()
        start, before = time.monotonic(), self.elapsed
        saved = validated = logged = start
        running, stopped = None, False
        while self.progress < 1 and self.elapsed - before < 60 * stop_after and not stopped:
            loss = self.train_step()
            if self.skipped_in_row == MOST_SKIPPED:
                self._give_up(f"{MOST_SKIPPED} steps in a row had no finite gradients, up to {self.step}")
            if not self.skipped_in_row:
                running = loss if running is None else 0.98 * running + 0.02 * loss
            now = time.monotonic()
            seconds, stopped = self._agreed(now - start, bool(interruption.number))
            self.elapsed = before + seconds
            if now - logged > 15:
                self._log(running)
                logged = now
            if self.rank == 0 and now - saved > 60 * self.options.save_every and not self.skipped_in_row:
                self._save_on_the_way()
                saved = now
            if self.valid and now - validated > 60 * self.options.validate_every and not stopped:
                self._validate(interruption)
                validated = time.monotonic()
        if self.rank == 0:
            self._log(running)
            self._save_next()
            further = f"; to go on: agvae train --resume {shlex.quote(str(self.resumed))}" if self.progress < 1 else ""
            self._say(f"step {self.step} is saved in {self.resumed}{further}")
        if self.valid and not stopped:
            self._validate(interruption)

    def _log(self, running: Tensor | None) -> None:
        loss = "none" if running is None else f"{float(running):.4f}"
        skipped = f"  {self.skipped} steps skipped" if self.skipped else ""
        self._say(
            f"step {self.step}  patches {self.patches}  {100 * self.progress:.1f} %  loss {loss}  "
            f"{self.patches / max(self.elapsed, 1e-9):.1f} patches/s  lr {self._factor():.3f}{skipped}"
        )

    def _save_on_the_way(self) -> None:
        try:
            self._save_next()
        except OSError as error:
            self._say(f"warning: no checkpoint was written, training goes on: {error}")

    def _save_next(self) -> None:
        """Write the checkpoint unless training has diverged; the one before is kept if steps were skipped since."""
        value = self.trial()
        if math.isinf(value) or value > WORST * self.lowest:
            self._give_up(f"after step {self.step} the loss is {value:.3g}, and it was {self.lowest:.3g}")
        self.lowest = min(self.lowest, value)
        if self.skipped > self.skipped_when_saved:
            keep_last_good(self.output)
        self.save(self.output / CHECKPOINT)
        self.skipped_when_saved = self.skipped
        self.resumed = self.output / CHECKPOINT

    def _give_up(self, reason: str) -> NoReturn:
        before = f"; {self.resumed} is from before" if self.resumed else ""
        msg = f"training diverged: {reason}{before}"
        raise DivergedError(msg)

    @torch.no_grad()
    def trial(self) -> float:
        """The loss of the weights or of the averaged ones, whichever is higher, on the same crops at every time.

        Infinite if it is not finite.
        """
        draws = [self.draw(TRIALS + k) for k in range(math.ceil(TRIED / self.options.batch))]
        losses = [sum(float(self._loss_of(n, *draw)) for draw in draws) for n in (self.model, self.average)]
        return max(losses) / len(draws) if all(map(math.isfinite, losses)) else math.inf

    def _validate(self, interruption: Interruption) -> None:
        """Validate the averaged weights, report, and keep them if they are the best so far."""
        results = validate(self.average, self.valid, lambda: bool(interruption.number))
        if not results:
            return
        try:
            self.report(results)
        except OSError as error:
            self._say(f"warning: the validation was not written: {error}")
        value = mean_log2_loss(results)
        if value < self.best:
            self.best = value
            try:
                write_checkpoint(self.output / BEST, self._about() | {"average": self.average.state_dict()})
            except OSError as error:
                self._say(f"warning: {BEST} was not written: {error}")
            self._save_on_the_way()

    def _agreed(self, seconds: float, stopped: bool) -> tuple[float, bool]:
        """The same in every process, so that schedules and stops agree: the first one's time, anyone's wish to stop."""
        if self.world == 1:
            return seconds, stopped
        values = [seconds if self.rank == 0 else 0.0, float(stopped)]
        shared = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return float(shared[0]), bool(shared[1])

    def train_step(self) -> Tensor:
        """One step of all optimizers; returns the loss of the whole batch, detached."""
        x, q = self.draw()
        loss = self.loss(x, q)
        loss.backward()
        self.update()
        return self._mean(loss.detach())

    def draw(self, step: int | None = None) -> tuple[Tensor, Tensor]:
        """This process's crops and levels of a step, the next if none is given, as
        `agvae.networks.GainedAutoencoder` takes them.

        All random numbers of a step follow from the run's seed and the number of the step, so a resumed run needs no
        state to go on with the same ones.  Every process draws those of the whole batch and keeps its share, so
        any number of processes trains what one would.
        """
        o = self.options
        (seed,) = np.random.SeedSequence((o.seed, self.step if step is None else step)).generate_state(1)
        self.generator.manual_seed(int(seed))
        x = self.pool.draw(o.batch, o.crop, self.generator, self.share)
        if o.drawn:
            x = with_drawn(x, o.batch, o.drawn, self.generator, self.share)
        return x, random_levels(o.batch, self.model.config.levels, self.generator, o.between)[self.share]

    def _noise(self, latents: Tensor) -> Tensor:
        """Uniform noise in [0, 1) for this process's latents (B, ...), its share of that for the whole batch."""
        shape = (self.options.batch, *latents.shape[1:])
        return torch.rand(shape, dtype=latents.dtype, device=self.device, generator=self.generator)[self.share]

    def loss(self, x: Tensor, q: Tensor) -> Tensor:
        """The loss of this process's crops at these levels."""
        return self._loss_of(self.compute, x, q)

    def _loss_of(self, network: nn.Module, x: Tensor, q: Tensor) -> Tensor:
        o = self.options
        network.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=o.precision == "bf16"):
            output = network(x, q, self._noise)
        return rate_distortion(output, x, q, self.model.config.betas, o.beta_exponent, o.metric)

    def update(self) -> None:
        """Clip the gradients, step unless they are not finite, and follow with the averaged weights."""
        factor = self._factor()
        for optimizer, peaks in zip(self.optimizers, self.peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = factor * peak
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip)
        if bool(torch.isfinite(norm)):
            for optimizer in self.optimizers:
                optimizer.step()
            self.skipped_in_row = 0
        else:
            self.skipped += 1
            self.skipped_in_row += 1
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        self.step += 1
        self.patches += self.options.batch
        self._update_average()

    def _mean(self, loss: Tensor) -> Tensor:
        """Over all processes, whose shares of the batch are equal."""
        if self.world > 1:
            dist.all_reduce(loss)
        return loss / self.world

    def _factor(self) -> float:
        """Learning rate as a share of its peak: a linear warm-up, then what the schedule says."""
        warm = min(1.0, (self.step + 1) / max(1, self.options.warmup))
        if self.options.schedule == "cosine":
            return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.progress)))
        decay = self.options.decay
        decayed = (self.progress - (1 - decay)) / decay if decay else 0.0
        return warm * (1 - math.sqrt(max(0.0, decayed)))

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.options.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)

    def close(self) -> None:
        """Take leave of the other processes, if there are any; none is left waiting for one that has gone."""
        if self.world > 1:
            dist.barrier()
            dist.destroy_process_group()

    def report(self, results: list[LevelResult]) -> None:
        """Append a validation to the CSV and print it."""
        path = self.output / VALIDATION
        columns = ["step", "patches", "minutes", *[f.name for f in fields(LevelResult)]]
        first = path.read_text().partition("\n")[0] if path.exists() else ""
        lines = [[self.step, self.patches, f"{self.elapsed / 60:.2f}", *asdict(r).values()] for r in results]
        if first.rstrip().split(",") != columns:  # a new file, or one of a version that wrote other columns
            lines.insert(0, columns)
        append_whole(path, b"".join(map(csv_line, lines)))
        for kind in dict.fromkeys(r.kind for r in results if r.kind not in FLAT):
            points = "  ".join(f"{r.bpp:.4f}/{r.psnr:.2f}" for r in results if r.kind == kind)
            self._say(f"{kind}: {points}")
        for kind in FLAT:
            errors = "  ".join(f"{r.bias:+.2f}" for r in results if r.kind == kind)
            self._say(f"{kind}, mean error: {errors}")
        self._say(f"validation at step {self.step}: mean log2 loss {mean_log2_loss(results):.4f}")

    def _about(self) -> dict[str, Any]:
        """What all checkpoints say besides weights."""
        return {
            "version": CHECKPOINT_VERSION,
            "options": asdict(self.options),
            "config": self.model.config.to_dict(),
            "step": self.step,
            "patches": self.patches,
            "elapsed": self.elapsed,
            "skipped": self.skipped,
            "best": self.best,
            "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu",
        }

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all.

        Raises:
            DivergedError: weights are not finite.
            OSError: it cannot be written.
        """
        if not all(bool(parameter.isfinite().all()) for parameter in self.model.parameters()):
            msg = f"training diverged: weights are not finite after step {self.step}"
            raise DivergedError(msg)
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
        }
        write_checkpoint(path, self._about() | state)

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint; options that are not those of the checkpoint are named on standard output.

        With a schedule in patches, the same options, and as many processes and threads on CPUs, exactly as if never
        stopped. Paths, device and intervals change nothing of that, and no more do other `patches` as long as the
        learning rate is in the constant part of its schedule before and after.

        Raises:
            ValueError: the checkpoint is of another version or network, or holds averaged weights alone.
        """
        state = read_checkpoint(path)
        if state.get("version") != CHECKPOINT_VERSION or state["config"] != self.model.config.to_dict():
            msg = f"{path} is a checkpoint of another network or version"
            raise ValueError(msg)
        if "optimizers" not in state:
            msg = f"{path} holds averaged weights alone: go on from {CHECKPOINT} beside it"
            raise ValueError(msg)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimizer, values in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(values)
        before = TrainingOptions(**state["options"])
        self.step, self.elapsed = state["step"], state["elapsed"]
        self.patches = state.get("patches", self.step * before.batch)
        self.skipped = self.skipped_when_saved = state.get("skipped", 0)
        if before.valid == self.options.valid:
            self.best = state.get("best", math.inf)
        self.resumed = path
        now = asdict(self.options)
        for name, value in asdict(before).items():
            if now[name] != value:
                self._say(f"{name} is now {now[name]}, was {value}")


def warm_start(model: GainedAutoencoder, state: dict[str, Tensor], betas: Sequence[float]) -> None:
    """Start from the weights of a model file, all of it or, where this network has another number of levels or other
    ways to serve rates, what fits.

    The gain vector of a model of one rate becomes that of the level whose beta is nearest; the others keep their
    ratios to it.

    Args:
        state: the weights.
        betas: the Lagrange multipliers that they were trained for.

    Raises:
        ValueError: weights of the transforms do not fit.
    """
    own = model.config.betas
    nearest = min(range(len(own)), key=lambda s: abs(math.log(own[s] / betas[0])))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            value = state.get(name)
            if value is not None and value.shape == parameter.shape:
                parameter.copy_(value)
            elif value is not None and value.shape == (1, *parameter.shape[1:]) and name.endswith("log2"):
                parameter.add_(value - parameter[nearest])
            elif name.startswith(("analysis.", "synthesis.")) and not name.endswith("log2") and "layers" not in name:
                msg = f"{name} of the model to start from does not fit this network"
                raise ValueError(msg)


def start_from_zoo(model: GainedAutoencoder, path: Path) -> list[str]:
    """Start from a checkpoint file of CompressAI's zoo; returns the names of parameters that were not taken.

    Raises:
        ValueError: it is not one of this network's backbone.
        OSError: it cannot be read.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
        load: Any = getattr(model, "load_zoo", None)
        if load is None:
            msg = f"preset {model.config.preset} has no backbone of CompressAI"
            raise ValueError(msg)
        left: list[str] = load(state)
    except (RuntimeError, pickle.UnpicklingError, AttributeError, EOFError, KeyError) as error:
        msg = f"{path} is not a checkpoint of CompressAI"
        raise ValueError(msg) from error
    return left


def trained_parameters(model: GainedAutoencoder, trained: str) -> list[tuple[str, nn.Parameter]]:
    """The parameters that `TrainingOptions.trained` names."""
    starts = {"all": ("",), "entropy": ("entropy.", "hyper_", "density."), "gains": ()}[trained]
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return [(n, p) for n, p in named if n.startswith(starts) or _of_rate(n)]


def _of_rate(name: str) -> bool:
    """Whether a parameter is there to serve several rates: gain vectors, or scales and biases of a rate."""
    conditions = tuple(f"{net}.{kind}." for net in ("analysis", "synthesis") for kind in ("scales", "biases"))
    return name.endswith("log2") or name.startswith(conditions)


def make_optimizers(model: GainedAutoencoder, options: TrainingOptions) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices of the default networks, AdamW for everything else.

    Gains, scales and biases of a rate, priors and the density of z learn five times faster than other parameters,
    since they are few and scalar in effect.
    """
    ends = {f"{net}.{layer}.weight" for net in ("analysis", "synthesis") for layer in ("embed", "head", "down", "up")}
    muon, fast, rest = [], [], []
    trained = trained_parameters(model, options.trained)
    model.requires_grad_(False)
    for name, parameter in trained:
        parameter.requires_grad_(True)
        if _of_rate(name) or name.startswith(("density", "entropy.prior")):
            fast.append(parameter)
        elif parameter.dim() == 2 and name.endswith("weight") and name not in ends:
            muon.append(parameter)
        else:
            rest.append(parameter)
    groups: list[dict[str, Any]] = [{"params": rest}, {"params": fast, "lr": 5 * options.adam_lr}]
    adam = torch.optim.AdamW(
        groups,
        lr=options.adam_lr,
        betas=(0.9, 0.98),
        weight_decay=0.0,
    )
    if not muon:
        return [adam]
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    return [adam, Muon(muon, options.muon_lr, dtype)]
