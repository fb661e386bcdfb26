"""What surrounds the pages of the documentation: the menu of versions, the repository, and other packages' documentation."""

import re
import runpy
from pathlib import Path

import pytest
from browser import document_of, in_browser

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def addresses():
    return runpy.run_path(str(ROOT / "docs" / "addresses.py"))


REPOSITORY = {"Repository": "https://example.org/someone/network", "Issues": "https://example.org/someone/network/issues"}


def test_links_to_the_repository_come_from_the_table_of_addresses(addresses):
    icons = addresses["icon_links"]({**REPOSITORY, "Funding": "https://example.org/money"})
    assert {link["name"]: link["url"] for link in icons} == REPOSITORY
    assert addresses["icon_links"]({}) == []


@pytest.mark.parametrize(
    ("page", "file"),
    [
        ("guide/pooling", "docs/guide/pooling.rst"),
        ("_modules/sklearn_cnn/_estimator/base", "sklearn_cnn/_estimator/base.py"),
        ("_modules/sklearn_cnn/functional", "sklearn_cnn/functional/__init__.py"),
        ("auto_examples/plot_stride", "examples/plot_stride.py"),
        ("auto_examples/index", None),
        ("generated/sklearn_cnn.ConvNetClassifier", None),
        ("genindex", None),
    ],
)
def test_a_page_leads_to_the_file_that_it_is_made_of(page, file, addresses):
    address = addresses["address_in_repository"](page, REPOSITORY)
    assert address == (file and f"{REPOSITORY['Repository']}/blob/HEAD/{file}")
    assert file is None or (ROOT / file).is_file()
    assert addresses["address_in_repository"](page, {}) is None


def test_names_of_other_packages_are_found_in_a_folder(addresses, tmp_path, monkeypatch):
    (tmp_path / "numpy.inv").write_bytes(b"")
    monkeypatch.setenv("SKLEARN_CNN_INVENTORIES", str(tmp_path))
    here = (tmp_path / "site").as_uri()  # a site that is not there
    assert addresses["inventories"]({"numpy": here, "made-up": here}) == {"numpy": (here, str(tmp_path / "numpy.inv"))}


def test_links_that_lead_nowhere_are_found(tmp_path):
    links = runpy.run_path(str(ROOT / "docs" / "links.py"))["complaints"]
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="b.html#there"></a><a href="#top"></a><script src="../versions.js"></script>'
        '<a href="b.html#nowhere"></a><a href="c.html"></a><a href="https://example.org/#x"></a><img src="a.html">'
    )
    (tmp_path / "b.html").write_text('<a name="there" href="a.html">B</a>')
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated" / "f.html").write_text('<a href="../a.html">f</a>')
    assert links(tmp_path) == [
        "a.html: a.html has no alt",
        "a.html: b.html#nowhere has no such place",
        "a.html: c.html does not exist",
        "generated/f.html: no link to the source",
    ]


def built_pages(folder, version):
    """What of built pages the menu of versions needs: a list of names, and a page with the menu."""
    folder.mkdir()
    (folder / "objects.inv").write_bytes(f"# Sphinx inventory version 2\n# Project: p\n# Version: {version}\n\n".encode())
    menu = (ROOT / "docs" / "_templates" / "versions.html").read_text(encoding="utf-8").replace("{{ version }}", version)
    (folder / "index.html").write_text(re.sub(r"\{\{ pathto\('([^']+)', 1\) \}\}|\{#.*#\}", r"\1", menu), encoding="utf-8")
    return folder


@in_browser
def test_every_version_knows_the_others(tmp_path):
    """Those published before, too, and from a file."""

    def versions(page):
        return re.findall("<option.*?>(.*?)</option>", document_of(page.as_uri(), tmp_path))

    publish = runpy.run_path(str(ROOT / "docs" / "publish.py"))["publish"]
    site = tmp_path / "site"
    assert versions(built_pages(tmp_path / "unpublished", "0.3.0") / "index.html") == ["0.3.0"]
    assert publish(built_pages(tmp_path / "new", "0.10.0"), site) == ["0.10.0"]
    assert publish(built_pages(tmp_path / "old", "0.9.1"), site) == ["0.10.0", "0.9.1"]
    assert publish(tmp_path / "old", site) == ["0.10.0", "0.9.1"]
    for version in ("0.10.0", "0.9.1"):
        assert versions(site / version / "index.html") == ["0.10.0", "0.9.1"]
    assert "url=0.10.0/index.html" in (site / "index.html").read_text(encoding="utf-8")


@in_browser
def test_the_menu_leads_to_another_version(tmp_path):
    publish = runpy.run_path(str(ROOT / "docs" / "publish.py"))["publish"]
    for version in ("0.1.0", "0.2.0"):
        publish(built_pages(tmp_path / version, version), tmp_path / "site")
    (tmp_path / "site" / "0.1.0" / "index.html").write_text("The first version", encoding="utf-8")
    page = tmp_path / "site" / "0.2.0" / "index.html"
    choose = "<script>{ const menu = document.querySelector('select'); menu.value = '0.1.0'; menu.onchange(); }</script>"
    page.write_text(page.read_text(encoding="utf-8") + choose, encoding="utf-8")
    assert "The first version" in document_of(page.as_uri(), tmp_path)
