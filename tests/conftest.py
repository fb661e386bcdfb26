"""What every run of the tests says of itself."""

from pathlib import Path

import pytest

import sklearn_cnn
from sklearn_cnn import _kernels
from sklearn_cnn._network.network import pace_of_training


def pytest_report_header():
    """Say which installation is tested, so that a run against the wrong one is seen at once."""
    folder = Path(sklearn_cnn.__file__).parent
    return f"sklearn_cnn {sklearn_cnn.__version__} from {folder}, kernels: {_kernels.default_level()}"


@pytest.fixture(autouse=True)
def _nothing_is_known_of_threads():
    """Let training begin with the threads that its work suggests, whatever fits of other tests have taught the process."""
    pace_of_training.cache_clear()
