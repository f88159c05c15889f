"""The plugin of the attacks: their size, their seed, and the table of their figures."""

import re

import pytest

ATTACKS = """
import pytest

@pytest.mark.parametrize("kind", ["one", "other"])
def test_nothing_is_left(attack, kind):
    for draw in attack.rounds(short=3, seconds=1):
        attack.count("points")
        attack.measure("MiB", 1 + (kind == "other"))

def test_it_says_where_it_fails(attack):
    for place in attack.points([4, 5, 6, 7], short=2):
        attack.count("places", 1000)
        assert place in (4, 5, 6) or attack.is_short

def test_without_figures():
    pass
"""


@pytest.fixture(autouse=True)
def _attacks(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ATTACKS)


def run(pytester: pytest.Pytester, *options: str) -> str:
    arguments = ("-p", "attack", "-p", "no:randomly", "-p", "no:xdist", "-p", "no:asyncio", *options)
    return str(pytester.runpytest(*arguments).stdout)


def test_the_short_form_counts_the_same_each_time(pytester: pytest.Pytester) -> None:
    first, second = (run(pytester, "--attack-seed", "7").partition("= attacks =")[2] for _ in range(2))
    assert "it says where it fails: 2,000 places\n" in first
    assert "nothing is left: 6 points, at most 2 MiB\n" in first
    assert "without figures" not in first
    assert first.partition("passed")[0] == second.partition("passed")[0]


def test_the_full_form_takes_all_points_and_the_time_of_its_rounds(pytester: pytest.Pytester) -> None:
    report = pytester.path / "figures.md"
    shown = run(pytester, "--attack-minutes", "0.5", "--attack-report", str(report))
    assert "point 7 with --attack-seed 15\n" in shown
    header, _, failed, held = report.read_text().splitlines()
    assert header == "| what held | figures |"
    assert failed.startswith("| FAILED: it says where it fails | ")
    points = re.fullmatch(r"\| nothing is left \| ([\d,]+) points, at most 2 MiB \|", held)
    assert points
    assert int(points[1].replace(",", "")) > 6
