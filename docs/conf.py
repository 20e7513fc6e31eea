"""How Sphinx builds the documentation site (`make docs`).

The source folder is the root of the repository, so that links between pages in different folders are the same here and
on a forge: CONTRIBUTING.md, the embedded model's card and the integrations' READMEs are pages like those in docs/.
"""

from sphinx.application import Sphinx

import fia

project = "Forget-It-All"
version = release = fia.__version__
root_doc = "docs/index"
include_patterns = ["docs/*.md", "CONTRIBUTING.md", "CHANGELOG.md", "src/fia/testbed/weights/README.md"]
include_patterns += ["integrations/*/README.md"]
exclude_patterns = [".*", "build", "dist", "runs"]  # not even looked into

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
default_role = "code"  # single backticks in docstrings, as in the pages
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
napoleon_use_ivar = True

html_theme = "furo"
html_title = "Forget-It-All"
html_copy_source = False
html_show_copyright = False
templates_path = ["templates"]
html_additional_pages = {"index": "redirect.html"}


def setup(app: Sphinx) -> None:
    """Keeps napoleon from taking "r2 in [0, 1]: the share ..." below a field for the field's type."""
    written: dict[str, list[str]] = {}

    def keep(_app: Sphinx, _what: str, name: str, _thing: object, _options: object, lines: list[str]) -> None:
        written[name] = list(lines)

    def put_back(_app: Sphinx, what: str, name: str, _thing: object, _options: object, lines: list[str]) -> None:
        if what == "attribute":
            lines[:] = written[name]

    app.connect("autodoc-process-docstring", keep, priority=400)
    app.connect("autodoc-process-docstring", put_back, priority=600)  # napoleon has 500
