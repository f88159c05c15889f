"""The entries of the rules of health checks, made from the table of the rules, as Markdown."""

from __future__ import annotations

import re
from typing import Any

from wa_phone_async.health.rules import RULES, Rule

PLACE = re.compile(r"<!-- the rules of: ([a-z ]+) -->")


def with_rules(page: str) -> str:
    """Return a page with the entries of each group in the place that names it."""
    return PLACE.sub(lambda place: "\n".join(map(entries_of, place[1].split())), page)


def entries_of(group: str) -> str:
    """Return the entries of a group."""
    return f"## {group}\n\n" + "\n".join(_entry(rule) for rule in RULES.values() if rule.group == group)


def _entry(rule: Rule[Any]) -> str:
    reads = ", ".join(f"`{name}`" for name in rule.needs)
    return (
        f"### {rule.code}\n\n"
        f"*{rule.severity}{f', reads {reads}' if reads else ''}.* {rule.meaning}\n\n"
        f"**What to do:** {rule.remedy}\n\n"
        f"Source: {rule.source}.\n"
    )
