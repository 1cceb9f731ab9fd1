"""How many threads work is worth, and that neither threads nor environment are changed for longer than a block."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from difflaw.training import threads
from difflaw.training.threads import PASSIVE, environment_of_workers, threads_for, using_threads, wait_passively


@pytest.fixture
def sixteen_cores(monkeypatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 16)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_small_work_gets_one_thread_and_large_work_more(sixteen_cores) -> None:
    assert threads_for(64, 4096) == 1
    assert threads_for(64, 16_384) == 2
    assert threads_for(128, 4096) == 2
    assert threads_for(512, 4096) == 16
    assert threads_for(256, 1) == 1
    assert threads_for(2048, 1) == 2  # one token a pass: the time goes into reading the weights
    found = [threads_for(width, 2048) for width in range(16, 1024, 16)]
    assert found == sorted(found)


def test_what_is_asked_for_is_given(sixteen_cores) -> None:
    assert threads_for(8, 8, asked=5) == 5
    assert threads_for(4096, 65_536, asked=1) == 1


def test_never_more_than_cores_or_the_environment_allows(sixteen_cores, monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert threads_for(1024, 65_536) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert threads_for(1024, 65_536) == 16
    monkeypatch.setattr(threads, "cores", lambda: 2)
    assert threads_for(1024, 65_536) == 2


def test_the_number_of_threads_is_restored_even_by_an_error() -> None:
    before, seen = torch.get_num_threads(), []

    def fail() -> None:
        with using_threads(before + 1):
            seen.append(torch.get_num_threads())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


def test_workers_find_an_environment_that_does_not_stay(monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    before = dict(os.environ)
    with environment_of_workers(2):
        assert os.environ["OMP_NUM_THREADS"] == "2"
        assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"  # said by somebody: kept
        assert os.environ["GOMP_SPINCOUNT"] == "0"
    assert dict(os.environ) == before


def test_a_program_lets_its_threads_sleep_unless_told() -> None:
    environment = {"KMP_BLOCKTIME": "200"}
    wait_passively(environment)
    assert environment == {**PASSIVE, "KMP_BLOCKTIME": "200"}


def test_the_command_line_says_so_before_torch_is_there_and_the_library_says_nothing() -> None:
    """In processes of their own: importing everything leaves environment and threads alone, `main` sets the policy."""
    library = (
        "import os, torch; before, threads = dict(os.environ), torch.get_num_threads()\n"
        "import difflaw, difflaw.ladder.runner, difflaw.ladder.estimate, difflaw.sample, difflaw.training.loop\n"
        "import difflaw.cli.app\n"
        "assert dict(os.environ) == before and torch.get_num_threads() == threads"
    )
    program = (
        "import os, sys; sys.argv = ['difflaw', '--version']\n"
        "from difflaw.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert os.environ['OMP_WAIT_POLICY'] == 'PASSIVE' and 'torch' not in sys.modules"
    )
    environment = {name: value for name, value in os.environ.items() if name not in PASSIVE}
    for code in (library, program):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
