"""`import difflaw.huggingface` teaches transformers our classes, so that AutoModelForCausalLM loads what we export.

Published GIDD checkpoints too. No code that comes with a checkpoint is run; the network is
`model.transformer.Transformer` itself, so the logits are those of `difflaw.load`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from difflaw.errors import InputError
from difflaw.model.published_config import DEFAULTS, MODEL_TYPE, Published, from_published
from difflaw.model.transformer import Transformer
from difflaw.model.weights import fill_rotary

try:
    from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
    from transformers.modeling_outputs import CausalLMOutput
except ImportError as error:
    raise InputError("difflaw.huggingface needs transformers: pip install 'difflaw[hf]'") from error

_SHAPES = {
    "vocab_size": 131_072,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "head_dim": None,
    "max_position_embeddings": 1024,
}


class GiddConfig(PretrainedConfig):
    """The published config; `published` reads it as difflaw does."""

    model_type = MODEL_TYPE

    def __init__(self, **given: Any) -> None:
        """Keys as in ``config.json``; those left out mean what they mean to the published class."""
        own = {**_SHAPES, **DEFAULTS, "is_causal": False, "noise_type": 0.0, "min_log_snr": -9.0, "max_log_snr": 9.0}
        own |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2, "mask_token_id": 3, "difflaw": None}
        own = {key: given.pop(key, default) for key, default in own.items()}
        super().__init__(**given)
        for key, value in own.items():
            setattr(self, key, value)

    def published(self) -> Published:
        """Shape, noise and ids; InputError names a key this network does not support."""
        raw = {key: value for key, value in self.to_dict().items() if value is not None}
        return from_published(raw, Path(self.name_or_path or "config") / "config.json")


class DifflawForCausalLM(PreTrainedModel):
    """Logits of the network under transformers' names. Generation is difflaw's: `difflaw.load`, not ``generate``."""

    config_class = GiddConfig
    _network: Transformer
    base_model_prefix = "model"
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012  # transformers' own form
    _keep_in_fp32_modules_strict = ["attn_layernorm", "mlp_layernorm", "q_norm", "k_norm", "norm"]  # noqa: RUF012
    _no_split_modules = ["TransformerLayer"]  # noqa: RUF012

    def __init__(self, config: GiddConfig) -> None:
        super().__init__(config)
        network = Transformer(config.published().model, causal=config.is_causal)
        for name, part in network.named_children():
            setattr(self, name, part)
        # Not a child of ours, or every weight would have two names; its parts are ours, weights come and go with them.
        object.__setattr__(self, "_network", network)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """CompleteP's start, for models made from a config alone."""
        shape = self.config.published().model
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.dim() < 2 or "bias" in name or module is self.lm_head:
                nn.init.zeros_(parameter)
            else:
                is_embedding = isinstance(module, nn.Embedding)
                std = shape.embedding_std if is_embedding else shape.init_scale / shape.width**0.5
                nn.init.normal_(parameter, std=std)

    def tie_weights(self, *args: Any, **kwargs: Any) -> Any:
        """Tie the head where the config says so, even if the file also holds one: published code never uses that."""
        outcome = super().tie_weights(*args, **kwargs)
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        return outcome

    def get_input_embeddings(self) -> nn.Module:
        """The embedding of token ids."""
        return self.model.embed_tokens

    def get_output_embeddings(self) -> nn.Module:
        """The output matrix."""
        return self.lm_head

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> CausalLMOutput | tuple[Tensor]:
        """Logits (B, L, V) of ids (B, L).

        ``attention_mask`` is (B, L), zero on padding, or (B, L, L), true where a query may attend to a key; a causal
        network narrows the first kind to the past and takes the second as it is.
        """
        network: Transformer = self._network
        if network.cos.device != input_ids.device:  # also the meta device, on which transformers builds a network
            fill_rotary(network, input_ids.device)
        logits = network.logits(input_ids, self._attention(input_ids, attention_mask), position_ids)
        return (logits,) if return_dict is False else CausalLMOutput(logits=logits)  # type: ignore[arg-type]

    def _attention(self, input_ids: Tensor, mask: Tensor | None) -> Tensor | None:
        if mask is None or mask.dim() == 3:
            return None if mask is None else mask.bool()
        if bool(mask.all()):
            return None
        length = input_ids.shape[1]
        seen = mask.bool()[:, None, :].expand(-1, length, -1)
        if self.config.is_causal:
            seen = seen & torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
        if self._network.config.sink:
            return seen
        itself = torch.eye(length, dtype=torch.bool, device=mask.device)
        return seen | (itself & ~seen.any(-1, keepdim=True))  # without a sink a query must see some key


AutoConfig.register(MODEL_TYPE, GiddConfig, exist_ok=True)
AutoModelForCausalLM.register(GiddConfig, DifflawForCausalLM, exist_ok=True)
