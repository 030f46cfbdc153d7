"""`docs/RESULTS.md`: every experiment, what the paper claims, what small controlled runs say about it.

python -m reproduction.results --images kodak --out docs/results/reproduce > docs/RESULTS.md
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from agvae.evaluation.report import METRICS
from reproduction import table1
from reproduction.experiments import EXPERIMENTS
from reproduction.kinds import Numbers, Setup, Table
from reproduction.outcome import reproduce
from reproduction.prose import read, read_sections
from reproduction.runs import COMMON, RUNS, WEIGHTS
from reproduction.verdicts import SAME_DB, SAME_PERCENT, Found, give_verdicts

LINKS = "results/reproduce"
"""Where the pictures are, seen from `docs`."""


def reproduce_all(images: Path, out: Path, weights: Path = WEIGHTS) -> tuple[dict[str, Numbers], list[str]]:
    """Make every experiment for which there are models; their numbers by name, and the models that are missing."""
    found: dict[str, Numbers] = {}
    missing: list[str] = []
    for name in EXPERIMENTS:
        words = ["agvae", "reproduce", name, "--images", str(images), "--out", str(out)]
        setup = Setup(out, weights, images, command=shlex.join(words))
        outcome = reproduce(name, setup, lambda line: print(line, file=sys.stderr, flush=True))
        missing += [model for model in outcome.numbers["missing"] if model not in missing]
        if outcome.files:
            found[name] = outcome.numbers
    return found, missing


def describe(found: Found, missing: Sequence[str] = ()) -> str:
    """Markdown about the experiments that were made and the models that were missing."""
    head = ["experiment", "the paper's claim", "measured", "spread of seeds", "holds"]
    parts = [_describe_runs(found), _table(head, [verdict.cells() for verdict in give_verdicts(found)])]
    if missing:
        parts.append(f"Models that were not there yet when this was written: {', '.join(missing)}.")
    parts += [_describe_experiment(name, numbers) for name, numbers in found.items()]
    return "\n\n".join(parts) + "\n"


def _describe_runs(found: Found) -> str:
    here = next(iter(found.values()))["machine"]
    names = max((numbers.get("images", []) for numbers in found.values()), key=len)
    listed = ", ".join(names) if len(names) < 5 else f"{names[0]} to {names[-1]}"
    return read(
        "results",
        images=f"{len(names)} images, {listed}",
        cpu=here["cpu"],
        torch=here["torch"],
        runs=len(RUNS),
        times=24_000_000 * 256**2 // (COMMON["patches"] * COMMON["crop"] ** 2),
        training=read("training"),
        same_db=SAME_DB,
        same_percent=SAME_PERCENT,
        **{key: COMMON[key] for key in ("patches", "crop", "width", "latent")},
    )


def _describe_experiment(name: str, numbers: Numbers) -> str:
    title = f"## {name}: {EXPERIMENTS[name].title}"
    if isinstance(EXPERIMENTS[name], Table):
        return f"{title}\n\n{table1.describe(numbers).rstrip()}"
    parts = [title, f"![{name}]({LINKS}/{name}.png)", f"Numbers: [{name}.json]({LINKS}/{name}.json)."]
    notes = [of[name] for of in (read_sections("settings"), read_sections("differences")) if name in of]
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
    parser = argparse.ArgumentParser(prog="python -m reproduction.results", description=__doc__)
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="DIR")
    args = parser.parse_args(arguments)
    print(describe(*reproduce_all(args.images, args.out, args.weights)), end="")


if __name__ == "__main__":
    main()
