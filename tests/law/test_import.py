"""The law package is quick to import and needs no torch."""

import subprocess
import sys


def test_import_loads_neither_torch_nor_pandas():
    code = "import sys, difflaw.law; print([m for m in ('torch', 'pandas', 'scipy', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_exist():
    import difflaw.law as law

    assert all(hasattr(law, name) for name in law.__all__)
