"""One browser and one played week for all tests of the page.

The browser's library keeps an event loop running in the thread that uses it, which would be in the
way of every other test: so browser and tests have a thread of their own.
"""

import inspect
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from tests.dashboard.company import Company
from tests.dashboard.stand import Stand

THREAD = ThreadPoolExecutor(1, thread_name_prefix="browser")
CHROMIUM = shutil.which("chromium")
WAIT_MS = 30_000
"""Outer limit for what the page is to show; on a busy machine a second is not rare."""
OpenPage = Callable[..., Page]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Run a test of this folder in the browser's thread."""
    names = inspect.signature(pyfuncitem.obj).parameters
    THREAD.submit(pyfuncitem.obj, **{name: pyfuncitem.funcargs[name] for name in names}).result()
    return True


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("run scripts/install-test-packages.sh first")
    arguments = ["--disable-gpu", "--disable-dev-shm-usage"]
    arguments += ["--no-sandbox"] if os.getuid() == 0 else []

    def start() -> tuple[Playwright, Browser]:
        playwright = sync_playwright().start()
        launch = playwright.chromium.launch
        return playwright, launch(executable_path=CHROMIUM, args=arguments)

    playwright, found = THREAD.submit(start).result()
    yield found
    THREAD.submit(found.close).result()
    THREAD.submit(playwright.stop).result()


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A week of four routes; with UNDERSTUDY_SCREENSHOTS a busier one, in steps as in life."""
    if CHROMIUM is None:
        pytest.skip("run scripts/install-test-packages.sh first")
    one = Company(tmp_path_factory.mktemp("company") / "understudy.db")
    if os.environ.get("UNDERSTUDY_SCREENSHOTS"):
        one.live_through(0.06, coarse_s=600.0, fine_s=10.0)
    else:
        one.live_through(0.008, coarse_s=3_600.0, fine_s=120.0)
    yield one
    one.stop()


@pytest.fixture(scope="session")
def stand(company: Company) -> Iterator[Stand]:
    """The week's admin port. Tests that act on a route take one of their own."""
    one = Stand(company.path.parent, company.controller, company.recorder)
    yield one
    one.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open a page in a context of its own; at the end it must have broken no rule of its policy."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def show(url: str, *, width: int = 1360, height: int = 900, **options: object) -> Page:
        size = {"width": width, "height": height}
        context = browser.new_context(viewport=size, **options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("console", lambda line: faults.append(line.text) if _is_fault(line.text) else None)
        page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
        page.goto(url)
        return page

    yield show
    for context in contexts:
        THREAD.submit(context.close).result()
    assert faults == []


def _is_fault(text: str) -> bool:
    return any(word in text for word in ("Content Security Policy", "TrustedHTML", "Uncaught"))


@pytest.fixture(scope="session")
def shots() -> Callable[[Page, str], None]:
    """Keep a picture of what is on the screen, if pictures are asked for."""
    folder = Path(__file__).parents[2] / "docs" / "images"

    def keep(page: Page, name: str) -> None:
        if os.environ.get("UNDERSTUDY_SCREENSHOTS"):
            folder.mkdir(exist_ok=True)
            page.wait_for_timeout(400)
            page.screenshot(path=str(folder / f"{name}.png"))

    return keep
