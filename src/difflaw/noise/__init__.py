"""The mathematics under the families: random streams, log-SNR clock, mixing distributions, marginals, conditioning."""

from difflaw.noise.clock import LogSnrRange
from difflaw.noise.conditioning import Conditioning
from difflaw.noise.mixing import NOISE_TYPES, HybridMixing

__all__ = ["NOISE_TYPES", "Conditioning", "HybridMixing", "LogSnrRange"]
