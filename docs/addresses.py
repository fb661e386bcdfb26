"""Addresses outside the site: those of the repository, and the reference of other packages."""

import os
import tomllib
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parent.parent

# What is shown of [project.urls] in pyproject.toml, and as which icon.
ICONS = {"Repository": "fa-solid fa-code-branch", "Issues": "fa-solid fa-bug"}

# What pages are made of, by the beginning of their names; pages of the reference are made of docstrings, and link to the source.
SOURCES = {
    "_modules/": ("{}.py", "{}/__init__.py"),
    "auto_examples/": ("examples/{}.py",),
    "generated/": (),
    "": ("docs/{}.rst",),
}

FOREIGN = {
    "numpy": "https://numpy.org/doc/stable",
    "scipy": "https://docs.scipy.org/doc/scipy",
    "sklearn": "https://scikit-learn.org/stable",
}


def project_urls():
    """Return `[project.urls]` of pyproject.toml, empty before the project has an address."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"].get("urls", {})


def icon_links(urls):
    """Return links for the navigation bar, as the theme takes them."""
    return [{"name": name, "url": urls[name], "icon": icon} for name, icon in ICONS.items() if name in urls]


def address_in_repository(page, urls):
    """Return where the source of a page is seen on the repository (GitHub and GitLab know this form), or None.

    Parameters
    ----------
    page : str
        Its name as Sphinx has it, without an ending.
    urls : dict
        `[project.urls]`.

    Returns
    -------
    address : str or None
        None where there is no `Repository`, or the page is made of no file of its own.
    """
    if "Repository" not in urls:
        return None
    folder = next(folder for folder in SOURCES if page.startswith(folder))
    files = [form.format(page.removeprefix(folder)) for form in SOURCES[folder]]
    return next((f"{urls['Repository']}/blob/HEAD/{file}" for file in files if (ROOT / file).is_file()), None)


def inventories(foreign=FOREIGN):
    """Find the lists of names of other packages' documentation, for links to it.

    A list is a file `<package>.inv` in the folder that the environment variable SKLEARN_CNN_INVENTORIES names, or is asked for
    at the site, or is the one that Debian's package brings. Links lead to the site in every case.

    Parameters
    ----------
    foreign : dict
        Sites by the names of packages.

    Returns
    -------
    mapping : dict
        As `sphinx.ext.intersphinx` takes it. A package without a list is left out, and its names stay words.
    """
    mapping, folder = {}, os.environ.get("SKLEARN_CNN_INVENTORIES")
    for package, site in foreign.items():
        named, debian = Path(folder or "", f"{package}.inv"), Path(f"/usr/share/doc/python-{package}-doc/html/objects.inv")
        if folder and named.is_file():
            mapping[package] = (site, str(named.resolve()))
        elif is_reachable(site):
            mapping[package] = (site, None)
        elif debian.is_file():
            mapping[package] = (site, str(debian))
    return mapping


def is_reachable(site):
    """Say whether a site has its list of names."""
    try:
        with urllib.request.urlopen(f"{site}/objects.inv", timeout=5):
            return True
    except OSError:
        return False
