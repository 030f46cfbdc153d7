"""The networks of the paper, on CompressAI's layers: figure 6, and gain units on earlier backbones (figure 10).

`agvae2021` is section 3.6 of Cui et al. 2021: GDN, attention modules, 3 x 3 kernels, a context model, asymmetric
Gaussian.  That section speaks of "parallel context models [23]" without more; the serial 5 x 5 mask is this project's
reading.  `minnen2018` and `balle2018` are CompressAI's models (Bégaint et al. 2020) with gain units plugged in.  Hyper
synthesis transform, context model and parameter network run in exact arithmetic, like those of the default networks
(`agvae.entropy.exact`); they give sigma itself, whose logarithm is looked up (`exact_log2`).
"""

from agvae.networks.reference.fronts import EntropyModel, fronts
from agvae.networks.reference.paper import ReferenceAGVAE

__all__ = ["EntropyModel", "ReferenceAGVAE", "fronts"]
