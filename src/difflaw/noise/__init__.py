"""The mathematics under the families: random streams, log-SNR clock, mixing distributions, marginals, conditioning."""
