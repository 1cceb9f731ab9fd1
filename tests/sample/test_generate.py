"""The frame: prompts of different lengths, blanks, caches, ends of texts, and what is refused."""

from __future__ import annotations

import pytest
import torch

from difflaw.data.tokenizer import train_tokenizer
from difflaw.errors import InputError
from difflaw.sample import generate
from tests.sample.helpers import FAMILIES, make

PROMPTS = [[5, 6, 7, 8, 9], [10], [], [11, 12]]
EVERY = [(family, sampler) for family in FAMILIES for sampler in make(family).family.samplers]
FREE = ("left-to-right", "entropy-bounded", "first-hitting")


def steps_of(sampler: str) -> dict:
    return {} if sampler in FREE else {"steps": 6}


def soft(name: str, **options):
    """Logits flat enough for draws to differ, but no near ties."""
    model = make(name, **options)
    with torch.no_grad():
        model.model.lm_head.weight.mul_(0.05)
    return model


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["the cat sat on the mat and the dog sat on the log; " * 40], 270)


@pytest.mark.parametrize(("family", "sampler"), EVERY)
def test_cache_padding_and_company_change_nothing(family: str, sampler: str) -> None:
    """Cached = uncached; four rows = one by one; in blocks too."""
    model = soft(family)
    blocks = [None] if family == "autoregressive" else [None, 4]
    for block_length in blocks:
        how = {"sampler": sampler, "max_tokens": 9, "seed": 5, "block_length": block_length, **steps_of(sampler)}
        together = generate(model, PROMPTS, **how)
        plain = generate(model, PROMPTS, cache=False, **how)
        assert torch.equal(together.tokens, plain.tokens)
        for row, prompt in enumerate(PROMPTS):
            alone = generate(model, [prompt], rows=[row], **how)
            size = len(prompt) + 9
            assert torch.equal(together.tokens[row, :size], alone.tokens[0])
        in_twos = generate(model, PROMPTS, batch_size=2, **how)
        assert torch.equal(together.tokens, in_twos.tokens)


@pytest.mark.parametrize("family", ["masked", "uniform", "mdlm", "duo"])
def test_trained_without_prompts_everything_is_read_together(family: str) -> None:
    """No rule for clean tokens, so nothing is cached; padding still leaks nowhere."""
    model = soft(family, isolated=False)
    together = generate(model, PROMPTS, max_tokens=9, steps=6)
    for row, prompt in enumerate(PROMPTS):
        alone = generate(model, [prompt], rows=[row], max_tokens=9, steps=6)
        assert torch.equal(together.tokens[row, : len(prompt) + 9], alone.tokens[0])
    isolated = generate(model, PROMPTS, max_tokens=9, steps=6, isolate_prompt=True)
    assert not torch.equal(together.tokens, isolated.tokens)


def test_a_network_conditioned_on_noise() -> None:
    """Duo with adaLN reads σ, per token where prompts are clean; cached and uncached agree."""
    model = soft("duo", adaln=True)
    how = {"max_tokens": 9, "steps": 6, "seed": 1}
    assert torch.equal(
        generate(model, PROMPTS, **how).tokens,
        generate(model, PROMPTS, cache=False, **how).tokens,
    )
    assert generate(model, PROMPTS, **how).nfe == 7  # λ changes, so no step is skipped


@pytest.mark.parametrize(("family", "sampler"), [(f, s) for f, s in EVERY if f != "autoregressive"])
def test_given_tokens_never_change(family: str, sampler: str) -> None:
    model = soft(family)
    tokens = [[5, 0, 7, 0, 0, 10], [0, 12, 13]]
    blanks = [[False, True, False, True, True, False], [True, False, False]]
    done = generate(model, tokens, blanks=blanks, sampler=sampler, **steps_of(sampler))
    for row, (ids, blank) in enumerate(zip(tokens, blanks, strict=True)):
        for at, (token, is_blank) in enumerate(zip(ids, blank, strict=True)):
            assert is_blank or int(done.tokens[row, at]) == token
            assert bool(done.written[row, at]) == (is_blank and int(done.tokens[row, at]) != model.pad_id)
    assert not bool((done.tokens == model.mask_id).any())
    # in front of a given token no text ends
    inner = torch.tensor([blanks[0]])[0]
    assert not bool((done.tokens[0][inner] == model.eos_id).any())


def test_seed_and_row_decide() -> None:
    model = soft("masked")
    first, again, other = (generate(model, [[5]] * 3, max_tokens=9, steps=6, seed=s).tokens for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])


def test_logits_of_a_padded_row_are_those_of_the_row() -> None:
    """To 1e-5 of the largest, in both ways of reading."""
    from difflaw.sample.canvas import lay_out
    from difflaw.sample.draws import Draws
    from difflaw.sample.prompts import Prompt
    from difflaw.sample.reader import Reading, WindowReader

    model = make("masked")

    def logits(prompts: list[Prompt], cached: bool):
        import numpy as np

        reach = [len(p.tokens) for p in prompts]
        canvas = lay_out(
            prompts, Draws(0, np.arange(len(prompts))), min_tokens=0, pad_id=2, reach=reach, device=torch.device("cpu")
        )
        reader = WindowReader(Reading(model.model, model.family, True, cached), canvas)
        z = torch.full(reader.places.shape, 3)
        return reader.logits(reader.states(z, 0.0).flatten(0, 1)).unflatten(0, z.shape), reader.real

    short, long = Prompt((5, 6), (False,) * 2).followed_by(3), Prompt(tuple(range(4, 16)), (False,) * 12).followed_by(6)
    with torch.no_grad():
        alone, _ = logits([short], False)
        for cached in (True, False):
            both, real = logits([short, long], cached)
            assert real[0].sum() == 3
            assert (both[0, :3] - alone[0]).abs().max() <= 1e-5 * alone.abs().max()


def test_eos_ends_a_text_and_min_tokens_forbids_it() -> None:
    model = soft("masked", seed=3)
    with torch.no_grad():
        model.model.lm_head.weight[model.eos_id] *= 0
        model.model.lm_head.weight[model.eos_id] += 0.02
    for family in ("masked", "autoregressive"):
        model = soft(family)
        done = generate(model, [[5]] * 200, max_tokens=12, **({"steps": 12} if family == "masked" else {}))
        ends = (done.tokens == model.eos_id).any(1)
        assert 0 < int(ends.sum()) < 200
        for row in ends.nonzero()[:, 0].tolist():
            end = done.lengths[row]
            assert int(done.tokens[row, end - 1]) == model.eos_id
            assert bool((done.tokens[row, end:] == model.pad_id).all())
            assert not bool(done.written[row, end:].any())
        late = generate(model, [[5]] * 200, max_tokens=12, min_tokens=8)
        assert min(late.lengths) >= 1 + 8 + 1
        whole = generate(model, [[5]] * 50, max_tokens=12, stop_at_eos=False)
        assert set(whole.lengths) == {13}


def test_an_eos_in_prompt_or_tail_ends_nothing() -> None:
    """Reference fault 11: a stray EOS in the prompt, or in the noise that is not reached yet, stopped generation."""
    model = soft("uniform")
    with torch.no_grad():
        model.model.lm_head.weight[model.eos_id] = 0.0
    done = generate(model, [[5, 1, 6]] * 20, max_tokens=12, block_length=4, steps=4, min_tokens=12)
    assert set(done.lengths) == {15}


@pytest.mark.parametrize("family", ["masked", "block"])
def test_more_steps_than_masks(family: str) -> None:
    """Reference fault 10: once no mask is left, 0/0 picked positions to overwrite by chance."""
    model = soft(family)
    done = generate(model, [[5, 6]], max_tokens=6, sampler="adaptive", steps=40, tokens_per_step=1, trace=True, seed=4)
    assert done.trace is not None
    for before, after in zip(done.trace, done.trace[1:], strict=False):
        written = (before.tokens != model.mask_id) & ~before.unfinished | (before.tokens != model.mask_id)
        assert torch.equal(before.tokens[written], after.tokens[written])
    assert done.nfe <= 6 + 5


@pytest.mark.parametrize(("family", "sampler"), EVERY)
def test_no_mask_is_ever_returned(family: str, sampler: str) -> None:
    """Reference fault 3, and every other way: few steps, hybrid noise, Duo's noise that may be the mask."""
    model = soft(family)
    options = {} if sampler in FREE else {"steps": 3}
    done = generate(model, [[5]] * 40, max_tokens=12, sampler=sampler, **options)
    assert not bool((done.tokens == model.mask_id).any())


def test_uniform_noise_never_starts_from_the_mask() -> None:
    """GIDD's uniform prior is over the other ids (the reference draws from all, and its network never saw the mask)."""
    import numpy as np

    from difflaw.sample.draws import Draws
    from difflaw.sample.prior import prior

    at = torch.arange(400).expand(20, -1)
    counts = torch.bincount(prior(make("uniform").family, at, Draws(0, np.arange(20))).flatten(), minlength=23)
    assert counts[3] == 0
    assert counts[torch.arange(23) != 3].min() > 280  # 8,000 / 22 = 364
    assert torch.bincount(prior(make("duo").family, at, Draws(0, np.arange(20))).flatten(), minlength=23)[3] > 250
    assert bool((prior(make("masked").family, at, Draws(0, np.arange(20))) == 3).all())


def test_bos_is_placed_where_the_tokenizer_says(tokenizer) -> None:
    """Reference fault 12: no prompt, no BOS."""
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    plain = make("masked", tokenizer=tokenizer)
    assert int(generate(plain, None, max_tokens=4, steps=2, bos=True).tokens[0, 0]) == plain.bos_id
    assert generate(plain, "the cat", max_tokens=4, steps=2).tokens[0, 0] != plain.bos_id
    published = Tokenizer.from_str(tokenizer.to_str())
    published.post_processor = TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 0)]
    )
    model = make("masked", tokenizer=published)
    for prompt in (None, "the cat"):
        done = generate(model, prompt, max_tokens=4, steps=2)
        assert int(done.tokens[0, 0]) == model.bos_id
        assert not bool(done.written[0, 0])


def test_text_comes_back_as_it_was(tokenizer) -> None:
    """Reference: decoding tidied spaces away. Here the prompt is found in the text to the letter."""
    model = make("masked", context=64, tokenizer=tokenizer)
    prompt = "  the  cat ,  sat\n\n\ton ' the mat . <|mask|"
    done = generate(model, prompt, max_tokens=5, steps=5)
    assert done.text is not None
    assert done.completions is not None
    assert done.text[0].startswith(prompt)
    assert done.text[0][len(prompt) :] == done.completions[0] or "\ufffd" in done.text[0]


def test_templates(tokenizer) -> None:
    model = make("masked", context=64, tokenizer=tokenizer)
    done = generate(model, "the {} sat on {:5} and {{}}", infill=True, steps=4)
    assert int(done.written.sum()) <= 6
    assert done.text is not None
    assert done.text[0].endswith(" and {}")
    assert done.tokens.shape[1] == done.lengths[0]


def test_first_blank_of_a_whole_context() -> None:
    model = soft("masked", context=12)
    done = generate(model, None, max_tokens=12, steps=4, stop_at_eos=False)
    assert done.tokens.shape == (1, 12)
    assert generate(model, None, stop_at_eos=False, steps=4).tokens.shape == (1, 12)


def test_counts() -> None:
    """NFE of the rule: first-hitting asks once a mask, after one pass over the prompt; the trace has a frame a step."""
    model = soft("masked")
    done = generate(model, [[5, 6]], max_tokens=9, sampler="first-hitting", stop_at_eos=False, trace=True)
    assert (done.nfe, done.new_tokens) == (10, 9)
    assert done.positions_read == 2 + 9 * 9
    assert done.trace is not None
    assert len(done.trace) == 9 + 1
    assert done.trace[-1].unfinished.sum() == 0


@pytest.mark.parametrize(
    ("family", "prompts", "options", "words"),
    [
        ("masked", [[5]], {"steps": 0}, "steps"),
        ("masked", [[5]], {"sampler": "self-correction"}, "ancestral"),
        ("uniform", [[5]], {"sampler": "first-hitting"}, "not defined for gidd with uniform noise.*self-correction"),
        ("autoregressive", [[5]], {"sampler": "adaptive"}, "left-to-right"),
        ("masked", [[5]], {"sampler": "best"}, "unknown"),
        ("masked", [[5]], {"kappa": 0.5}, "kappa.*has no such option"),
        ("masked", [[5] * 24], {}, "no room"),
        ("masked", [[5] * 20], {"max_tokens": 9}, "at most 4 fit"),
        ("masked", [[3]], {}, "holds the mask"),
        ("masked", [[99]], {}, "99 is no id"),
        ("masked", "text", {}, "no tokenizer"),
        ("masked", [[5]], {"temperature": -1.0}, "temperature"),
        ("masked", [[5]], {"block_length": 0}, "block_length"),
        ("block", [[5]], {"block_length": 3}, "blocks of 4"),
        ("masked", [], {}, "empty"),
        ("autoregressive", [[5, 0, 6]], {"blanks": [[False, True, False]]}, "infill"),
        ("masked", [[5, 0, 6]], {"blanks": [[False, True]]}, "row 0 has 2 marks"),
    ],
)
def test_bad_input_is_named(family: str, prompts, options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        generate(make(family), prompts, **options)


@pytest.mark.parametrize("template", ["no blank", "{:0}", "{x}", "open {", "close }", "{:-1}"])
def test_bad_templates(template: str, tokenizer) -> None:
    with pytest.raises(InputError, match="template"):
        generate(make("masked", tokenizer=tokenizer), template, infill=True)
