"""The card of a folder of models of the runs.

    python -m agvae.reproduce.card RUNS weights/experiments > weights/experiments/README.md

RUNS is the folder in which `agvae train` wrote runs/NAME for every model; those without validation get no numbers.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from agvae.reproduce.runs import COMMON, RUNS, TRAINING
from agvae.weights import read_model_file

_TEXT = """\
# Models of the experiments

The runs of `src/agvae/reproduce/runs.py`, which `agvae reproduce` draws and [docs/RESULTS.md](../../docs/RESULTS.md)
describes. They are **small controlled runs**, to be compared with one another and not to be used: {count} runs of
{patches:,} patches of {crop} x {crop} pixels, networks of N = {width} and M = {latent} channels. The package that pip
installs does not contain them. Licence: Apache-2.0, as the code.

- Data: those of [light-2](../light-2.md), for training and validation; no Kodak image.
- Options of all: {options}. Those of each are in `runs.py`, and in the card inside its file.
- {training}
- They start from principal components of training images (`ReferenceAGVAE.start`), but for `minnen-bottleneck`, which
  goes on from `minnen-single-3` and trains all but its transforms, so that it saw twice as many patches in all.
- Trained for MSE on one core for each run, of two of an AMD EPYC (Zen 3) that other programs used as well; float32,
  PyTorch 2.15, CompressAI 1.2.8. Minutes say little, patches are what is equal.

Validation at the end, with the training graph: mean bpp / mean PSNR in dB / loss = bpp + beta 255^2 MSE at each gain
vector, not divided by beta^0.4 here.

"""


def card(runs: Path, models: Path) -> str:
    """Markdown about the models NAME.safetensors, from their own cards and from runs/NAME/validation.csv.

    Raises:
        OSError: a file cannot be read or is not that of a model.
    """
    options = ", ".join(f"`--{key.replace('_', '-')} {value}`" for key, value in COMMON.items())
    sizes = {key: COMMON[key] for key in ("patches", "crop", "width", "latent")}
    there = [name for name in RUNS if (models / f"{name}.safetensors").exists()]
    training = TRAINING.replace("\n", "\n  ")
    text = _TEXT.format(options=options, training=training, count=len(there), **sizes)
    six = ["| model | SHA-256 | minutes | " + " | ".join("123456") + " |", "| --- | --- |" + " ---: |" * 7]
    others = ["| model | SHA-256 | minutes | beta | bpp / PSNR / loss |", "| --- | --- |" + " ---: |" * 3]
    for name in there:
        model = read_model_file(models / f"{name}.safetensors")
        betas = model.config.betas
        points = _validation(runs / name / "validation.csv") or ["-"] * len(betas)
        start = f"| {name} | `{model.sha256[:16]}...` | {model.card['minutes']:.0f} |"
        if len(betas) == 6:
            six.append(f"{start} {' | '.join(points)} |")
        else:
            others += [f"{start} {beta:g} | {point} |" for beta, point in zip(betas, points, strict=True)]
    tables = ["\n".join(six), "Models of other Lagrange multipliers:", "\n".join(others)]
    return text + "\n\n".join(tables if len(others) > 2 else tables[:1]) + "\n"


def _validation(file: Path) -> list[str]:
    """The last validation of a run at each gain vector; empty if it had none."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    last = [row for row in rows if row["step"] == rows[-1]["step"]]
    return [f"{float(row['bpp']):.3f} / {float(row['psnr']):.2f} / {float(row['loss']):.3f}" for row in last]


if __name__ == "__main__":
    print(card(Path(sys.argv[1]), Path(sys.argv[2])), end="")
