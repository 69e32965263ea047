"""The dashboard and the report in a real browser: what a reader sees, clicks and keeps."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from archfront.report import write_report
from archfront.study import open_study
from tests.dashboard.conftest import HOSTILE, REPOSITORY
from tests.dashboard.example_study import write_study

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PLOT = "document.querySelector('#front .js-plotly-plot')"
PIXEL = f"""([trace, point]) => {{
  const plot = {PLOT}, box = plot.getBoundingClientRect(), layout = plot._fullLayout, data = plot._fullData[trace];
  const x = layout._size.l + layout.xaxis.d2p(data.x[point]), y = layout._size.t + layout.yaxis.d2p(data.y[point]);
  return [box.left + x, box.top + y];
}}"""
FRONT = 2  # the place of the front among the figure's traces


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


class Visit:
    """A page, and what went wrong on it: errors on its console, failed requests, requests to elsewhere."""

    def __init__(self, browser: Any, address: str) -> None:
        self.wrong: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(viewport={"width": 1280, "height": 1000})
        self.page.set_default_timeout(60_000)
        self.page.on("console", lambda m: self.wrong.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)

    def click_point(self, trace: int, point: int) -> int:
        """Click a drawn point; gives the number of the candidate that Plotly took it for."""
        self.page.evaluate(f"() => {{ {PLOT}.on('plotly_click', e => window.clicked = e.points[0].customdata); }}")

        def hover() -> None:
            x, y = self.page.evaluate(PIXEL, [trace, point])
            self.page.mouse.move(x - 4, y - 4)
            self.page.mouse.move(x, y, steps=3)

        self.until(hover, "() => document.querySelector('#front .hovertext')")
        self.page.wait_for_timeout(300)  # Plotly clicks what it last saw hovered, and looks only so often
        x, y = self.page.evaluate(PIXEL, [trace, point])
        self.page.mouse.click(x, y)
        return int(self.page.wait_for_function("() => window.clicked").json_value())

    def until(self, gesture: Callable[[], None], holds: str, tries: int = 10) -> None:
        """Repeat what the mouse does until the page has taken it in: a refresh may come in between."""
        for _ in range(tries):
            gesture()
            with contextlib.suppress(playwright.TimeoutError):
                self.page.wait_for_function(holds, timeout=5000)
                return
        raise AssertionError(f"the page never came to {holds}")

    def drawn(self) -> None:
        """Wait until the front stands."""
        self.page.wait_for_function(f"() => {PLOT}?._fullData?.length > 2")

    def evaluations(self) -> int:
        """The count that the first tile shows."""
        return int(self.page.text_content("#tiles .tile b").replace(",", ""))

    def ranges(self) -> list[list[float]]:
        """The ranges of the front's axes."""
        script = f"() => [{PLOT}._fullLayout.xaxis.range, {PLOT}._fullLayout.yaxis.range]"
        return [[float(end) for end in axis] for axis in self.page.evaluate(script)]


def test_from_the_list_to_a_candidate_s_architecture(browser: Any, served: str) -> None:
    visit = Visit(browser, served)
    visit.page.click("a:text-is('digits')")
    visit.drawn()
    number = visit.click_point(FRONT, 1)
    visit.page.wait_for_selector(f"h2:text-is('Candidate {number}')")
    assert "staged" in visit.page.text_content("#architecture")
    assert visit.page.is_visible("#architecture summary:has-text('network')")
    assert "onnxruntime 1.23.2 · float32 · 1 thread · batch 1" in visit.page.text_content("#candidate .metrics")
    assert visit.page.url == f"{served}/study/digits/candidate/{number}"
    assert not visit.wrong
    assert all(request.startswith((served, "data:", "blob:")) for request in visit.requests)


def test_a_deep_link_a_tree_and_the_parent(browser: Any, served: str) -> None:
    visit = Visit(browser, f"{served}/study/digits/candidate/2")
    visit.page.wait_for_selector("h2:text-is('Candidate 2')")
    leaf = "#architecture :text('conv3x3')"
    assert visit.page.is_visible(leaf)
    visit.page.click("text=Download export")
    visit.page.click("#architecture > details > summary")
    visit.page.wait_for_selector(leaf, state="hidden")
    # Its weights aren't there: the server's line says so, and the button works again.
    visit.page.wait_for_selector("#export-state:has-text('not exported: ')")
    assert visit.page.is_enabled("#export")
    visit.wrong = [line for line in visit.wrong if "409" not in line]
    visit.page.click("a:text-is('candidate 1')")
    visit.page.wait_for_selector("h2:text-is('Candidate 1')")
    assert not visit.wrong


def test_other_axes_and_the_table(browser: Any, served: str) -> None:
    visit = Visit(browser, f"{served}/study/digits")
    visit.drawn()
    before = visit.ranges()
    visit.page.click("text=clip outliers")
    visit.page.wait_for_function(f"end => {PLOT}._fullLayout.xaxis.range[1] > 3 * end", arg=before[0][1])
    visit.page.click("text=the newest 1,000 evaluations")
    visit.page.click(".ag-row >> text=diverged")
    visit.page.wait_for_selector("#candidate :text('loss is nan at step')")
    assert not visit.wrong


def test_zoom_and_choice_survive_a_running_search(browser: Any, served: str, url: str) -> None:
    write_study(url, 30, "live")
    program = [sys.executable, "-m", "tests.dashboard.example_study", url, "400", "live", "0.02"]
    with subprocess.Popen(program, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as search:
        visit = Visit(browser, f"{served}/study/live")
        visit.page.wait_for_selector("#state:has-text('running')")
        visit.drawn()
        number = visit.click_point(FRONT, 0)
        visit.page.wait_for_selector(f"h2:text-is('Candidate {number}')")
        visit.page.click("#architecture > details > summary")  # closed, and to stay so
        whole = visit.ranges()

        def drag() -> None:
            # Within the axes, wherever the points are by now.
            box = visit.page.locator("#front .js-plotly-plot .nsewdrag").first.bounding_box()
            assert box is not None
            visit.page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
            visit.page.mouse.down()
            visit.page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.7 * box["height"], steps=5)
            visit.page.mouse.up()

        visit.until(drag, f"() => {PLOT}._fullLayout.xaxis.range[0] > {whole[0][0]} + 0.1")
        zoomed, count = visit.ranges(), visit.evaluations()
        visit.page.wait_for_function(
            "count => +document.querySelector('#tiles .tile b').textContent.replace(',', '') > count + 20", arg=count
        )
        visit.page.wait_for_timeout(500)
        # The layout may shift by a pixel, which is far less than a lost zoom.
        for now, then in zip(visit.ranges(), zoomed, strict=True):
            assert now == pytest.approx(then, rel=0.01)
        assert visit.page.is_visible(f"h2:text-is('Candidate {number}')")
        assert not visit.page.is_visible("#architecture :text('conv3x3')")
        assert not visit.wrong
        assert search.stdout is not None
        assert json.loads(search.stdout.read()) == {"written": 430}
    visit.page.wait_for_selector("#state:has-text('idle')")


def test_a_hostile_study_is_only_text(browser: Any, served: str) -> None:
    visit = Visit(browser, f"{served}/study/{quote(HOSTILE, safe='')}/candidate/0")
    visit.drawn()
    visit.page.wait_for_selector("h2:text-is('Candidate 0')")
    visit.page.click("summary:text-is('Settings')")
    assert visit.page.text_content("h1") == HOSTILE
    assert visit.page.title() == "Archfront"
    assert not visit.wrong


@pytest.mark.parametrize("name", ["digits", HOSTILE])
def test_the_report_needs_nothing_else(browser: Any, url: str, tmp_path: Path, name: str) -> None:
    study = open_study(name, url)
    file = write_report(study, tmp_path / "report.html")
    visit = Visit(browser, file.as_uri())
    time.sleep(0.5)
    assert visit.page.text_content("h1") == name
    assert visit.page.title() == f"Archfront report: {name}"
    assert visit.page.locator(".js-plotly-plot .main-svg").count() >= 3
    if name == "digits":
        front = len(study.front())
        assert visit.page.evaluate("() => document.querySelector('.js-plotly-plot')._fullData[2].x.length") == front
        visit.page.click("details.candidate >> nth=0")
        assert visit.page.is_visible("details.candidate >> nth=0 >> text=conv3x3")
        for width in (1280, 390):
            visit.page.set_viewport_size({"width": width, "height": 900})
            for name in ("accuracy", "latency_ms@host"):  # what is sought is to be seen without scrolling
                box = visit.page.locator("section table th", has_text=name).first.bounding_box()
                assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert visit.requests == [file.as_uri()] and not visit.wrong
