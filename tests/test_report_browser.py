"""The pages in a real browser, at the width of a desk and of a phone: no script error, no overflow, all pictures."""

import shutil

import pytest
from browser import Chromium
from report_tree import write_tree
from test_report import make, page_of

from flow.tool import find_tool
from reports.page import index_page

pytestmark = pytest.mark.eda

DESK, PHONE = (1440, 900), (390, 844)


@pytest.fixture(scope="module")
def browser():
    if not shutil.which("chromium"):
        pytest.skip("chromium is not installed: no page is opened in a browser")
    with Chromium(str(find_tool("chromium"))) as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Name -> file: a whole design, one that lacks most, one with long names, and the index of all."""
    folder = tmp_path_factory.mktemp("pages")
    trees = {"toy": write_tree(folder), "half": write_tree(folder, design="half", without=("power", "sta", "modules"))}
    long = "a title of a hundred letters " * 6 + "x" * 200
    made = {name: make(tree, "a toy") for name, tree in trees.items()}
    files = {name: folder / f"{name}.html" for name in (*trees, "long", "index")}
    for name, tree in trees.items():
        files[name].write_text(page_of(tree, made[name]))
    files["long"].write_text(page_of(trees["toy"], make(trees["toy"], long)))
    files["index"].write_text(index_page([(ppa, None) for ppa in made.values()]))
    return files


@pytest.mark.parametrize("size, dark", [(DESK, False), (PHONE, False), (DESK, True)])
@pytest.mark.parametrize("name", ["toy", "half", "long", "index"])
def test_a_page_is_whole_in_a_browser(browser, pages, name, size, dark):
    looked = browser.look(pages[name], *size, dark=dark)
    found = looked.findings
    assert looked.errors == [] and looked.requests == [pages[name].as_uri()]
    assert found["width"] == size[0] and found["scroll_width"] <= size[0] and found["wide"] == []
    assert found["broken"] == 0 and found["flat"] == 0
    assert found["plots"] >= (3 if name == "index" else 9)
    assert found["pictures"] == (1 if name in ("toy", "long") else 0)
    assert found["zoomed"].endswith("scale(1.6)") == (name in ("toy", "long"))
    assert looked.png[:4] == b"\x89PNG" and len(looked.png) > 20_000


def test_dark_and_light_look_different(browser, pages):
    light, dark = (browser.look(pages["toy"], *DESK, dark=dark, whole=False).png for dark in (False, True))
    assert light != dark


@pytest.mark.parametrize("body, broken", [
    ("<script>nothing.there()</script>", lambda looked: looked.errors),
    ("<div style='width: 900px'>wide</div>", lambda looked: looked.findings["wide"]),
    ("<img src='data:image/png;base64,AAAA'>", lambda looked: looked.findings["broken"]),
    ("<img src='nowhere.png'>", lambda looked: len(looked.requests) > 1),
])
def test_what_is_wrong_with_a_page_is_found(browser, tmp_path, body, broken):
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta name=viewport content='width=device-width'><body>{body}")
    assert broken(browser.look(page, *PHONE))
