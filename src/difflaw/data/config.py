"""What to read and how to split it: the `data` section of a configuration."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from difflaw.data.special import SPECIAL_TOKENS

SMALLEST_VOCABULARY = len(SPECIAL_TOKENS) + 256
"""The special tokens and one token for each byte."""

Seed = Annotated[int, Field(ge=0, lt=2**63)]


class SyntheticConfig(BaseModel):
    """An order-1 Markov chain whose entropy is known exactly (`data/synthetic.py`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    symbols: int = Field(default=16, ge=2, le=4096)
    tokens: int = Field(default=2_000_000, ge=1)
    """Training tokens; validation comes on top (`validation_fraction` of this number)."""
    concentration: float = Field(default=0.3, gt=0, allow_inf_nan=False)
    """Of the Dirichlet distribution of each row of the transition matrix: small is predictable, large is uniform."""
    seed: Seed = 0


class DataConfig(BaseModel):
    """A corpus, its vocabulary and its split into training and validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    corpus: str | list[str] = "stdlib"
    """One or several of: "stdlib", "hf:DATASET[:CONFIG[:SPLIT]]", files, folders; or "synthetic" alone."""
    vocab_size: int = 1024
    """Size of the byte-level BPE vocabulary, special tokens included. A synthetic corpus has its own."""
    validation_fraction: float = 0.05
    validation: str | list[str] | None = None
    """A separate corpus for validation; then nothing of `corpus` is held out."""
    text_key: str = Field(default="text", min_length=1)
    """Where the text is: a key of each JSON line, a column of a Parquet file or Hub dataset."""
    max_bytes: int | None = None
    """Read no more than this many bytes (UTF-8) of `corpus`."""
    seed: Seed = 0
    """Salt of the hash that sends each document to training or validation."""
    synthetic: SyntheticConfig = Field(default_factory=SyntheticConfig)

    @field_validator("corpus", "validation")
    @classmethod
    def _names_something(cls, value: str | list[str] | None) -> str | list[str] | None:
        if value is not None and (not value or not all(name.strip() for name in as_list(value))):
            raise ValueError("empty: name 'stdlib', 'hf:DATASET', a file or a folder")
        return value

    @field_validator("vocab_size")
    @classmethod
    def _holds_every_byte(cls, value: int) -> int:
        if value < SMALLEST_VOCABULARY:
            raise ValueError(
                f"{value} is too small: {len(SPECIAL_TOKENS)} special tokens and 256 bytes need {SMALLEST_VOCABULARY}"
            )
        return value

    @field_validator("validation_fraction")
    @classmethod
    def _leaves_both_sides(cls, value: float) -> float:
        if not 0 < value <= 0.5:
            raise ValueError(f"{value} is not in (0, 0.5]: 0.05 holds out one document in twenty")
        return value

    @field_validator("max_bytes")
    @classmethod
    def _reads_something(cls, value: int | None) -> int | None:
        if value is not None and value < 1:
            raise ValueError(f"{value} reads nothing: give a positive number of bytes, or leave it out for everything")
        return value

    @model_validator(mode="after")
    def _synthetic_stands_alone(self) -> Self:
        if self.validation is not None and (self.is_synthetic or "synthetic" in as_list(self.validation)):
            raise ValueError("a synthetic corpus makes its own validation chain: leave out `validation`")
        if isinstance(self.corpus, list) and len(self.corpus) > 1 and "synthetic" in self.corpus:
            raise ValueError("'synthetic' cannot be mixed with other corpora: name it alone")
        return self

    @property
    def is_synthetic(self) -> bool:
        """Whether tokens come from the Markov chain instead of text."""
        return as_list(self.corpus) == ["synthetic"]


def as_list(names: str | list[str]) -> list[str]:
    """One corpus name or several, always as a list."""
    return [names] if isinstance(names, str) else names
