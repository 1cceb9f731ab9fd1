"""Consistency distillation: one noise at two clocks, the right divergence, restarts that change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from difflaw.data.batches import Batches
from difflaw.errors import InputError
from difflaw.families import Duo, get
from difflaw.model.config import ModelConfig
from difflaw.model.transformer import Transformer
from difflaw.noise.gaussian import GaussianOperator
from difflaw.training import distillation
from difflaw.training.checkpoint import weights_of
from difflaw.training.config import DistillationConfig, OptimizerConfig, RunConfig
from difflaw.training.loop import Execution, train
from difflaw.training.run_directory import RunDirectory

V, CONTEXT, MASK = 12, 8, 3
RULE = DistillationConfig(parent="p", steps_per_round=10, grid=16)
CONFIG = RunConfig(
    family="duo",
    label="duo",
    model=ModelConfig(vocab_size=V, layers=1, width=8, heads=1, context=CONTEXT),
    data_hash="none",
    batch_sequences=6,
    steps=30,
    optimizer=OptimizerConfig(lr=0.02, warmup_steps=3),
    evaluation_steps=(15,),
    distillation=RULE,
)
TOKENS = np.random.default_rng(0).integers(4, V, 4000).astype(np.uint16)


def duo() -> Duo:
    return distillation.distilled(get("duo", V, MASK))


class Stop(Exception):
    pass


def parent() -> Transformer:
    model = Transformer(CONFIG.model).initialise(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model


def run(path, execution: Execution = Execution(), stop_at: int | None = None) -> Transformer:
    directory = RunDirectory(path)
    directory.create(CONFIG)
    save_file(weights_of(parent()), path / distillation.PARENT)

    def evaluate(model, step: int) -> dict[str, float]:
        if step == stop_at:
            raise Stop
        return {"bound": float(sum(p.double().sum() for p in model.parameters()))}

    rounds = distillation.objectives(CONFIG, duo(), path)
    start = lambda model: distillation.start_from_parent(path, model)  # noqa: E731
    return train(CONFIG, directory, duo(), Batches(TOKENS, CONTEXT, 6, 0), evaluate, execution, rounds, start)


def test_one_noise_at_two_clocks() -> None:
    """The teacher reads less noise, wrong only where the student's is; both have the marginals of their λ."""
    x = torch.randint(4, V, (3000, CONTEXT), generator=torch.Generator().manual_seed(0))
    student, teacher = distillation.pair(duo(), RULE, x, np.arange(3000), 0, number=3)
    assert bool((teacher.log_snr_BL > student.log_snr_BL).all())
    wrong_t, wrong_s = student.z_BL != x, teacher.z_BL != x
    assert not bool((wrong_s & ~wrong_t).any())
    both = wrong_s & wrong_t
    assert torch.equal(student.z_BL[both], teacher.z_BL[both])
    for batch, wrong in ((student, wrong_t), (teacher, wrong_s)):
        expected = torch.sigmoid(-batch.log_snr_BL.double()) * (V - 1) / V
        assert float(wrong.double().mean()) == pytest.approx(float(expected.mean()), abs=0.012)


def test_the_step_to_the_teacher_doubles() -> None:
    x = torch.full((50, CONTEXT), 5)
    operator = GaussianOperator(V, RULE.gamma_min, RULE.gamma_max)
    for number in range(5):
        student, teacher = distillation.pair(duo(), RULE, x, np.arange(50), 0, number)
        clock_t, clock_s = (operator.gamma(b.log_snr_BL[:, 0].double().numpy()) for b in (student, teacher))
        assert np.allclose(clock_t - clock_s, 3.0 * 2**number / 16, atol=1e-4)


@pytest.mark.parametrize("direction", ["student-teacher", "teacher-student"])
def test_divergence_is_the_textbook_one(direction: str) -> None:
    s, t = torch.randn(2, 5, V, dtype=torch.float64)
    s[..., MASK] = t[..., MASK] = -torch.inf
    p, q = (s.softmax(-1), t.softmax(-1)) if direction == "student-teacher" else (t.softmax(-1), s.softmax(-1))
    expected = torch.special.entr(p).sum(-1).neg() - torch.special.xlogy(p, q).sum(-1)
    leaf = s.clone().requires_grad_()
    ours = distillation.divergence(leaf, t, direction)
    assert torch.allclose(ours, expected)
    ours.sum().backward()
    assert leaf.grad is not None
    assert torch.isfinite(leaf.grad).all()
    assert torch.allclose(distillation.divergence(s, s, direction), torch.zeros(5, dtype=torch.float64))


def test_the_student_comes_closer_to_its_teacher(tmp_path) -> None:
    directory = RunDirectory(tmp_path)
    run(tmp_path)
    losses = [record["loss"] for record in directory.records("train")]
    first_round = losses[:10]
    assert first_round[-1] < 0.7 * first_round[0]
    assert len(list((tmp_path / "teachers").iterdir())) == 3


def test_a_restart_in_the_middle_of_a_round_is_bit_equal(tmp_path) -> None:
    whole = run(tmp_path / "whole")
    often = Execution(checkpoint_seconds=0.0)
    with pytest.raises(Stop):
        run(tmp_path / "parts", often, stop_at=15)
    again = run(tmp_path / "parts", often)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_only_duo_can_be_distilled(tmp_path) -> None:
    with pytest.raises(InputError, match="family 'mdlm' cannot be distilled"):
        distillation.distilled(get("mdlm", V, MASK))
    (tmp_path / distillation.PARENT).write_bytes(b"x")
    with pytest.raises(InputError, match=r"parent.safetensors"):
        distillation.start_from_parent(tmp_path, parent())
