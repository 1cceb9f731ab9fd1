"""The model card of an export: what was trained, on how much, how good it is, how to ask it."""

from __future__ import annotations

import re
from typing import Any

from difflaw.model.accounting import FLOP_CONVENTIONS, PARAMETER_CONVENTIONS
from difflaw.training.loaded import LoadedModel


def model_card(loaded: LoadedModel) -> str:
    """Markdown with the front matter the Hub reads. Figures that are not known are left out, never guessed."""
    info, config = loaded.info, loaded.config
    title = _plain(info.get("label", loaded.family.name))
    rows = [
        ("family", _family(loaded)),
        ("network", f"{config.layers} layers, width {config.width}, {config.heads} heads, context {config.context}"),
        ("vocabulary", f"{config.vocab_size:,} ids, mask {loaded.mask_id}, end of text {loaded.eos_id}"),
        ("parameters", _counted(info, "params", PARAMETER_CONVENTIONS)),
        ("all parameters", f"{info['total_params']:,}" if "total_params" in info else None),
        ("trained on", f"{info['tokens']:,} tokens" if "tokens" in info else None),
        ("training FLOPs", _counted(info, "flops", FLOP_CONVENTIONS)),
        ("bound", _bound(info)),
        ("bits per byte", f"{info['bits_per_byte']:.4f}" if "bits_per_byte" in info else None),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows if value is not None)
    return f"""---
library_name: difflaw
pipeline_tag: text-generation
tags: [{_plain(loaded.family.name)}, {"language-model" if loaded.family.exact else "discrete-diffusion"}, difflaw]
---

# {title}

A language model trained with difflaw: {_family(loaded)}.

| | |
|---|---|
{table}

{_bound_in_words(loaded)}

## Load it

```python
import difflaw

model = difflaw.load("path/to/this/folder")      # or its Hub id
logits_BLV = model.logits(z_BL)                  # z_BL: token ids, noise and mask (id {loaded.mask_id}) among them
```

In plain transformers, with difflaw installed (`pip install 'difflaw[hf]'`); no remote code:

```python
import difflaw.huggingface                       # registers the classes
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")
```

## Sample from it

{_sampling(loaded)}"""


def _sampling(loaded: LoadedModel) -> str:
    """How to write with it; without a vocabulary there are only ids."""
    if loaded.tokenizer is None:
        return "There is no tokenizer here: `difflaw.load` and `model.logits` work on ids.\n"
    return """```sh
difflaw sample path/to/this/folder --prompt "Once upon a time"
```
"""


def _family(loaded: LoadedModel) -> str:
    name = loaded.family.name
    options = loaded.info.get("family_options") or {}
    extra = ", ".join(f"{_plain(key)} {_plain(value)}" for key, value in options.items())
    paper = loaded.family.paper
    return f"{name}{f' ({extra})' if extra else ''}{f': {paper}' if paper else ''}"


def _counted(info: dict[str, Any], key: str, conventions: dict[str, str]) -> str | None:
    """A number under its convention, explained."""
    if key not in info:
        return None
    convention = info.get(f"{key}_convention", "")
    number = f"{info[key]:,}" if isinstance(info[key], int) else f"{info[key]:.4g}"
    return f"{number} ({convention}: {conventions.get(convention, 'unknown convention')})"


def _bound(info: dict[str, Any]) -> str | None:
    if "bound" not in info:
        return None
    error = f" ± {info['standard_error']:.4f}" if "standard_error" in info else ""
    at = f", measured at step {info['bound_step']:,}" if info.get("bound_step") != info.get("step") else ""
    return f"{info['bound']:.4f}{error} nats per token{at}"


def _bound_in_words(loaded: LoadedModel) -> str:
    if "bound" not in loaded.info:
        return "No validation bound was recorded for this checkpoint."
    if loaded.family.exact:
        return "The bound is the exact negative log-likelihood on held-out text; ± is one standard error."
    return (
        "The bound (NELBO) is on held-out text, every token noised, no prompt; "
        "± is one standard error over noise and text."
    )


def _plain(value: Any) -> str:
    """Text from a config as one line that Markdown does not interpret."""
    return re.sub(r"[^\w .,:+-]", "", str(value))[:80]
