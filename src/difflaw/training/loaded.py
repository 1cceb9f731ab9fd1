"""A trained model, ready to be asked: from a run of ours, an export, a published checkpoint or the Hub.

Nothing but safetensors and JSON is ever read, and no code that comes with a checkpoint is run.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import ValidationError
from torch import Tensor

from difflaw.data.location import cache_folder
from difflaw.data.special import EOS_ID, MASK_ID, SPECIAL_TOKENS
from difflaw.errors import InputError
from difflaw.families import Family, get
from difflaw.files import read_json
from difflaw.model.accounting import account
from difflaw.model.config import ModelConfig
from difflaw.model.published_config import Published, from_published
from difflaw.model.transformer import Transformer
from difflaw.model.weights import PICKLES, load_transformer, refuse_pickle
from difflaw.noise.clock import LogSnrRange
from difflaw.noise.conditioning import Conditioning, prompt_attention
from difflaw.noise.mixing import NOISE_TYPES
from difflaw.training.config import ConditioningConfig, RunConfig
from difflaw.training.run_directory import TOKENIZER, RunDirectory
from difflaw.training.threads import threads_for

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Number = Literal["auto", "float32", "bfloat16"]
HUB_FILES = ("*.safetensors", "*.json")
"""What is fetched from the Hub: weights, configs, tokenizer. No code, no pickles."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_STEP = re.compile(r"step-\d+")


@dataclass(frozen=True)
class LoadedModel:
    """A network with its family and vocabulary, frozen. Shapes: B sequences, L positions, V vocabulary.

    ``info`` holds what is known of its training: family, tokens, FLOPs, bound ± error and where it was read from.
    """

    model: Transformer
    family: Family
    tokenizer: Tokenizer | None
    mask_id: int
    bos_id: int
    eos_id: int
    pad_id: int
    info: dict[str, Any]

    @property
    def config(self) -> ModelConfig:
        """Shape of the network."""
        return self.model.config

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.lm_head.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Number type of weights and logits."""
        return self.model.lm_head.weight.dtype

    def threads(self, rows: int, asked: int | None = None) -> int:
        """Threads that writing ``rows`` texts at once is worth, unless asked for.

        A causal family reads one token of each in a pass, the others up to a whole context.
        """
        read = 1 if self.family.causal else self.config.context
        return threads_for(self.config.width, rows * read, asked)

    @torch.no_grad()
    def logits(
        self,
        z_BL: Tensor,
        noised_BL: Tensor | None = None,
        attention: Tensor | None = None,
        positions: Tensor | None = None,
        *,
        log_snr_BL: Tensor | None = None,
    ) -> Tensor:
        """Logits (B, L, V) in the network's number type; the mask's is not suppressed (`Family.predict` does that).

        ``noised_BL`` (True = noised, False = given and clean) applies the rule of training with prompts: a clean
        token sees clean tokens only; a causal family needs none and ignores it. ``attention`` (L, L) or (B, L, L),
        True = may attend, replaces the default and is narrowed by that rule. ``positions`` (B, L) default to 0 … L-1.
        ``log_snr_BL`` (B, 1 or L) is read only by networks conditioned on λ. ValueError when L exceeds the context.
        """
        if noised_BL is not None and not self.family.causal:
            rule: Any = prompt_attention(noised_BL)  # type: ignore[arg-type]  # the same operators on tensors
            if rule is not None:
                attention = rule if attention is None else rule & attention
        if log_snr_BL is not None and getattr(self.config, "adaln", False):
            sigma = self.family.condition(log_snr_BL.expand(-1, z_BL.shape[1]))
            return self.model.logits(z_BL, attention, positions, sigma=sigma)
        return self.model.logits(z_BL, attention, positions)


def load(
    path_or_hub_id: str | Path,
    *,
    dtype: Number = "auto",
    device: str | torch.device | None = None,
    cache: Path | None = None,
) -> LoadedModel:
    """Open a trained model.

    >>> import difflaw, torch
    >>> model = difflaw.load(difflaw.example_run())
    >>> model.logits(torch.tensor([[4, 5, 6]])).shape  # (texts, tokens, vocabulary)
    torch.Size([1, 3, 12])

    Args:
        path_or_hub_id: a run directory (its latest checkpoint) or one of its ``checkpoints/step-N``; a folder written
            by ``difflaw export``; a published GIDD checkpoint; or ``owner/name`` on the Hugging Face Hub.
        dtype: ``auto`` keeps float32 or bfloat16 as stored; norm gains are float32 in any case.
        device: default the processor. There, weights that need no conversion stay mapped to their file.
        cache: where prepared corpora lie, for the vocabulary of a run whose folder has none of its own
            (default $DIFFLAW_CACHE or the user's).

    Raises:
        InputError: nothing that can be read, a damaged file, a tensor that does not fit, an unsupported config key,
            a pickle; the message names file and key or tensor.
    """
    folder = find_folder(path_or_hub_id)
    place = device if device is not None else "cpu"
    run = _run_of(folder)
    return _load_run(*run, dtype, place, cache) if run else _load_published(folder, dtype, place)


def find_folder(path_or_hub_id: str | Path) -> Path:
    """The folder itself, or a snapshot of a Hub model; InputError when there is neither."""
    path = Path(path_or_hub_id)
    if path.suffix in PICKLES and path.is_file():
        raise InputError(refuse_pickle(path))
    if path.is_file():
        raise InputError(f"{path}: is a file; give the folder it lies in")
    if path.is_dir():
        if (path / "ladder.json").exists():
            runs = sorted(p for p in (path / "runs").glob("*") if (p / "checkpoints").exists())
            example = f", e.g. {runs[0]}" if runs else ""
            raise InputError(f"{path}: a ladder's folder; give one of its runs{example}")
        return path
    if _HUB_ID.fullmatch(str(path_or_hub_id)) is None:
        raise InputError(f"{path}: no such folder, and not of the form owner/name of a Hub model")
    return _fetch(str(path_or_hub_id))


def _fetch(hub_id: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError:
        raise InputError(f"{hub_id}: no such folder here; to read the Hub: pip install 'difflaw[hf]'") from None
    try:
        return Path(snapshot_download(hub_id, allow_patterns=list(HUB_FILES)))
    except (HfHubHTTPError, HFValidationError, OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{hub_id}: no such folder here, and not from the Hub either: {reason}") from None


# -- a run of ours --------------------------------------------------------------------------------------------------


def _run_of(folder: Path) -> tuple[Path, Path] | None:
    """(run, checkpoint) if the folder is a run or one of its checkpoints, else None."""
    if _STEP.fullmatch(folder.name) and (folder / "state.json").exists():
        return folder.parent.parent, folder
    if not (folder / "metrics.jsonl").exists() and not (folder / "checkpoints").is_dir():
        return None
    steps = sorted(p for p in (folder / "checkpoints").glob("step-*") if _STEP.fullmatch(p.name))
    if not steps:
        raise InputError(f"{folder / 'checkpoints'}: no checkpoint yet; the run is {RunDirectory(folder).status()}")
    return folder, steps[-1]


def _load_run(path: Path, checkpoint: Path, dtype: str, device: str | torch.device, cache: Path | None) -> LoadedModel:
    directory = RunDirectory(path)
    config = directory.config()
    family = get(
        config.family,
        config.model.vocab_size,
        config.mask_id,
        bos_id=config.bos_id,
        pad_id=config.pad_id,
        conditioning=config.conditioning.build(config.noise_levels),
        **config.family_options,
    )
    tokenizer = run_tokenizer(path, config, cache)
    model = load_transformer(config.model, family.causal, checkpoint, dtype, device)
    info = {"source": str(path), **_figures(directory, config, int(checkpoint.name.removeprefix("step-")))}
    return LoadedModel(model, family, tokenizer, config.mask_id, config.bos_id, EOS_ID, config.pad_id, info)


def run_tokenizer(path: Path, config: RunConfig, cache: Path | None) -> Tokenizer | None:
    """The vocabulary a run was trained with: its own ``tokenizer.json``, else that of its data in the cache, else None.

    None too for synthetic data, whose symbols are no text. InputError when it has more ids than the network.
    """
    if Path(config.data_hash).name != config.data_hash:
        raise InputError(f"{path / 'config.json'}: data_hash: {config.data_hash!r} is not the name of prepared data")
    places = (path / TOKENIZER, cache_folder(cache) / config.data_hash / TOKENIZER)
    found = next((place for place in places if place.exists()), None)
    return None if found is None else _read_tokenizer(found, config.model.vocab_size, config.mask_id)


def _figures(directory: RunDirectory, config: RunConfig, step: int) -> dict[str, Any]:
    """What is known of the run at a step; the bound is that of the last evaluation up to it."""
    counts = account(config.model)
    records = [r for r in directory.records("evaluation") if r["step"] <= step]
    last = records[-1] if records else {}
    tokens = step * config.tokens_per_step
    flops = (directory.summary() or {}).get("flops") if step == config.steps else None
    figures = {
        "label": config.label,
        "family": config.family,
        "family_options": config.family_options,
        "conditioning": config.conditioning.model_dump(),
        "step": step,
        "steps": config.steps,
        "tokens": tokens,
        "flops": flops or last.get("flops", 0.0) / max(last.get("tokens", 0), 1) * tokens or None,
        "flops_convention": config.flops_convention,
        "params": counts.params(config.params_convention),
        "params_convention": config.params_convention,
        "total_params": counts.params("total"),
        "data_hash": config.data_hash,
        "bound_step": last.get("step"),
        **{key: last.get(key) for key in ("bound", "standard_error", "bits_per_byte")},
    }
    return {key: value for key, value in figures.items() if value is not None}


# -- an export of ours, or a published checkpoint -------------------------------------------------------------------


def _load_published(folder: Path, dtype: str, device: str | torch.device) -> LoadedModel:
    path = folder / "config.json"
    if not path.exists():
        pickles = sorted(p for p in folder.glob("*") if p.suffix in PICKLES)
        raise InputError(
            refuse_pickle(pickles[0]) if pickles else f"{folder}: no config.json, so neither a run nor a model"
        )
    form = from_published(read_json(path), path)
    if form.ignored:
        warnings.warn(f"{path}: keys that mean nothing here: {', '.join(form.ignored)}", stacklevel=3)
    family = _family_of(form, path)
    tokenizer_path = folder / "tokenizer.json"
    tokenizer = None
    if tokenizer_path.exists():
        tokenizer = _read_tokenizer(tokenizer_path, form.model.vocab_size, form.mask_id)
    model = load_transformer(form.model, family.causal, folder, dtype, device)
    own = form.own or {"family": "gidd", "family_options": _noise(form.shift)}
    known = {key: value for key, value in own.items() if key not in ("model", "format")}
    info = {"source": str(folder), "total_params": account(form.model).params("total"), **known}
    return LoadedModel(model, family, tokenizer, form.mask_id, form.bos_id, form.eos_id, form.pad_id, info)


def _family_of(form: Published, path: Path) -> Family:
    """The family our key names, else GIDD with the noise of ``noise_type``."""
    common: dict[str, Any] = {"bos_id": form.bos_id, "pad_id": form.pad_id}
    common["span"] = _span(form, path)
    own = form.own
    if own is None:  # a folder of the paper's authors: no record, but all of their runs had clean prompts
        common["conditioning"] = Conditioning.preset("as-run")
        return get("gidd", form.model.vocab_size, form.mask_id, **common, **_noise(form.shift))
    options = own.get("family_options", {})
    if not isinstance(own.get("family"), str) or not isinstance(options, dict):
        raise InputError(f"{path}: difflaw.family: must be the name of a family, with difflaw.family_options an object")
    try:
        common["conditioning"] = ConditioningConfig.model_validate(own.get("conditioning", {})).build()
    except ValidationError as error:
        raise InputError(f"{path}: difflaw.conditioning: {error.errors()[0]['msg']}") from None
    return get(own["family"], form.model.vocab_size, form.mask_id, **{**common, **options})


def _noise(shift: float) -> dict[str, Any]:
    """GIDD's option for a shift: the noise type of that name, if there is one."""
    names = {value: name for name, value in NOISE_TYPES.items()}
    return {"noise_type": names[shift]} if shift in names else {"shift": shift}


def _span(form: Published, path: Path) -> LogSnrRange:
    try:
        return LogSnrRange(form.low, form.high)
    except ValueError as error:
        raise InputError(f"{path}: min_log_snr, max_log_snr: {error}") from None


def _read_tokenizer(path: Path, vocab_size: int, mask_id: int) -> Tokenizer:
    """Any ``tokenizer.json`` whose ids fit the network and whose mask, if it has one of that name, is the network's."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust side raises plain Exception
        raise InputError(f"{path}: not a tokenizer ({error})") from None
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if largest >= vocab_size:
        raise InputError(f"{path}: another vocabulary: it has id {largest}, the network only {vocab_size} ids")
    mask = tokenizer.token_to_id(SPECIAL_TOKENS[MASK_ID])
    if mask is not None and mask != mask_id:
        raise InputError(f"{path}: another vocabulary: its mask is id {mask}, the network's is {mask_id}")
    return tokenizer
