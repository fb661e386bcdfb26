"""Put the built pages beside those of other versions: `python docs/publish.py FOLDER`."""

import json
import re
import shutil
import sys
from pathlib import Path

FRONT = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>sklearn_cnn</title><meta http-equiv="refresh" content="0; url={0}/index.html"></head>
<body><a href="{0}/index.html">sklearn_cnn {0}</a></body>
</html>
"""


def publish(built, site):
    """Copy built pages into a folder of their version, and name all versions to the menus of all pages.

    Parameters
    ----------
    built : path
        What Sphinx has built. The version stands in its list of names, `objects.inv`.
    site : path
        Folder with one folder for each version. Pages of the same version are replaced. `versions.js` in it lists the versions,
        newest first, and `index.html` leads to the newest.

    Returns
    -------
    versions : list of str
        All that are there now.
    """
    built, site = Path(built), Path(site)
    version = re.search(rb"^# Version: (\S+)", (built / "objects.inv").read_bytes(), re.MULTILINE).group(1).decode()
    if (site / version).exists():
        shutil.rmtree(site / version)
    shutil.copytree(built, site / version)
    versions = [path.parent.name for path in site.glob("*/objects.inv")]
    versions.sort(key=lambda name: [int(number) for number in re.findall(r"\d+", name)], reverse=True)
    (site / "versions.js").write_text(f"window.publishedVersions = {json.dumps(versions)};\n", encoding="utf-8")
    (site / "index.html").write_text(FRONT.format(versions[0]), encoding="utf-8")
    return versions


if __name__ == "__main__":
    print(*publish(Path(__file__).parent / "_build" / "html", sys.argv[1]))
