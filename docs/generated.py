"""A Sphinx extension: it takes the command line's help, the rules of health checks and the docstrings from the package.

The docstrings are written for editors, which show Markdown: `code` in single backticks, and indented examples. Here
they become reStructuredText. What has a page in the reference becomes a link to that page, in docstrings and types.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar, get_origin, get_type_hints

import attrs
from docutils import nodes
from health_rules import with_rules
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.nodes import find_pending_xref_condition
from sphinx.util.typing import stringify_annotation

from wa_phone_async.cli.app import COMMANDS, HELP, load
from wa_phone_async.cli.app import app as command_line

PACKAGE: Final = "wa_phone_async"
HELP_GOES_HERE: Final = "<!-- the help of each command -->"
REFERENCE: Final = Path(__file__).with_name("reference.md").read_text(encoding="utf-8")
PAGES: Final = {
    name.rpartition(".")[2]: f"{PACKAGE}.{name}" for name in re.findall(r"^   ([\w.]+)$", REFERENCE, re.MULTILINE)
}
"""The names that have a page of their own, and where each is imported from."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect what is below."""
    for module in ("client", "session"):
        import_types(importlib.import_module(f"{PACKAGE}.{module}"))
    app.connect("source-read", insert_help)
    app.connect("source-read", insert_rules)
    app.connect("autodoc-process-docstring", convert_docstring)
    app.connect("autodoc-process-signature", write_signature)
    app.connect("autodoc-process-bases", leave_out_bases)
    app.connect("doctree-read", tidy)
    app.connect("doctree-read", link_code)
    app.connect("missing-reference", resolve_type)
    return {"parallel_read_safe": True}


def import_types(module: ModuleType) -> None:
    """Import what a module imports for type checkers alone. Without these types, a signature has no links."""
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    for block in (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
        exec(compile(ast.Module(block.body, []), str(module.__file__), "exec"), vars(module))  # noqa: S102 - our own code


def insert_help(_app: Sphinx, page: str, source: list[str]) -> None:
    """Put the help of every command in its place on the page of the command line."""
    if page == "command-line":
        texts = [f"## wa-phone\n\n{HELP}", *(help_of(name) for name, _ in COMMANDS)]
        source[0] = source[0].replace(HELP_GOES_HERE, "\n".join(texts))


def insert_rules(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Put the entry of each rule in its place."""
    source[0] = with_rules(source[0])


def help_of(command: str) -> str:
    """Return the help of a command as Markdown."""
    load([command])
    module = importlib.import_module(f"{PACKAGE}.cli.commands.{command}")
    usage, examples = module.USAGE, module.EXAMPLES
    text = command_line[command].generate_docs(heading_level=2)
    description = text.partition("```\n")[2]  # after the title, and the usage in the form of cyclopts
    return f"## wa-phone {command}\n\n```text\n{usage}\n```\n{description}\n**Examples**:\n\n```text\n{examples}```\n"


def convert_docstring(_app: Sphinx, what: str, name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """Turn a docstring into reStructuredText, with links."""
    text = docstring_under(name) if what == "data" else "\n".join(lines)
    text = re.sub(r"(?<!`)`([^`]+)`(\w*)", code_or_link, text)
    # An indented line after an empty one begins an example: Google's sections have no empty line.
    text = re.sub(r"(?m)^(\S.*)\n\n(?=    )", r"\1\n\n.. code-block:: python\n\n", text)
    # napoleon would take what stands before the first colon of an attribute's text for its type.
    lines[:] = GoogleDocstring(text, Config(), what="function" if what in {"attribute", "property"} else what).lines()


def docstring_under(constant: str) -> str:
    """Return the text under a constant or an alias, from the module that defines it."""
    package, _, name = constant.rpartition(".")
    value = getattr(importlib.import_module(package), name)
    for module in [module for module in sys.modules if module.startswith(PACKAGE)]:
        if vars(sys.modules[module]).get(name) is value:
            analyzer = ModuleAnalyzer.for_module(module)
            analyzer.analyze()
            if lines := analyzer.attr_docs.get(("", name)):
                return "\n".join(lines)
    return ""


def code_or_link(code: re.Match[str]) -> str:
    """Return a link to the page of a public name, or to its member; other code, and a mere word, as it is."""
    text, end = code[1], rf"\ {code[2]}" if code[2] else ""
    target = public_name(text)
    return f":py:obj:`{text} <{target}>`{end}" if target else f"``{text}``{end}"


def public_name(code: str) -> str:
    """Return the full name that a piece of code stands for. Empty where it is other code, or a mere word."""
    name, dot, member = code.removesuffix("()").partition(".")
    if name in PAGES and not (name.isalpha() and name.islower()) and (not dot or member.isidentifier()):
        return f"{PAGES[name]}{dot}{member}"
    return ""


def write_signature(
    _app: Sphinx, what: str, _name: str, obj: Any, _options: object, arguments: str | None, returns: str | None
) -> tuple[str, str | None] | None:
    """Name each keyword of `**settings`, and leave out the arguments of a class that you never make yourself."""
    if not arguments:
        return None
    if what in {"class", "exception"} and not attrs.has(obj) and "Args:" not in (obj.__doc__ or ""):
        return "", returns
    if unpacked := re.fullmatch(r"(.*)\*\*\w+: \S*Unpack\[~?([\w.]+)\.(\w+)\]\)", arguments):
        before, module, kind = unpacked.groups()
        types = get_type_hints(getattr(sys.modules[module], kind))
        keywords = [f"{name}: {stringify_annotation(type_, 'smart')} = ..." for name, type_ in types.items()]
        star = "" if "*, " in before else "*, "
        return f"{before}{star}{', '.join(keywords)})", returns
    return None


def leave_out_bases(_app: Sphinx, _name: str, _obj: object, _options: object, bases: list[Any]) -> None:
    """Show the bases of a class, but for the one that all classes have, and for those of ours that have no page."""
    bases[:] = [base for base in bases if base is not object and not _is_ours_without_page(get_origin(base) or base)]


def _is_ours_without_page(base: type) -> bool:
    return base.__module__.startswith(f"{PACKAGE}.") and base.__name__ not in PAGES


def tidy(_app: Sphinx, document: nodes.document) -> None:
    """Undo what Sphinx has no setting for.

    It links the type `type` to an attribute of that name, since Python's own types have no page here. It writes two
    hyphens after an argument. And it leaves "Bases:" where a class has none but `object`.
    """
    for reference in list(document.findall(pending_xref)):
        if reference["refdomain"] == "py" and hasattr(builtins, reference["reftarget"]):
            short = find_pending_xref_condition(reference, "resolved") or reference
            reference.replace_self(short.children)
    for text in list(document.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" \N{EN DASH} "))
        elif text.strip() == "Bases:" and text.parent.astext() == text:
            text.parent.parent.remove(text.parent)


def link_code(app: Sphinx, document: nodes.document) -> None:
    """Link each public name that a page shows as code, as docstrings do. A heading, or what is a link, stays."""
    for code in list(document.findall(nodes.literal)):
        is_history = app.env.docname == "changelog"  # it has names that are gone
        target = "" if is_history else public_name(code.astext())
        if target and not isinstance(code.parent, nodes.title | nodes.reference | pending_xref):
            link = pending_xref("", refdomain="py", reftype="obj", reftarget=target, refwarn=True)
            code.replace_self(link)
            link += code


def resolve_type(
    app: Sphinx, env: BuildEnvironment, reference: pending_xref, content: nodes.TextElement
) -> nodes.Node | None:
    """Link a type of the package to the name under which it is public. Other packages' types get no link."""
    target = reference["reftarget"]
    module, _, name = target.rpartition(".")
    if module.startswith(PACKAGE) and name in PAGES:
        domain = env.domains.python_domain
        return domain.resolve_xref(env, reference["refdoc"], app.builder, "obj", PAGES[name], reference, content)
    is_elsewhere = module.partition(".")[0] not in {"", PACKAGE}
    is_variable = module in sys.modules and isinstance(getattr(sys.modules[module], name, None), TypeVar)
    return content if is_elsewhere or is_variable else None
