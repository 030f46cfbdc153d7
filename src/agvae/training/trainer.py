"""The training loop: one process or many, CPU or CUDA, resumable."""

from __future__ import annotations

import contextlib
import copy
import math
import os
import shlex
import time
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from agvae.networks import Config, GainedAutoencoder, build
from agvae.networks.architectures import signature
from agvae.networks.checks import check_network
from agvae.networks.contract import Noise
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
from agvae.training.data import CropSource
from agvae.training.drawn import with_drawn
from agvae.training.export import read_checkpoint
from agvae.training.loss import Loss, RateDistortion, random_levels
from agvae.training.optimizers import make_optimizers
from agvae.training.options import TrainingOptions
from agvae.training.recorded import RecordedStep, compile_parts
from agvae.training.signals import Interruption
from agvae.training.start import start_from_zoo, warm_start
from agvae.training.stream import load_data
from agvae.training.validate import FLAT, LevelResult, flat_pictures, load_kinds, mean_log2_loss, validate
from agvae.weights import read_model_file
from agvae.whole_file import append_whole, csv_line, make_folder

CHECKPOINT_VERSION = 1
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


class Trainer:
    """A run of `TrainingOptions`; `run` trains to the end of the schedule or until the time given is over.

    Args:
        options: what to train, and how.
        init_from: model file to start from.
        from_zoo: checkpoint of CompressAI's zoo to start from.
        config: that of the checkpoint which `resume` is to go on from, if it may not be the preset's own.
        network: a network of one's own, of any configuration, in place of the one that `options` name; to be exported,
            its architecture must be registered (`agvae.networks.register`).
        data: pictures of one's own, in place of `options.data`.
        loss: a loss of one's own, in place of that of `options`, see `agvae.training.loss.RateDistortion`.

    Raises:
        ValueError: options that no run, or not this network, can have; a network that does not keep the contract
            (`agvae.networks.contract`); or data or files to start from that are no good.
        OSError: a file cannot be read.
    """

    def __init__(
        self,
        options: TrainingOptions,
        init_from: str | None = None,
        from_zoo: str | None = None,
        config: Config | None = None,
        *,
        network: GainedAutoencoder | None = None,
        data: CropSource | None = None,
        loss: Loss | None = None,
    ) -> None:
        source = read_model_file(init_from) if init_from else None
        if network is None:
            config = options.config(source.config if source else config)
        elif changes := options.changes():
            msg = f"a network of one's own has a shape of its own: no {', '.join(changes)} can be chosen"
            raise ValueError(msg)
        else:
            check_network(network)
            config = network.config
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

        torch.manual_seed(options.seed)
        self.data = data or load_data(options.data, options.crop, self.device, self._say, 1e9 * options.memory)
        self.valid = load_kinds(options.valid, self._say) | flat_pictures() if options.valid and self.rank == 0 else {}
        self.step, self.patches, self.elapsed = 0, 0, 0.0
        self.skipped = self.skipped_in_row = self.skipped_when_saved = 0
        self.best = self.lowest = math.inf
        self.resumed: Path | None = None

        if network is None:
            network = build(config)
            check_network(network)
        self.model = network
        self.generator = torch.Generator(self.device)
        self.generator.manual_seed(options.seed)
        self.model.start(self.data.draw(64, options.crop, self.generator, slice(None)).cpu())
        if source:
            warm_start(self.model, source.state, source.config.betas)
        if from_zoo:
            left = start_from_zoo(self.model, Path(from_zoo))
            if left:
                self._say(f"not taken from {from_zoo}, as this network has other shapes: {', '.join(left)}")
        self.model.to(self.device)
        self.average = copy.deepcopy(self.model)
        betas = self.model.config.betas
        self.objective = loss or RateDistortion(betas, options.beta_exponent, options.metric, options.mse_weight)
        self.optimizers = make_optimizers(self.model, options)
        self.peaks = [[group["lr"] for group in o.param_groups] for o in self.optimizers]
        self.compute: nn.Module = self.model
        self.recorded = self._recorded() if options.recorded else None
        if self.world > 1:
            self.compute = nn.parallel.DistributedDataParallel(self.model)
        make_folder(self.output)  # after all that may be found wrong, so that no empty one is left behind

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
        loss = "" if running is None else f"  loss {float(running):.4f}"
        skipped = f"  {self.skipped} steps skipped" if self.skipped else ""
        self._say(
            f"step {self.step}  patches {self.patches}  {100 * self.progress:.1f} %{loss}  "
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
        if math.isinf(value) or value > WORST * self.lowest > 0:  # a loss of one's own may be negative
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
        buffers = [(buffer, buffer.clone()) for n in (self.model, self.average) for buffer in n.buffers()]
        with torch.compiler.set_stance("force_eager") if self.recorded else contextlib.nullcontext():
            losses = [sum(float(self._loss_of(n, *d, self._noise)) for d in draws) for n in (self.model, self.average)]
        for buffer, before in buffers:  # what a network counts or averages is not to be that of trials
            buffer.copy_(before)
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
        if self.recorded:
            loss, norm = self.recorded.gradients(self.step)
            self.update(norm, self.recorded.step)
            return loss
        loss = self.loss(*self.draw())
        loss.backward()
        self.learn()
        return self._mean(loss.detach())

    def learn(self) -> None:
        """Take over what the gradients say, which are then gone."""
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip)
        self.update(norm, self._step_optimizers)
        for optimizer in self.optimizers:
            optimizer.zero_grad()

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
        x = self.data.draw(o.batch, o.crop, self.generator, self.share)
        if o.drawn:
            x = with_drawn(x, o.batch, o.drawn, self.generator, self.share)
        return x, random_levels(o.batch, self.model.config.levels, self.generator, o.between)[self.share]

    def _noise(self, latents: Tensor) -> Tensor:
        """Uniform noise in [0, 1) for this process's latents (B, ...), its share of that for the whole batch."""
        shape = (self.options.batch, *latents.shape[1:])
        return torch.rand(shape, dtype=latents.dtype, device=self.device, generator=self.generator)[self.share]

    def loss(self, x: Tensor, q: Tensor) -> Tensor:
        """The loss of this process's crops at these levels."""
        return self._loss_of(self.compute, x, q, self._noise)

    def _loss_of(self, network: nn.Module, x: Tensor, q: Tensor, noise: Noise) -> Tensor:
        o = self.options
        network.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=o.precision == "bf16"):
            output = network(x, q, noise)
        return self.objective(output, x, q)

    def _recorded(self) -> RecordedStep:
        o = self.options
        if self.world > 1 or self.device.type != "cuda":
            msg = "only one process on a CUDA device can record its steps"
            raise ValueError(msg)
        compile_parts(self.model)
        self._ready_optimizers()
        parameters = [p for p in self.model.parameters() if p.requires_grad]

        def loss(x: Tensor, q: Tensor, noise: Noise) -> Tensor:
            return self._loss_of(self.model, x, q, noise)

        return RecordedStep(loss, self.draw, self._noise, parameters, o.clip, self.optimizers)

    def _ready_optimizers(self) -> None:
        """Give the optimizers what recorded steps want of them, or eager ones, whichever a checkpoint was of."""
        recorded = bool(self.options.recorded)
        for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
            rate = float(group["lr"])
            group["lr"] = torch.tensor(rate, device=self.device) if recorded else rate
            if "capturable" in group:
                group |= {"capturable": recorded, "fused": recorded or None, "foreach": None}

    def _step_optimizers(self) -> None:
        for optimizer in self.optimizers:
            optimizer.step()

    def update(self, norm: Tensor, step: Callable[[], None]) -> None:
        """Step unless the gradients are not finite, and follow with the averaged weights.

        Args:
            norm: of the gradients.
            step: lets the optimizers step.
        """
        factor = self._factor()
        for optimizer, peaks in zip(self.optimizers, self.peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(factor * peak)
                else:
                    group["lr"] = factor * peak
        if bool(torch.isfinite(norm)):
            step()
            self.skipped_in_row = 0
        else:
            self.skipped += 1
            self.skipped_in_row += 1
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
        for kept, value in zip(self.average.buffers(), self.model.buffers(), strict=True):
            kept.copy_(value)

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
            **signature(self.model.config),
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
        own = signature(self.model.config)["architecture"]
        same = state["config"] == self.model.config.to_dict() and state.get("architecture", own) == own
        if state.get("version") != CHECKPOINT_VERSION or not same:
            msg = f"{path} is a checkpoint of another network or version"
            raise ValueError(msg)
        if "optimizers" not in state:
            msg = f"{path} holds averaged weights alone: go on from {CHECKPOINT} beside it"
            raise ValueError(msg)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimizer, values in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(values)
        self._ready_optimizers()
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
