"""What the paper claims, what the experiments measured, and whether it holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from reproduction.kinds import Numbers
from reproduction.runs import ROOT, SINGLE_BETAS

SAME_DB, SAME_PERCENT = 0.1, 5.0
"""Differences up to which a claim of equal performance counts as true."""

Found = Mapping[str, Numbers]
"""The numbers of the experiments that were made, by name."""

NAMES = {"AG-VAE": "AG-VAE", "Minnen et al.": "Minnen backbone"}


@dataclass(frozen=True)
class Verdict:
    """One claim.

    Attributes:
        experiment: what is compared.
        claim: of the paper.
        measured: in words.
        holds: "yes", "no" or "not decided: why".
        noise: BD-rate between seeds of one method, in percent; None where it is not known or says nothing.
    """

    experiment: str
    claim: str
    measured: str
    holds: str
    noise: float | None = None

    def cells(self) -> list[str]:
        noise = "-" if self.noise is None else f"{self.noise:.1f} %"
        return [self.experiment, self.claim, self.measured, noise, self.holds]


def give_verdicts(found: Found) -> list[Verdict]:
    """All that can be said from these experiments."""
    return [verdict for judge in _JUDGES for verdict in judge(found)]


def difference(numbers: Numbers, panel: str, test: str, anchor: str, metric: str = "psnr") -> float | None:
    """BD-rate of one curve against another in percent, None if it was not measured."""
    found = (bd for bd in numbers["panels"][panel]["bd"] if (bd["test"], bd["anchor"]) == (test, anchor))
    return next((float(bd["rate"]) for bd in found if bd["metric"] == metric), None)


def spread(numbers: Numbers, panel: str, labels: Iterable[str]) -> float | None:
    """The largest BD-rate between two seeds of the same method, in percent; None if no method has two."""
    pairs = (difference(numbers, panel, f"{label}, seed 2", label) for label in labels)
    return max((abs(rate) for rate in pairs if rate is not None), default=None)


def decide(rates: Sequence[float | None], noise: float | None) -> str:
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


def _percents(rates: Iterable[float | None]) -> str:
    return ", ".join("-" if rate is None else f"{rate:+.1f} %" for rate in rates)


def _compared(experiment: str, claim: str, rates: Sequence[float | None], noise: float | None) -> Verdict:
    known = [rate for rate in rates if rate is not None]
    return Verdict(experiment, claim, _percents(known) or "-", decide(rates, noise), noise)


def _two_seeds(numbers: Numbers, panel: str, test: str, anchor: str, experiment: str, claim: str) -> Verdict:
    pairs = ((test, anchor), (f"{test}, seed 2", f"{anchor}, seed 2"))
    rates = [difference(numbers, panel, *pair) for pair in pairs]
    return _compared(experiment, claim, rates, spread(numbers, panel, (test, anchor)))


def _minnen_noise(found: Found) -> float | None:
    """Of the comparisons on this backbone that have one seed."""
    return spread(found["fig11"], "Minnen et al.", ("HCVR", "CVR")) if "fig11" in found else None


def _gains_on_z(found: Found) -> Iterator[Verdict]:
    if numbers := found.get("fig11"):
        for panel, name in NAMES.items():
            title = f"HCVR against CVR, {name} (fig11)"
            yield _two_seeds(numbers, panel, "HCVR", "CVR", title, "HCVR slightly better")


def _asymmetry(found: Found) -> Iterator[Verdict]:
    if numbers := found.get("fig12"):
        names = ("asymmetric (AG-VAE)", "symmetric (SG-VAE)")
        title = "asymmetric against symmetric Gaussian (fig12)"
        yield _two_seeds(numbers, "AG-VAE", *names, title, "asymmetric better")


def _interpolation(found: Found) -> Iterator[Verdict]:
    if numbers := found.get("fig4"):
        (panel,) = numbers["panels"].values()
        worst = min(panel["deviation"]["psnr"].values(), default=0.0)
        best = max(panel["deviation"]["psnr"].values(), default=0.0)
        rate = next(bd["rate"] for bd in panel["bd"] if bd["metric"] == "psnr")
        yield Verdict(
            "interpolated against trained vectors (fig4)",
            "interpolated points lie on the curve",
            f"{worst:+.3f} to {best:+.3f} dB from the curve through the trained points; with them {rate:+.2f} %",
            "yes" if worst > -SAME_DB else "no",
        )


def _default_model(found: Found) -> Iterator[Verdict]:
    file = ROOT / "docs" / "results" / "kodak.json"
    if file.is_file():
        summary = json.loads(file.read_text(encoding="utf-8"))
        name, worst = summary["model"]["name"], summary["continuity"]["max_deviation"]
        yield Verdict(
            f"the same for the default model `{name}`, half of whose patches were trained between vectors",
            "interpolated points lie on the curve",
            f"within {worst:.3f} dB ([kodak.json](results/kodak.json))",
            "yes" if worst < SAME_DB else "no",
        )


def _single_rates(found: Found) -> Iterator[Verdict]:
    for name, panel in (("fig10", "Ballé et al."), ("fig9", "Minnen et al.")):
        if singles := found.get(name, {}).get("panels", {}).get(panel, {}).get("single_rate"):
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
            yield Verdict(
                f"one model against single-rate models, {panel} ({name})",
                "one model performs like one for each rate",
                f"rate at equal PSNR: {_percents(rates)}; PSNR at equal rate: {decibels}",
                holds,
            )


def _other_methods(found: Found) -> Iterator[Verdict]:
    if numbers := found.get("fig9"):
        for method in ("bottleneck scaling", "conditional convolution"):
            against = difference(numbers, "Minnen et al.", method, "HCVR")
            rates = [None if against is None else 100 * (1 / (1 + against / 100) - 1)]
            title, claim = f"gain units against {method} (fig9)", f"HCVR better than {method}"
            yield _compared(title, claim, rates, _minnen_noise(found))


def _three_vectors(found: Found) -> Iterator[Verdict]:
    if numbers := found.get("supp-n"):
        rate, noise = difference(numbers, "Minnen et al., HCVR", "n = 3", "n = 6"), _minnen_noise(found)
        if rate is not None:
            title = "n = 3 against n = 6 over the range of the former (supp-n)"
            claim = "three gain vectors are enough for a short range"
            holds = "not decided: one seed" if noise is None else "yes" if rate <= noise else "no"
            yield Verdict(title, claim, _percents([rate]), holds, noise)


def _importance(found: Found) -> Iterator[Verdict]:
    if numbers := found.get("fig2"):
        losses = sorted(numbers["loss"])
        median = losses[len(losses) // 2]
        yield Verdict(
            "channels set to zero (fig2)",
            "importance of channels is uneven (in part from the start as principal components)",
            f"{losses[0]:.2f} to {losses[-1]:.2f} dB lost, median {median:.2f}",
            "yes" if losses[-1] > 2 * median else "no",
        )


def _gain_vectors(found: Found) -> Iterator[Verdict]:
    if numbers := found.get("supp-fig1"):
        lowest = min(value for row in numbers["correlation_of_log_gains"] for value in row)
        measured = f"correlation of log gains at least {lowest:.2f}"
        title = "gain vectors over channels (supp-fig1)"
        yield Verdict(title, "distributed alike", measured, "yes" if lowest > 0.5 else "no")


def _densities(found: Found) -> Iterator[Verdict]:
    of = found.get("supp-fig2", {}).get("of", {})
    if own := of.get("agvae"):
        change = 100 * (own["bits"] / own["bits_of_matched_normal"] - 1)
        measured = f"{own['bits']:.0f} bits, {change:+.2f} % against those normals"
        if other := of.get("sgvae"):
            measured += f"; the trained symmetric model: {other['bits']:.0f} bits for its own channel"
            measured += f", {other['y_bits']:.0f} against {own['y_bits']:.0f} for all of y"
        yield Verdict(
            "code length of the channel of highest entropy (supp-fig2)",
            "the asymmetric density needs fewer bits; the verdict is on one model's density against normals of the "
            "same means and variances, the paper compares two trained models",
            f"{measured} (one image)",
            "yes" if change < -1 else "no" if change > 1 else "not decided: less than 1 %",
        )


_JUDGES: tuple[Callable[[Found], Iterator[Verdict]], ...] = (
    _gains_on_z,
    _asymmetry,
    _interpolation,
    _default_model,
    _single_rates,
    _other_methods,
    _three_vectors,
    _importance,
    _gain_vectors,
    _densities,
)
