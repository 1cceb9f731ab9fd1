"""The model card: figures with their conventions, nothing guessed, nothing a config says can break out."""

from __future__ import annotations

from dataclasses import replace

import difflaw
from difflaw.training.card import model_card


def test_figures(make_run) -> None:
    card = model_card(difflaw.load(make_run("mine", "low-uniform")))
    assert "# mine" in card
    assert "gidd (noise_type low-uniform)" in card
    assert "| bound | 3.0000 ± 0.2500 nats per token |" in card
    assert "| bits per byte | 2.0000 |" in card
    assert "| trained on | 480 tokens |" in card
    assert "2e+04 (matmul+head: exact matrix products" in card
    assert "(non-embedding: hidden matrices" in card
    assert "difflaw.load(" in card
    assert "import difflaw.huggingface" in card
    assert "difflaw sample" in card


def test_nothing_is_guessed(make_run) -> None:
    loaded = difflaw.load(make_run())
    card = model_card(replace(loaded, info={"family": "gidd"}))
    assert "No validation bound was recorded" in card
    for word in ("tokens |", "FLOPs", "bits per byte", "None"):
        assert word not in card


def test_a_bound_of_another_step_says_so(make_run) -> None:
    loaded = difflaw.load(make_run())
    card = model_card(replace(loaded, info={**loaded.info, "step": 25}))
    assert "3.0000 ± 0.2500 nats per token, measured at step 20" in card


def test_text_from_a_config_stays_text(make_run) -> None:
    loaded = difflaw.load(make_run())
    card = model_card(replace(loaded, info={**loaded.info, "label": "a\n---\n<script>[x](y)|`"}))
    assert "<script>" not in card
    assert "# a---script" in card


def test_an_exact_likelihood_is_called_one(make_run) -> None:
    card = model_card(difflaw.load(make_run(family="autoregressive")))
    assert "exact negative log-likelihood" in card
    assert "discrete-diffusion" not in card
