"""The card of a folder of models of the runs.

    python -m reproduction.card RUNS weights/experiments > weights/experiments/README.md

RUNS is the folder in which `agvae train` wrote runs/NAME for every model; those without validation get no numbers.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from agvae.weights import read_model_file
from reproduction.prose import read
from reproduction.runs import COMMON, RUNS


def describe(runs: Path, models: Path) -> str:
    """Markdown about the models NAME.safetensors, from their own cards and from runs/NAME/validation.csv.

    Raises:
        OSError: a file cannot be read or is not that of a model.
    """
    options = ", ".join(f"`--{key.replace('_', '-')} {value}`" for key, value in COMMON.items())
    sizes = {key: COMMON[key] for key in ("patches", "crop", "width", "latent")}
    there = [name for name in RUNS if (models / f"{name}.safetensors").exists()]
    training = read("training").replace("\n", "\n  ")
    head = read("card", options=options, training=training, count=len(there), **sizes)
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
    parts = [head, "\n".join(six)]
    if len(others) > 2:
        parts += ["Models of other Lagrange multipliers:", "\n".join(others)]
    return "\n\n".join(parts) + "\n"


def _validation(file: Path) -> list[str]:
    """The last validation of a run at each gain vector; empty if it had none."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    last = [row for row in rows if row["step"] == rows[-1]["step"]]
    return [f"{float(row['bpp']):.3f} / {float(row['psnr']):.2f} / {float(row['loss']):.3f}" for row in last]


if __name__ == "__main__":
    print(describe(Path(sys.argv[1]), Path(sys.argv[2])), end="")
