"""What every run of the tests says of itself."""

from pathlib import Path

import sklearn_cnn
from sklearn_cnn import _kernels


def pytest_report_header():
    """Say which installation is tested, so that a run against the wrong one is seen at once."""
    folder = Path(sklearn_cnn.__file__).parent
    return f"sklearn_cnn {sklearn_cnn.__version__} from {folder}, kernels: {_kernels.default_level()}"
