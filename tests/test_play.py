"""The pages to play with: what they show in a browser is what the library computes."""

import html.parser
import re
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from browser import document_of, in_browser

from sklearn_cnn.functional import convolve, cross_correlate, flip_kernel, max_pool2d, output_shape

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "_static" / "play"
PAGES = sorted(FOLDER.glob("*.html"))


class Document(html.parser.HTMLParser):
    """Tables as arrays by their id, the attributes of the body, and the text of whatever has an id."""

    def __init__(self, source):
        super().__init__()
        self.tables, self.body, self.texts, self.inside, self.id = {}, {}, {}, None, None
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.id = attributes.get("id")
        if tag == "body":
            self.body = attributes
        elif tag == "table":
            self.inside = self.tables[attributes["id"]] = []
        elif tag == "tr":
            self.inside.append([])
        elif tag == "td":
            self.inside[-1].append("")
        elif tag == "input" and self.inside:
            self.inside[-1][-1] = attributes["value"]

    def handle_endtag(self, tag):
        self.id = None
        if tag == "table":
            self.inside = None

    def handle_data(self, data):
        if self.inside:
            self.inside[-1][-1] += data.strip().replace("\N{MINUS SIGN}", "-")
        else:
            self.texts[self.id] = self.texts.get(self.id, "") + data

    def table(self, name):
        return np.array(self.tables[name], dtype=float)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What a page shows after it has been opened with a query, and after a script that uses its controls."""
    folder = tmp_path_factory.mktemp("play")

    def show(page, script="", **query):
        source = (FOLDER / f"{page}.html").read_text(encoding="utf-8")
        path = folder / f"{page}.html"
        path.write_text(source.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
        return Document(document_of(f"{path.as_uri()}?{urlencode(query)}", folder))

    return show


def test_there_are_three():
    assert [path.stem for path in PAGES] == ["kernel", "shift", "sizes"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_works_from_a_file(path):
    """It asks for nothing else: no script, style, font or picture from anywhere; and it can be read on a telephone."""
    source = path.read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)\s*=|@import|url\(|fetch\(|import\s*\(", source)
    assert "width=device-width" in source
    assert "prefers-color-scheme: dark" in source
    assert ":focus-visible" in source


@in_browser
@pytest.mark.parametrize("flip", [0, 1])
@pytest.mark.parametrize(
    ("image", "kernel"),
    [("the lecture's", [1, 0, -1, 2, 0, -2, 1, 0, -1]), ("a seven", [1, 2, 3, 4, 5, 6, 7, 8, -9])],
)
def test_the_map_of_a_sliding_kernel(image, kernel, flip, shown):
    page = shown("kernel", image=image, kernel=",".join(map(str, kernel)), flip=flip, all=1)
    X, weights = page.table("image"), page.table("kernel")
    np.testing.assert_array_equal(weights.ravel(), list(kernel))
    np.testing.assert_array_equal(page.table("laid"), flip_kernel(weights) if flip else weights)
    expected = convolve(X, weights, mode="valid") if flip else cross_correlate(X, weights)
    np.testing.assert_array_equal(page.table("map"), expected)
    assert page.table("products").sum() == expected[0, 0]
    assert page.texts["sentence"].endswith(f"= {expected[0, 0]:g}".replace("-", "\N{MINUS SIGN}"))


@in_browser
def test_controls_of_the_sliding_kernel(shown):
    script = """
    const press = (id) => document.getElementById(id).click();
    press("flip"); press("next"); press("next");
    const row = document.getElementById("row"); row.value = 2; row.dispatchEvent(new Event("input"));
    const weight = document.querySelector("#kernel input"); weight.value = 100; weight.dispatchEvent(new Event("input"));
    """
    page = shown("kernel", script)
    assert page.texts["sentence"].startswith("Row 2, column 2: ")
    assert page.table("laid")[2, 2] == 100
    X = page.table("image")
    np.testing.assert_array_equal(page.table("map"), cross_correlate(X, page.table("laid")))


@in_browser
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"), [(5, 3, 1, 0), (5, 3, 3, 0), (5, 3, 2, 1), (14, 5, 3, 2), (9, 2, 4, 0), (2, 7, 1, 0)]
)
def test_sizes(size, kernel, stride, padding, shown):
    page = shown("sizes", size=size, kernel=kernel, stride=stride, padding=padding)
    unseen = [int(pixel) for pixel in page.body["data-unseen"].split(",") if pixel]
    n_windows = int(page.body["data-output"])
    if kernel > size + 2 * padding:
        assert n_windows == 0
        assert len(unseen) == size
        return
    assert ((n_windows,) * 2, (len(unseen),) * 2) == output_shape((size, size), kernel, stride=stride, padding=padding)
    # how many windows see a pixel: the gradient of the sum of all windows
    often = np.zeros(size + 2 * padding)
    for window in range(n_windows):
        often[window * stride : window * stride + kernel] += 1
    assert page.body["data-often"] == ",".join(f"{n:g}" for n in often[padding : padding + size])
    assert f"+ 1 = {n_windows}: the map has {n_windows} × {n_windows} values" in page.texts["formula"]  # noqa: RUF001


@in_browser
def test_the_sliders_of_the_sizes(shown):
    script = "const s = document.getElementById('stride'); s.value = 3; s.dispatchEvent(new Event('input'));"
    page = shown("sizes", script)
    assert page.body["data-output"] == "1"
    assert page.texts["skipped"] == "2 of 5 pixels along this axis are never seen: 3, 4."


@in_browser
@pytest.mark.parametrize(("image", "shift", "pool"), [("a dot", 1, 2), ("a bar", 3, 4), ("steps", 5, 3)])
def test_the_maps_of_a_shifted_image(image, shift, pool, shown):
    pages = [shown("shift", image=image, shift=by, pool=pool) for by in (0, shift)]
    for page in pages:
        map_ = np.maximum(cross_correlate(page.table("image"), page.table("kernel"), padding="same"), 0)
        np.testing.assert_array_equal(page.table("map"), map_)
        np.testing.assert_array_equal(page.table("pooled"), max_pool2d(map_[None, :, :, None], pool)[0, :, :, 0])
    before, after = pages
    np.testing.assert_array_equal(after.table("map"), np.roll(before.table("map"), shift, axis=1))  # equivariance
    assert int(after.body["data-changed"]) == np.sum(before.table("pooled") != after.table("pooled"))


@in_browser
def test_the_pooled_map_stands_still_inside_a_window(shown):
    for shift, changed in ((3, 0), (4, 4)):
        script = f"const s = document.getElementById('shift'); s.value = {shift}; s.dispatchEvent(new Event('input'));"
        page = shown("shift", script)
        assert page.body["data-changed"] == str(changed)
        assert ("No pooled number has changed." in page.texts["sentence"]) == (changed == 0)
