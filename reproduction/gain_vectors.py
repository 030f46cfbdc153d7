"""Figure 1 of the supplement: gain vectors over the channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from agvae.coding.loaded import load_model
from reproduction.png import to_png


def draw_gain_vectors(name: str) -> tuple[dict[str, Any], bytes]:
    """m_s over the channels.

    Raises:
        ValueError: the model has no gain unit.
    """
    log2 = getattr(load_model(name).network.gain, "log2", None)
    if log2 is None:
        msg = f"model {name} has no gain unit"
        raise ValueError(msg)
    gains = torch.exp2(log2.detach()).cpu().numpy()
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for s, vector in enumerate(gains, 1):
        axes.semilogy(vector, label=f"s = {s}")
    axes.set(xlabel="channel", ylabel="gain", title=name)
    axes.legend(fontsize="small", ncols=2)
    pairs = np.corrcoef(np.log(gains)) if len(gains) > 1 else np.ones((1, 1))
    return {"gains": gains.tolist(), "correlation_of_log_gains": pairs.tolist()}, to_png(figure)
