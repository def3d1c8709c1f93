import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # torch_answers.py stands beside the tests that use it
