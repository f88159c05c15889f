"""How Sphinx builds the manual. `nox -s docs` runs it, without network."""

import sys
from pathlib import Path

from wa_phone_async import __version__

sys.path.insert(0, str(Path(__file__).parent))

project = "wa_phone_async"
author = "The wa_phone_async maintainers"
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "generated"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
smartquotes = False  # an option begins with two hyphens

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": True}
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 60  # a longer signature has a line for each parameter

toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = project
html_copy_source = False
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["manual.css"]
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
pygments_style, pygments_dark_style = "tango", "github-dark"

# Where a class inherits from one in another module, Sphinx reads the types of its fields as mere text.
nitpick_ignore = [("py:class", "datetime")]
