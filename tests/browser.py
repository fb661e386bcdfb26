"""A headless browser, for the tests of pages."""

import shutil
import subprocess

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

in_browser = pytest.mark.skipif(BROWSER is None, reason="no headless browser is installed (Debian's package chromium)")


def document_of(address, folder):
    """The document that an address has become after its scripts have run; the browser keeps its own files in the folder."""
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    result = subprocess.run([*command, address], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout
