"""The transformer, its CompleteP scaling, the vocabulary head, exact accounting of parameters and FLOPs."""

from difflaw.model.accounting import Account, account
from difflaw.model.config import ModelConfig

__all__ = ["Account", "ModelConfig", "account"]
