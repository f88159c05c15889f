"""The picture of the results: SVG written by hand, readable on light and on dark.

Above, how many numbers each subject lists in a second of its processor's time; bars begin at zero. Below, the rows of
the table, each ratio as a part of its goal, with its quartiles: what is left of the line has reached it.
"""

from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from paired import Row, digits

WIDTH, MARGIN = 880, 24
LABELS, BARS = 190, 560
"""How wide the names and the longest bar are, in the upper part."""
WORK, AXIS = 500, 280
"""How wide the names and the axis are, in the lower part."""
STEP, LINE = 26, 22
MOST = 2.0
"""The goals that fit on the axis; what is beyond stands at its end."""
STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
.paper { fill: #ffffff }
.title { font-weight: 600; font-size: 15px }
.quiet { fill: #59636e }
.ours { fill: #0969da }
.other { fill: #afb8c1 }
.line { stroke: #d1d9e0; stroke-width: 1 }
.goal { stroke: #59636e; stroke-width: 1.5; stroke-dasharray: 4 3 }
.spread { stroke: #0969da; stroke-width: 2 }
.missed { stroke: #bc4c00; stroke-width: 2 }
.open { fill: #ffffff; stroke: #bc4c00; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.paper { fill: #0d1117 }
.quiet { fill: #9198a1 }
.ours { fill: #4493f8 }
.other { fill: #656c76 }
.line { stroke: #3d444d }
.goal { stroke: #9198a1 }
.spread { stroke: #4493f8 }
.missed { stroke: #f0883e }
.open { fill: #0d1117; stroke: #f0883e }
}"""


def draw(speeds: Mapping[str, Mapping[str, float]], rows: Sequence[Row], ours: Sequence[str], footer: str) -> str:
    """The picture.

    Args:
        speeds: By the title of a group of bars, what each subject gets done.
        rows: The table.
        ours: The subjects that are this package.
        footer: The conditions, in a line or a few.
    """
    shapes, top = list[str](), 30
    most = max((speed for group in speeds.values() for speed in group.values()), default=1.0)
    for title, group in speeds.items():
        shapes += bars(title, group, ours, most, top)
        top += 34 + STEP * len(group)
    shapes += dots(rows, top)
    top += 62 + LINE * len(rows)
    for line in footer.splitlines():
        shapes.append(text(MARGIN, top, line, "quiet"))
        top += 18
    return svg(shapes, top)


def svg(shapes: Sequence[str], height: float) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
    paper = f'<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>'
    title = "<title>What wa_phone_async costs beside loops by hand and other libraries</title>"
    return "\n".join((f'{head}role="img">', title, f"<style>{STYLE}\n</style>", paper, *shapes, "</svg>\n"))


def bars(title: str, group: Mapping[str, float], ours: Sequence[str], most: float, top: float) -> Iterator[str]:
    yield text(MARGIN, top, f"Phone numbers a second of processor time: {title}", "title")
    for place, (name, speed) in enumerate(group.items()):
        y = top + 12 + STEP * place
        length = max(1.0, BARS * speed / most)
        yield text(MARGIN + LABELS - 8, y + 14, name, anchor="end")
        kind = "ours" if name in ours else "other"
        yield f'<rect class="{kind}" x="{MARGIN + LABELS}" y="{y}" width="{length:.1f}" height="18" rx="2"/>'
        yield text(MARGIN + LABELS + length + 6, y + 14, f"{speed:,.0f}", "quiet")


def dots(rows: Sequence[Row], top: float) -> Iterator[str]:
    left, right, bottom = MARGIN + WORK, MARGIN + WORK + AXIS, top + 34 + LINE * len(rows)
    yield text(MARGIN, top, "Ratios, as parts of their goals: what is left of the line is reached", "title")
    for part in (0.0, 0.5, 1.0, 1.5, MOST):
        x, kind = place_of(part), "goal" if part == 1 else "line"
        yield f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top + 26}" y2="{bottom}"/>'
        yield text(x, top + 21, "goal" if part == 1 else f"{part:g}", "quiet", "middle")
    for place, row in enumerate(rows):
        y = top + 42 + LINE * place
        yield text(left - 10, y + 4, f"{row.work} / {row.against}".replace("`", ""), anchor="end")
        yield from dot(row, y)
        yield text(right + 8, y + 4, digits(row.ratio.middle), "quiet")


def dot(row: Row, y: float) -> Iterator[str]:
    low, middle, high = (place_of(part / row.goal) for part in (row.ratio.low, row.ratio.middle, row.ratio.high))
    spread, mark = ("spread", "ours") if row.is_reached else ("missed", "open")
    yield f'<line class="{spread}" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>'
    yield f'<circle class="{mark}" cx="{middle:.1f}" cy="{y}" r="4.5"/>'


def place_of(part: float) -> float:
    """Where on the axis a part of the goal is."""
    return MARGIN + WORK + AXIS * min(part, MOST) / MOST


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(content)}</text>'
