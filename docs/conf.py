"""How Sphinx builds the documentation: `make docs`."""

import inspect
import os
import re
import sys
from pathlib import Path

os.environ["MPLBACKEND"] = "agg"  # figures are written to files; nobody has to have a screen
sys.path.append(str(Path(__file__).parent))  # drawing.py, for the figures of the guide, and what is imported below

from addresses import address_in_repository, icon_links, inventories, project_urls
from notebooks import WITHOUT_CODE, write_notebooks
from sphinx.pycode import ModuleAnalyzer
from standalone import write_standalone

import sklearn_cnn

project = "sklearn_cnn"
author = copyright = "sklearn_cnn developers"
version = release = sklearn_cnn.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # formulas are drawn without asking another server
    "matplotlib.sphinxext.plot_directive",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "auto_examples/*.ipynb", "auto_examples/*.py", "**sg_execution_times.rst"]
templates_path = ["_templates"]
default_role = "literal"
highlight_language = "python"

# Reference: one page per public object, made from its docstring.
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_attributes_as_param_list = True
autodoc_typehints = "none"  # the lists of parameters say what is taken, in words
toc_object_entries_show_parents = "hide"

# Copied are the commands, without prompts and answers.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


URLS = project_urls()

# Names of other packages are links where a list of them can be had; elsewhere they stay words, which is no fault of the pages.
intersphinx_mapping = inventories()

# Figures of the guide: drawn by the library while the page is built.
plot_include_source = False
plot_html_show_source_link = False
plot_html_show_formats = False
plot_formats = [("png", 130)]
plot_rcparams = {"figure.constrained_layout.use": True, "savefig.bbox": "tight"}
plot_apply_rcparams = True

# Gallery: every plot_*.py in examples/ is run, as it is downloaded; one that fails fails the build. Others are shown, and run by
# the tests.
write_standalone(Path(__file__).parent.parent / "examples", Path(__file__).parent / "_build" / "examples")
sphinx_gallery_conf = {
    "examples_dirs": "_build/examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "within_subsection_order": "gallery_order.TeachingOrder",
    "reset_modules": ("matplotlib", "gallery_order.forget_memory"),
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "show_memory": False,
    "download_all_examples": False,
    "doc_module": ("sklearn_cnn",),  # "examples using" on the pages of the reference
    "backreferences_dir": "generated/backreferences",
    "min_reported_time": 1e9,
    "plot_gallery": True,
    "parallel": os.cpu_count() or 1,  # examples at a time, each with its share of the processors
}

# Pages of the guide, to be downloaded as notebooks.
write_notebooks(Path(__file__).parent / "guide", Path(__file__).parent / "_build" / "notebooks" / "guide")
html_extra_path = ["_build/notebooks"]

html_theme = "pydata_sphinx_theme"
html_title = f"sklearn_cnn {version}"
html_logo = html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "sklearn_cnn"},
    "navbar_start": ["navbar-logo", "versions"],
    "icon_links": icon_links(URLS),
    "show_prev_next": True,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": [], "auto_examples/index": []},
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "article_footer_items": ["repository"],
}
# No pages are below these.
html_sidebars = {page: [] for page in ("index", "installation", "user_guide", "onnx", "versions", "performance")}


def setup(app):
    """Register what follows."""
    app.connect("autodoc-process-docstring", keep_words_of_foreign_links, priority=100)
    app.connect("autodoc-process-docstring", keep_initials_of_authors, priority=100)
    app.connect("autodoc-process-docstring", keep_headings_of_modules_small)
    app.connect("viewcode-follow-imported", module_of_class)
    app.connect("viewcode-find-source", source_with_inherited)
    app.connect("source-read", offer_notebook)
    app.connect("html-page-context", link_to_repository)


def module_of_class(app, modname, attribute):
    """Classes name their public module; their source is in the module that their methods are written in."""
    public = getattr(sys.modules.get(modname), attribute, None)
    members = vars(public).values() if inspect.isclass(public) else ()
    return next((member.__module__ for member in members if inspect.isfunction(member)), None)


def source_with_inherited(app, modname):
    """Methods that an estimator inherits are looked for under the name of the estimator."""
    if not modname.startswith("sklearn_cnn"):
        return None
    analyzer = ModuleAnalyzer.for_module(modname)
    analyzer.find_tags()
    tags = dict(analyzer.tags)
    for estimator in (sklearn_cnn.ConvNetClassifier, sklearn_cnn.ConvNetRegressor):
        for parent in estimator.__mro__:
            names = [name for name in vars(parent) if f"{parent.__name__}.{name}" in analyzer.tags]
            tags |= {f"{estimator.__name__}.{name}": analyzer.tags[f"{parent.__name__}.{name}"] for name in names}
    return analyzer.code, tags


def link_to_repository(app, pagename, templatename, context, doctree):
    """Every page that is made of a file ends with a link to it, once the repository has an address."""
    context["address_in_repository"] = address_in_repository(pagename, URLS)


def offer_notebook(app, docname, source):
    """A page of the guide ends with a link to itself as a notebook."""
    folder, _, name = docname.rpartition("/")
    if folder == "guide" and name not in WITHOUT_CODE:
        link = f'<p><a href="{name}.ipynb" download>Download this page as a notebook</a></p>'
        source[0] += f"\n.. raw:: html\n\n   {link}\n"


def keep_words_of_foreign_links(app, what, name, obj, options, lines):
    """Methods inherited from scikit-learn link to pages of its own documentation; here their words are enough."""
    lines[:] = [re.sub(r":(?:ref|term):`([^`<]+?)(?: <[^>]*>)?`", r"\1", line) for line in lines]


def keep_initials_of_authors(app, what, name, obj, options, lines):
    """A reference that begins with an initial would be the first entry of a list with letters for numbers."""
    lines[:] = [re.sub(r"^(\s*(?:\.\. \[\d+\] )?)(?=[A-Z]\. [A-Z])", r"\1\\", line) for line in lines]


def keep_headings_of_modules_small(app, what, name, obj, options, lines):
    """A section inside a module's docstring would end the section of the page that the module is described in."""
    if what == "module":
        text = re.sub(r"^(\w[\w ]*)\n-+$", r".. rubric:: \1\n", "\n".join(lines), flags=re.MULTILINE)
        lines[:] = text.split("\n")
