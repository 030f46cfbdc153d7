"""`docs/RESULTS.md`: every experiment, what the paper claims, what small controlled runs say about it.

python -m agvae.reproduce.results --images kodak --out docs/results/reproduce > docs/RESULTS.md
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from agvae.evaluation.report import METRICS
from agvae.reproduce.run import Request, reproduce
from agvae.reproduce.runs import CAVEATS, COMMON, EXPERIMENTS, RUNS, SINGLE_BETAS, TRAINING, WEIGHTS
from agvae.reproduce.table1 import markdown

LINKS = "results/reproduce"
"""Where the pictures are, seen from `docs`."""
SAME_DB, SAME_PERCENT = 0.1, 5.0
"""Differences up to which a claim of equal performance counts as true."""
DEFAULT_RESULTS = Path("docs/results/kodak.json")

NOTES = {
    "fig2": "At the highest quality, on the bundled photograph; the paper takes kodim20.",
    "supp-fig2": "At 0.5 bpp, or the highest quality if that has less.",
}
"""What else the numbers of an experiment do not say."""

Numbers = dict[str, Any]


def difference(numbers: Numbers, panel: str, test: str, anchor: str, metric: str = "psnr") -> float | None:
    """BD-rate of one curve against another in percent, None if it was not measured."""
    found = (bd for bd in numbers["panels"][panel]["bd"] if (bd["test"], bd["anchor"]) == (test, anchor))
    return next((float(bd["rate"]) for bd in found if bd["metric"] == metric), None)


def spread(numbers: Numbers, panel: str, labels: Iterable[str]) -> float | None:
    """The largest BD-rate between two seeds of the same method, in percent; None if no method has two."""
    pairs = (difference(numbers, panel, f"{label}, seed 2", label) for label in labels)
    return max((abs(rate) for rate in pairs if rate is not None), default=None)


def verdict(rates: Sequence[float | None], noise: float | None) -> str:
    """Whether the test needs fewer bits: "yes", "no" or why it is not decided.

    Args:
        rates: BD-rates in percent, one for each seed; None if it was not measured.
        noise: BD-rate between seeds of one method, in percent.
    """
    known = [rate for rate in rates if rate is not None]
    if not known:
        return "not measured yet"
    if noise is None:
        return "not decided: one seed"
    mean = sum(known) / len(known)
    if min(known) < 0 < max(known) or abs(mean) <= noise:
        return "not decided: below the spread of the seeds"
    return "yes" if mean < 0 else "no"


def percents(rates: Iterable[float | None]) -> str:
    return ", ".join("-" if rate is None else f"{rate:+.1f} %" for rate in rates)


def results(images: Path, out: Path, weights: Path = WEIGHTS) -> str:
    """Run every experiment for which there are models and describe what came out, as Markdown."""
    found: dict[str, Numbers] = {}
    missing: list[str] = []
    for name in EXPERIMENTS:
        words = ["agvae", "reproduce", name, "--images", str(images), "--out", str(out)]
        request = Request(name, out, weights, images, command=shlex.join(words))
        result = reproduce(request, lambda line: print(line, file=sys.stderr, flush=True))
        missing += [model for model in result.numbers["missing"] if model not in missing]
        if result.files:
            found[name] = result.numbers
    rows = [row for row in _rows(found) if row]
    parts = [_head(found), _table(["experiment", "the paper's claim", "measured", "spread of seeds", "holds"], rows)]
    if missing:
        parts.append(f"Models that were not there yet when this was written: {', '.join(missing)}.")
    parts += [_section(name, numbers) for name, numbers in found.items()]
    return "\n\n".join(parts) + "\n"


def _head(found: dict[str, Numbers]) -> str:
    here = next(iter(found.values()))["machine"]
    names = max((numbers.get("images", []) for numbers in found.values()), key=len)
    listed = ", ".join(names) if len(names) < 5 else f"{names[0]} to {names[-1]}"
    images = f"{len(names)} images, {listed}"
    patches, crop, width, latent = (COMMON[key] for key in ("patches", "crop", "width", "latent"))
    times = 24_000_000 * 256**2 // (patches * crop**2)
    return f"""\
# Results: the paper's experiments as small controlled runs

Written by `python -m agvae.reproduce.results`; do not edit. Every number comes from .agv files that were coded and
decoded ({images}; {here["cpu"]}, torch {here["torch"]}), from the models of
[weights/experiments](../weights/experiments/README.md).

**What these runs are.** {len(RUNS)} trainings that differ in one thing at a time: {patches:,} patches of
{crop} x {crop}, networks of N = {width} and M = {latent} channels, two processor cores. The paper trains on
24,000,000 patches of 256 x 256 (two million, 12 epochs) with N = 192: {times:,} times as many pixels. So these curves
lie far below the paper's, and a difference between two of them says what a method does early in training of
a small network, not what it does at the end of a long one. Runs of equal seed see the same crops in the same
order. Where there are two seeds, the BD-rate between them is the noise: a difference that is not larger than it, or
has another sign in another seed, is **not decided**. Each model of one rate saw as many patches as a model of six
rates did for all of them, and bottleneck scaling, which goes on from one, twice as many.
All models are trained for MSE, also where MS-SSIM is given.

**How the training differs from the paper's.** {TRAINING}

**Reading the numbers.** BD-rate in PSNR over the trained gain vectors; negative: fewer bits at equal quality. Sizes are
those of whole files less the model's name. Where the paper claims that two things perform alike, up to {SAME_DB} dB or
{SAME_PERCENT:g} % of the rate count as alike."""


def _rows(found: dict[str, Numbers]) -> Iterable[list[str]]:
    """The summary: experiment, claim, measured, spread, verdict."""
    minnen_noise = None  # of the comparisons on this backbone that have one seed
    if numbers := found.get("fig11"):
        for panel, name in (("AG-VAE", "AG-VAE"), ("Minnen et al.", "Minnen backbone")):
            pairs = (("HCVR", "CVR"), ("HCVR, seed 2", "CVR, seed 2"))
            rates = [difference(numbers, panel, *pair) for pair in pairs]
            noise = spread(numbers, panel, ("HCVR", "CVR"))
            minnen_noise = noise if panel.startswith("Minnen") else None
            yield [f"HCVR against CVR, {name} (fig11)", "HCVR slightly better", *_decided(rates, noise)]
    if numbers := found.get("fig12"):
        names = ("asymmetric (AG-VAE)", "symmetric (SG-VAE)")
        pairs = (names, (f"{names[0]}, seed 2", f"{names[1]}, seed 2"))
        rates = [difference(numbers, "AG-VAE", *pair) for pair in pairs]
        noise = spread(numbers, "AG-VAE", names)
        yield ["asymmetric against symmetric Gaussian (fig12)", "asymmetric better", *_decided(rates, noise)]
    if numbers := found.get("fig4"):
        yield _interpolation(numbers)
    if DEFAULT_RESULTS.is_file():
        yield _default_model(json.loads(DEFAULT_RESULTS.read_text(encoding="utf-8")))
    for name, panel in (("fig10", "Ballé et al."), ("fig9", "Minnen et al.")):
        if singles := found.get(name, {}).get("panels", {}).get(panel, {}).get("single_rate"):
            yield _single_rates(f"one model against single-rate models, {panel} ({name})", singles)
    if numbers := found.get("fig9"):
        for method in ("bottleneck scaling", "conditional convolution"):
            against = difference(numbers, "Minnen et al.", method, "HCVR")
            rates = [None if against is None else 100 * (1 / (1 + against / 100) - 1)]
            claim = f"HCVR better than {method}"
            yield [f"gain units against {method} (fig9)", claim, *_decided(rates, minnen_noise)]
    if numbers := found.get("supp-n"):
        rate = difference(numbers, "Minnen et al., HCVR", "n = 3", "n = 6")
        if rate is not None:
            claim = "three gain vectors are enough for a short range"
            experiment = "n = 3 against n = 6 over the range of the former (supp-n)"
            yield [experiment, claim, percents([rate]), _percent(minnen_noise), _no_worse(rate, minnen_noise)]
    if numbers := found.get("fig2"):
        losses = sorted(numbers["loss"])
        measured = f"{losses[0]:.2f} to {losses[-1]:.2f} dB lost, median {losses[len(losses) // 2]:.2f}"
        holds = "yes" if losses[-1] > 2 * losses[len(losses) // 2] else "no"
        yield [
            "channels set to zero (fig2)",
            "importance of channels is uneven (in part from the start as principal components)",
            measured,
            "-",
            holds,
        ]
    if numbers := found.get("supp-fig1"):
        pairs_of_gains = [value for row in numbers["correlation_of_log_gains"] for value in row]
        lowest = min(pairs_of_gains)
        measured = f"correlation of log gains at least {lowest:.2f}"
        holds = "yes" if lowest > 0.5 else "no"
        yield ["gain vectors over channels (supp-fig1)", "distributed alike", measured, "-", holds]
    if numbers := found.get("supp-fig2"):
        yield _densities(numbers["of"])


def _decided(rates: list[float | None], noise: float | None) -> list[str]:
    known = [rate for rate in rates if rate is not None]
    return [percents(known) or "-", _percent(noise), verdict(rates, noise)]


def _percent(noise: float | None) -> str:
    return "-" if noise is None else f"{noise:.1f} %"


def _no_worse(rate: float, noise: float | None) -> str:
    if noise is None:
        return "not decided: one seed"
    return "yes" if rate <= noise else "no"


def _interpolation(numbers: Numbers) -> list[str]:
    (panel,) = numbers["panels"].values()
    worst = min(panel["deviation"]["psnr"].values(), default=0.0)
    best = max(panel["deviation"]["psnr"].values(), default=0.0)
    rate = next(bd["rate"] for bd in panel["bd"] if bd["metric"] == "psnr")
    return [
        "interpolated against trained vectors (fig4)",
        "interpolated points lie on the curve",
        f"{worst:+.3f} to {best:+.3f} dB from the curve through the trained points; with them {rate:+.2f} %",
        "-",
        "yes" if worst > -SAME_DB else "no",
    ]


def _default_model(summary: Numbers) -> list[str]:
    name, worst = summary["model"]["name"], summary["continuity"]["max_deviation"]
    return [
        f"the same for the default model `{name}`, half of whose patches were trained between vectors",
        "interpolated points lie on the curve",
        f"within {worst:.3f} dB ([kodak.json](results/kodak.json))",
        "-",
        "yes" if worst < SAME_DB else "no",
    ]


def _single_rates(title: str, singles: Sequence[Numbers]) -> list[str]:
    rates = [entry["rate_percent_at_equal_psnr"] for entry in singles]
    gains = [entry["db_at_equal_rate"] for entry in singles]
    known = [rate for rate in rates if rate is not None]
    decibels = ", ".join("-" if gain is None else f"{gain:+.2f} dB" for gain in gains)
    if max(known, default=0.0) > SAME_PERCENT:
        holds = "no"
    elif len(rates) < len(SINGLE_BETAS):
        holds = "not decided: a model of one rate is missing"
    elif len(known) < len(rates):
        holds = "not decided: a model of one rate lies beyond the curve"
    else:
        holds = "yes"
    measured = f"rate at equal PSNR: {percents(rates)}; PSNR at equal rate: {decibels}"
    return [title, "one model performs like one for each rate", measured, "-", holds]


def _densities(of: dict[str, Numbers]) -> list[str]:
    own = of.get("agvae")
    if own is None:
        return []
    change = 100 * (own["bits"] / own["bits_of_matched_normal"] - 1)
    measured = f"{own['bits']:.0f} bits, {change:+.2f} % against those normals"
    if other := of.get("sgvae"):
        measured += f"; the trained symmetric model: {other['bits']:.0f} bits for its own channel"
        measured += f", {other['y_bits']:.0f} against {own['y_bits']:.0f} for all of y"
    return [
        "code length of the channel of highest entropy (supp-fig2)",
        "the asymmetric density needs fewer bits; the verdict is on one model's density against normals of the same "
        "means and variances, the paper compares two trained models",
        f"{measured} (one image)",
        "-",
        "yes" if change < -1 else "no" if change > 1 else "not decided: less than 1 %",
    ]


def _section(name: str, numbers: Numbers) -> str:
    title = f"## {name}: {EXPERIMENTS[name]}"
    if name == "table1":
        return f"{title}\n\n{markdown(numbers).rstrip()}"
    parts = [title, f"![{name}]({LINKS}/{name}.png)", f"Numbers: [{name}.json]({LINKS}/{name}.json)."]
    notes = [of[name] for of in (NOTES, CAVEATS) if name in of]
    if notes:
        parts.append(" ".join(notes))
    bd = [(panel, entry) for panel, content in numbers.get("panels", {}).items() for entry in content["bd"]]
    if bd:
        rows = [
            [
                *(panel, entry["test"], entry["anchor"], METRICS[entry["metric"]], f"{entry['rate']:+.1f}"),
                *("-" if entry["quality"] is None else f"{entry['quality']:+.2f}",),
                f"{entry['low']:.1f} to {entry['high']:.1f}",
            ]
            for panel, entry in bd
        ]
        parts.append(_table(["", "test", "anchor", "metric", "BD-rate (%)", "BD (dB)", "over (dB)"], rows))
    if numbers["missing"]:
        parts.append(f"Missing: {', '.join(numbers['missing'])}.")
    return "\n\n".join(parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m agvae.reproduce.results", description=__doc__)
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="DIR")
    args = parser.parse_args(arguments)
    print(results(args.images, args.out, args.weights), end="")


if __name__ == "__main__":
    main()
