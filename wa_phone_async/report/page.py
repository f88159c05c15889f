"""The page of a health report, which loads nothing and works without network.

All that comes from the API is text: it is escaped, isolated from the direction of its neighbours, and has no control
characters. A content security policy lets the browser run and apply nothing but the script and the style of this
package, and load nothing at all.

The tables are in the page as JSON, and the script shows a part of them at a time. Without the script, the page shows
the first rows.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from wa_phone_async.health.findings import Finding, Severity
from wa_phone_async.health.report import HealthReport, ReportedAccount
from wa_phone_async.health.rules import RULES

from .tables import (
    NO_VALUE,
    NOTHING,
    TONES,
    Column,
    Table,
    by_count,
    grouped,
    remedy_of,
    tables_of,
    text,
    without_marks,
)

_SHARES: Final[Mapping[str, float]] = {"findings": 0.2, "changes": 0.15, "accounts": 0.2, "names": 0.05}
"""The share of the bytes that a table may take. The numbers get what is left."""
_ROWS_WITHOUT_SCRIPT: Final = 25
_BARS: Final = 8
_FOOT: Final = (
    "This page loads nothing. It works offline, and you can mail it as it is. Severities are those of wa_phone_async, "
    "and not Meta's."
)
_WIDE: Final = frozenset({"What is wrong", "What to do"})


def page_of(report: HealthReport, title: str | None, most: int) -> str:
    """Return the page of a report, with rows of so many bytes at most."""
    style, script = _file("page.css"), _file("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    heading = text(title or "WhatsApp phone numbers")
    tables, data = _fitting(tables_of(report), most)
    sections = {table.key: _section(table) for table in tables}
    names = {table.key: table.title for table in tables}
    links = {"summary": "Summary", "checks": "What to do", **names}
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{escape(heading)}</title>",
            f"<style>{style}</style>\n</head>\n<body>",
            '<a class="skip" href="#summary">Skip to the summary</a>',
            f"<header><h1><bdi>{escape(heading)}</bdi></h1>{_lead(report)}{_facts(report)}</header>",
            f'<nav aria-label="Parts of the report"><ul>{"".join(map(_nav_link, links.items()))}</ul></nav>',
            "<main>",
            f'<section id="summary" tabindex="-1"><h2>Summary</h2>{_tiles(report)}{_charts(report)}</section>',
            f'<section id="checks" tabindex="-1"><h2>What to do</h2>{_checks(report)}</section>',
            *sections.values(),
            "</main>",
            f"<footer><p>{_FOOT}</p></footer>",
            f'<script type="application/json" id="data">{data}</script>',
            f"<script>{script}</script>\n</body>\n</html>\n",
        )
    )


@cache
def _file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"sha256-{b64encode(sha256(content.encode()).digest()).decode()}"


def _fitting(tables: Iterable[Table], most: int) -> tuple[list[Table], str]:
    """Return the tables with the rows that fit, and the JSON of them."""
    kept, left = list[Table](), most
    parts = list[str]()
    for table in tables:
        columns = [
            {"name": column.name, "kind": column.kind, "class": _class(column)}
            | ({} if column.values is None else {"values": column.values})
            for column in table.columns
        ]
        members = {"key": table.key, "title": table.title, "prefix": table.prefix, "columns": columns}
        head = _to_json(members)
        rows, used = list[str](), len(head.encode())
        share = int(most * _SHARES.get(table.key, 1))
        for row in table.rows:
            encoded = _to_json(row)
            used += len(encoded.encode()) + 1
            if used > min(share, left):
                break
            rows.append(encoded)
        left -= used
        kept.append(table.with_rows(len(rows)))
        parts.append(f'{head[:-1]},"rows":[{",".join(rows)}]}}')
    return kept, f"[{','.join(parts)}]"


def _to_json(value: Any) -> str:
    """JSON that ends no script: no `<` is in it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _lead(report: HealthReport) -> str:
    """Say in a sentence how bad it is."""
    by_severity = report.totals.by_severity
    errors, warnings = by_severity.get(Severity.ERROR, 0), by_severity.get(Severity.WARNING, 0)
    if errors:
        said = f"{_mark('bad', 'Somebody has to act')}: {_counted(errors, 'error')}"
        said += f" and {_counted(warnings, 'warning')}" if warnings else ""
    elif warnings:
        said = f"{_mark('weak', 'Worth a look')}: {_counted(warnings, 'warning')}, and no error"
    else:
        said = f"{_mark('good', 'All is well')}: no error and no warning"
    of = f"{_counted(report.numbers, 'number')} of {_counted(report.accounts, 'account')}"
    return f'<p class="lead">{said}, in {of}.</p>'


def _mark(tone: str, shown: str) -> str:
    return f'<span class="mark {tone}">{escape(shown)}</span>'


def _counted(count: int, noun: str) -> str:
    return (
        f"{count:,} {noun}" if count == 1 else f"{count:,} {noun.removesuffix('y')}{'ies' if noun[-1] == 'y' else 's'}"
    )


def _facts(report: HealthReport) -> str:
    facts = {
        "Made": _time(report.made_at),
        "From": _isolated(report.source or "a list of numbers") + _written(report.source_time),
    }
    if report.changes is not None:
        facts["Compared with"] = _isolated(report.changes.since) + _written(report.changes.since_time)
    calls = f"{_counted(report.calls, 'call')} of Meta's API" if report.calls else "no call of Meta's API"
    facts["By"] = f"wa_phone_async {escape(text(report.version))}, with {calls}"
    return f'<dl class="facts">{"".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())}</dl>'


def _written(time: datetime | None) -> str:
    return "" if time is None else f", written {_time(time)}"


def _time(time: datetime) -> str:
    aware = time if time.tzinfo is not None else time.astimezone()
    iso = aware.isoformat(sep=" ", timespec="minutes")
    return f'<time datetime="{aware.isoformat()}">{iso[:16]} UTC{iso[16:].removeprefix("+00:00")}</time>'


def _isolated(value: object) -> str:
    return f"<bdi>{escape(text(value))}</bdi>"


def _nav_link(item: tuple[str, str]) -> str:
    return f'<li><a href="#{item[0]}">{_isolated(item[1])}</a></li>'


def _tiles(report: HealthReport) -> str:
    by_severity, overview = report.totals.by_severity, report.overview
    failed = sum(account.error is not None for account in overview.accounts)
    used = [account.usage for account in overview.accounts if account.usage is not None]
    quota = max((usage.percent for usage in used), default=None)
    tiles: list[tuple[str, object, str]] = [
        ("Numbers", f"{report.numbers:,}", ""),
        ("Accounts", f"{report.accounts:,}", f"{failed:,} could not be listed" if failed else ""),
        ("Errors", f"{by_severity.get(Severity.ERROR, 0):,}", "somebody has to act"),
        ("Warnings", f"{by_severity.get(Severity.WARNING, 0):,}", "works within limits, or may stop"),
        ("Infos", f"{by_severity.get(Severity.INFO, 0):,}", "good to know"),
        ("Names in review", f"{overview.names_in_review:,}", ""),
        (
            "Quota used",
            NOTHING if quota is None else f"{quota:g} %",
            "not recorded" if quota is None else "of the account that uses most",
        ),
    ]
    if overview.app_usage is not None:
        tiles.append(("Quota of the app", f"{overview.app_usage.percent:g} %", "used"))
    if report.changes is not None:
        summary = report.changes.summary
        more = f"{summary.came:,} new, {summary.gone:,} gone, {summary.moved:,} moved"
        tiles.append(("Changed numbers", f"{summary.changed + summary.came + summary.gone:,}", more))
        if summary.not_compared:
            tiles.append(("Not compared", f"{summary.not_compared:,}", "accounts that could not be listed"))
    shown = (
        f"<div><dt>{name}</dt><dd>{value}{f'<small>{more}</small>' if more else ''}</dd></div>"
        for name, value, more in tiles
    )
    return f'<dl class="tiles">{"".join(shown)}</dl>'


def _charts(report: HealthReport) -> str:
    overview = report.overview
    panels = [
        _bars("Quality", overview.quality),
        _bars("Status", overview.status),
        _bars("Messaging limit", overview.limits),
        _worst_accounts(overview.accounts),
    ]
    # The stripes of what is weak or bad: a colour alone says nothing to those who cannot see it.
    stripes = (
        '<svg width="0" height="0" aria-hidden="true"><defs>'
        '<pattern id="stripes-weak" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<line class="stroke" x1="0" y1="0" x2="0" y2="6" stroke-width="2"/></pattern>'
        '<pattern id="stripes-bad" width="5" height="5" patternUnits="userSpaceOnUse">'
        '<path class="stroke" d="M0 0L5 5M5 0L0 5" stroke-width="1"/></pattern></defs></svg>'
    )
    return f'{stripes}<div class="panels">{"".join(panels)}</div>'


def _bars(caption: str, counts: Mapping[str, int]) -> str:
    """A chart of how often each value occurs, as a table whose middle column is drawn."""
    total = sum(counts.values())
    rows = [(text(value or NO_VALUE, most=60), TONES.get(value, ""), count) for value, count in by_count(counts)]
    if len(rows) > _BARS:
        others = rows[_BARS - 1 :]
        rows = [*rows[: _BARS - 1], (f"{len(others):,} others", "", sum(count for _, _, count in others))]
    lines = (
        _bar(f"<bdi>{escape(name)}</bdi>", [(tone, count)], total, f"{count:,} ({_share(count, total)})")
        for name, tone, count in rows
    )
    return _panel(caption, lines)


def _share(count: int, total: int) -> str:
    """A part in percent. What is there is never 0 %."""
    rounded = f"{100 * count / total:.0f}"
    return "< 1 %" if rounded == "0" else f"{rounded} %"


def _worst_accounts(accounts: Sequence[ReportedAccount]) -> str:
    """A chart of the accounts with the most errors and warnings."""

    def found(account: ReportedAccount) -> tuple[int, int]:
        return account.findings.get(Severity.ERROR, 0), account.findings.get(Severity.WARNING, 0)

    worst = [account for account in sorted(accounts, key=found, reverse=True) if any(found(account))][:_BARS]
    longest = max((sum(found(account)) for account in worst), default=0)
    lines = list[str]()
    for account in worst:
        errors, warnings = found(account)
        waba_id = text(account.waba_id)
        name = text(account.name or account.waba_id or "unknown", most=60)
        label = f'<a href="#{quote(f"account-{waba_id}")}"><bdi>{escape(name)}</bdi></a>'
        lines.append(_bar(label, [("bad", errors), ("weak", warnings)], longest, f"{errors:,} and {warnings:,}"))
    return _panel("Accounts with most errors and warnings", lines)


def _panel(caption: str, lines: Iterable[str]) -> str:
    rows = "".join(lines) or "<tr><td>None.</td></tr>"
    return f'<div class="panel"><table class="bars"><caption>{caption}</caption><tbody>{rows}</tbody></table></div>'


def _bar(label: str, parts: Iterable[tuple[str, int]], total: int, said: str) -> str:
    """A line of a chart. Its parts stand side by side; what is weak or bad has stripes."""
    drawn, begin = ['<rect class="ground" width="100%" height="12" rx="2"/>'], 0.0
    for tone, count in parts:
        width = 100 * count / total
        place = f'x="{begin:.2f}%" width="{width:.2f}%" height="12"'
        drawn.append(f'<rect class="{tone or "plain"}" {place}/>')
        if tone in {"weak", "bad"}:
            drawn.append(f'<rect fill="url(#stripes-{tone})" {place}/>')
        begin += width
    return (
        f'<tr><th scope="row">{label}</th><td><svg width="100%" height="12" aria-hidden="true">{"".join(drawn)}</svg>'
        f"</td><td>{escape(said)}</td></tr>"
    )


def _checks(report: HealthReport) -> str:
    """What was found, by the code of the check, with what to do."""
    found = grouped(report.findings)
    counts = {code: report.totals.by_code.get(code, len(findings)) for code, findings in found.items()}
    items = [_check(findings[0].severity, code, findings, counts[code]) for code, findings in found.items()]
    # The findings of these codes had no place in the report. The rules say what they are.
    items += [
        _check(RULES[code].severity, code, (), count)
        for code, count in report.totals.by_code.items()
        if code not in counts and code in RULES
    ]
    said = f'<ul class="checks">{"".join(items)}</ul>' if items else "<p>Nothing was found.</p>"
    if report.not_checked:
        missing = ", ".join(f"{escape(code)} ({count:,})" for code, count in report.not_checked.items())
        said += f'<p class="rest">Not checked, since the fields did not come: {missing}.</p>'
    return said


def _check(severity: Severity, code: str, findings: Sequence[Finding], count: int) -> str:
    remedies = list(dict.fromkeys(map(remedy_of, findings))) or [without_marks(RULES[code].remedy)]
    others = f" The table has {_counted(len(remedies) - 1, 'other remedy')}." if len(remedies) > 1 else ""
    find = f'<a href="#findings" data-table="findings" data-find="{escape(code)}">{escape(code)}</a>'
    example = f'<p class="soft">For example: {_isolated(findings[0].sentence)}</p>' if findings and count > 1 else ""
    counts = _counted(count, "finding")
    if len(findings) == count:
        counts += f", {_counted(sum(finding.numbers for finding in findings), 'number')}"
    return (
        f"<li>{_mark(TONES.get(severity.value, ''), severity.value)}"
        f"<div><h3>{_isolated(_heading(code, findings, count))}</h3>{example}"
        f"<p><strong>What to do:</strong> {_isolated(remedies[0])}{others}</p></div>"
        f'<p class="soft">{counts}<br>{find}</p></li>'
    )


def _heading(code: str, findings: Sequence[Finding], count: int) -> str:
    """What is wrong: of one finding its own sentence, and of several ones what they have in common."""
    if findings and (count == 1 or code not in RULES):
        return findings[0].sentence.rstrip(".")
    kind = findings[0].subject.kind if findings else "number"
    common = RULES[code].sentence.format(it=f"{'an' if kind[0] == 'a' else 'a'} {kind}")
    return common[:1].upper() + common[1:]


def _section(table: Table) -> str:
    """A table with its first rows. The script adds the others, and what sorts and searches."""
    shown = table.rows[:_ROWS_WITHOUT_SCRIPT]
    said = f"Rows 1 to {len(shown):,} of {len(table.rows):,}"
    begin = f'<section id="{table.key}" tabindex="-1"><h2 id="{table.key}-title">{_isolated(table.title)}</h2>'
    if not shown:
        return f"{begin}<p>{table.empty}</p></section>"
    heads = "".join(
        f'<th role="columnheader" scope="col" class="{_class(column)}">{column.name}</th>' for column in table.columns
    )
    rest = ""
    if len(table.rows) < table.total:
        rest = f'<p class="rest">{len(table.rows):,} of {table.total:,} have a row. {table.rest}</p>'
    return (
        f'{begin}{rest}<p class="range">{said}</p>'
        f'<div class="scroll" role="region" aria-labelledby="{table.key}-title" tabindex="0">'
        f'<table class="rows" role="table" aria-labelledby="{table.key}-title">'
        f'<thead role="rowgroup" class="bare"><tr role="row">{heads}</tr></thead>'
        f'<tbody role="rowgroup">{"".join(_row(table, row) for row in shown)}</tbody></table></div></section>'
    )


def _row(table: Table, row: Sequence[Any]) -> str:
    cells = "".join(_cell(table, row, place) for place in range(len(table.columns)))
    name = f' id="{escape(f"{table.prefix}-{row[0]}")}" tabindex="-1"' if table.prefix else ""
    return f'<tr role="row"{name}>{cells}</tr>'


def _cell(table: Table, row: Sequence[Any], place: int) -> str:
    column, value = table.columns[place], table.cell(row, place)
    match column.kind:
        case "count":
            shown = f"{value:,}"
        case "mark":
            shown = f'<span class="mark {value[1]}"><bdi>{escape(value[0])}</bdi></span>'
        case "link":
            shown = f'<a href="#{quote(value[1])}"><bdi>{escape(value[0])}</bdi></a>'
        case "own":
            key = "" if value == row[0] else f"<small><bdi>{escape(row[0])}</bdi></small>"
            shown = f'<a href="#{quote(f"{table.prefix}-{row[0]}")}"><bdi>{escape(value)}</bdi></a>{key}'
        case _:
            shown = f"<bdi>{escape(value)}</bdi>"
    return f'<td role="cell" class="{_class(column)}" data-name="{column.name}"><span>{shown}</span></td>'


def _class(column: Column) -> str:
    return f"of-{column.kind} wide" if column.name in _WIDE else f"of-{column.kind}"
