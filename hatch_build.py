"""What hatchling does when it builds the package: the README of the archives links to the repository.

In a checkout, the README's links and its picture are relative, and work without network. A package index has nothing
that they could be relative to. So they, and the project's addresses, begin with that of the repository which builds
the archive: GitHub Actions says it, or the remote `origin` does. A wheel that is built from an archive takes it from
there. Where nobody knows an address, the README stays as it is.
"""

from __future__ import annotations

import os
import re
import subprocess
from email import message_from_string
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

PAGES = {"Documentation": "docs/index.md", "Changelog": "CHANGELOG.md", "Security": "SECURITY.md"}
REMOTE = re.compile(r"(?:https://|ssh://|)(?:[^@/]+@)?([\w.-]+\.\w+)[:/]([\w./-]+?)(?:\.git)?/?")
LINK = re.compile(r"(!?\[(?:[^][]|\[[^]]*\](?:\([^)]*\))?)*\])\((?![a-z]+:|#)([^)]+)\)")


class CustomMetadataHook(MetadataHookInterface):
    """Sets `readme` and `urls`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set both."""
        root = Path(self.root)
        home, text = find_home(root), (root / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": with_absolute_links(text, home)}
        metadata["urls"] = urls(home)


def find_home(root: Path) -> str | None:
    """Return the address of the repository that builds the archive, if it is known."""
    if name := os.environ.get("GITHUB_REPOSITORY"):
        return f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}"
    try:
        archive = message_from_string((root / "PKG-INFO").read_text(encoding="utf-8"))
        return next(url.split(", ")[1] for url in archive.get_all("Project-URL", []) if url.startswith("Repository, "))
    except (OSError, StopIteration):
        pass
    try:
        asked = ["git", "-C", str(root), "config", "--get", "remote.origin.url"]
        remote = subprocess.run(asked, capture_output=True, check=False, text=True).stdout.strip()  # noqa: S603 - ours
    except OSError:  # there is no git
        return None
    return home_of(remote)


def home_of(remote: str) -> str | None:
    """Return the address of a remote in a browser, without a token that it may have; `None` for a directory."""
    found = REMOTE.fullmatch(remote)
    return f"https://{found[1]}/{found[2]}" if found else None


def urls(home: str | None) -> dict[str, str]:
    """Return the addresses that an index shows beside the README."""
    if home is None:
        return {}
    pages = {name: f"{home}/blob/HEAD/{path}" for name, path in PAGES.items()}
    return {"Repository": home, "Issues": f"{home}/issues", **pages}


def with_absolute_links(text: str, home: str | None) -> str:
    """Return the README with the address of the repository before each relative link and picture."""
    if home is None:
        return text

    def absolute(link: re.Match[str]) -> str:
        label, target = link.groups()
        kind = "raw" if label.startswith("!") else "blob"
        return f"{LINK.sub(absolute, label)}({home}/{kind}/HEAD/{target})"

    return LINK.sub(absolute, text)
