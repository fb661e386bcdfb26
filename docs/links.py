"""Look at every link of the built pages, without asking another server: `python docs/links.py FOLDER`."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

OUTSIDE = {"../versions.js"}  # beside the pages once they are published
TEMPLATES = {"_static/webpack-macros.html"}  # of the theme, which copies it


class Page(HTMLParser):
    """What a page links to or shows, the anchors it has, and its pictures without a text in place of them."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors, self.without_text = [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        """Note what a tag links to and what it is called."""
        attributes = dict(attributes)
        self.links += [attributes[name] for name in ("href", "src") if attributes.get(name)]
        self.anchors |= {attributes[name] for name in ("id", "name") if attributes.get(name)}
        if tag == "img" and "alt" not in attributes:  # an empty one says that the words beside it are enough
            self.without_text.append(attributes.get("src"))


def complaints(site):
    """Say what is wrong with the links and pictures of pages.

    Parameters
    ----------
    site : path
        Folder of the pages.

    Returns
    -------
    complaints : list of str
        One line for each link that leads nowhere, anchors included, for each picture without a text in place of it, and for each
        page of the reference that does not link to the source.
    """
    site = Path(site).resolve()
    paths = sorted(set(site.rglob("*.html")) - {site / name for name in TEMPLATES})
    pages = {path: Page(path) for path in paths}
    found = []
    for path, page in pages.items():
        found += [f"{path.relative_to(site)}: {picture} has no alt" for picture in page.without_text]
        if path.parent == site / "generated" and not any("_modules/" in link for link in page.links):
            found.append(f"{path.relative_to(site)}: no link to the source")
        for link in page.links:
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if parts.scheme or parts.netloc or target in {(site / name).resolve() for name in OUTSIDE}:
                continue
            if not target.exists():
                found.append(f"{path.relative_to(site)}: {link} does not exist")
            elif target in pages and parts.fragment and unquote(parts.fragment) not in pages[target].anchors:
                found.append(f"{path.relative_to(site)}: {link} has no such place")
    return found


if __name__ == "__main__":
    lines = complaints(sys.argv[1])
    for line in lines:
        print(line)
    sys.exit(bool(lines))
