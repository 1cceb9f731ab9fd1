"""Checkpoints: safetensors and JSON, written beside and renamed, the newest whole one wins. No pickles."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from difflaw.model.transformer import Transformer


def _folder(checkpoints: Path, step: int) -> Path:
    return checkpoints / f"step-{step:09d}"


def save(
    checkpoints: Path, step: int, model: Transformer, optimizer: torch.optim.Optimizer | None, state: dict[str, Any]
) -> None:
    """Write step-N/ with model.safetensors, optimizer.safetensors (if given) and state.json; keep the last two."""
    target, temporary = _folder(checkpoints, step), checkpoints / f".step-{step}.{os.getpid()}.part"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        save_file(weights_of(model), temporary / "model.safetensors")
        groups: list[dict[str, Any]] = []
        if optimizer is not None:
            tensors, groups = _optimizer_tensors(optimizer)
            save_file(tensors, temporary / "optimizer.safetensors")
        (temporary / "state.json").write_text(json.dumps({**state, "step": step, "groups": groups}), encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for old in sorted(checkpoints.glob("step-*"))[:-2]:
        shutil.rmtree(old, ignore_errors=True)


def weights_of(model: Transformer) -> dict[str, torch.Tensor]:
    """Every weight once: a tied head is the embedding, which safetensors would refuse to store twice."""
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    if model.config.tied:
        del weights["lm_head.weight"]
    return weights


def fill(model: Transformer, weights: dict[str, torch.Tensor]) -> None:
    """Set the model's weights to those of `weights_of`; RuntimeError names what does not fit."""
    tied = {"lm_head.weight": weights["model.embed_tokens.weight"]} if model.config.tied else {}
    model.load_state_dict({**weights, **tied})


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    packed = optimizer.state_dict()
    tensors = {
        f"{index}.{key}": value.contiguous()
        for index, entry in packed["state"].items()
        for key, value in entry.items()
        if isinstance(value, torch.Tensor)
    }
    groups = [{k: v for k, v in group.items() if k != "params"} for group in packed["param_groups"]]
    return tensors, groups


def load_latest(checkpoints: Path, model: Transformer, optimizer: torch.optim.Optimizer) -> dict[str, Any] | None:
    """Restore the newest whole checkpoint into model and optimizer; its state, or None. Damaged ones do not count."""
    for folder in sorted(checkpoints.glob("step-*"), reverse=True):
        try:
            state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
            weights = load_file(folder / "model.safetensors")
            tensors = load_file(folder / "optimizer.safetensors")
            fill(model, weights)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError):
            continue
        entries: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            index, key = name.split(".", 1)
            entries.setdefault(int(index), {})[key] = value
        packed = optimizer.state_dict()
        for group, saved in zip(packed["param_groups"], state["groups"], strict=True):
            group.update({k: tuple(v) if isinstance(v, list) else v for k, v in saved.items()})
        optimizer.load_state_dict({"state": entries, "param_groups": packed["param_groups"]})
        return state
    return None
