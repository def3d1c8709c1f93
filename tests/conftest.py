import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest

# Test modules are imported one by one (importlib mode): this folder's helpers.py is found by the path alone.
sys.path.insert(0, str(Path(__file__).parent))

# The same examples in every run, so that a failure is there again for whoever looks into it.
hypothesis.settings.register_profile("fastconv", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("fastconv")


@pytest.fixture
def rng():
    return np.random.default_rng(20260)
