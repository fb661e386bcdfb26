"""The version of the installed package, which every pickle carries."""

from importlib.metadata import version

__version__ = version("sklearn_cnn")
