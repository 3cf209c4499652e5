"""What a user does in the browser, step by step; every step ends when its effect is on the page."""

from contextlib import suppress

from playwright.sync_api import FrameLocator, Page, TimeoutError, expect

VIEWER = "iframe[title$='scan_view.viewer']"


def watch(page: Page) -> list[str]:
    """Collect what the page must not do: ask another host for anything, or break its own security policy."""
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url) if not _is_own(request.url) else None)
    page.on("console", lambda line: found.append(line.text) if "Content Security Policy" in line.text else None)
    return found


def _is_own(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))


def open_page(page: Page, address: str) -> None:
    # The cookie component loads on its own and then runs the page once more; a click before that can be lost.
    page.goto(address, wait_until="networkidle")
    wait_until_settled(page)


def wait_until_settled(page: Page) -> None:
    """Wait until the page has run to its end and its components have loaded; what is done before that can be lost."""
    for _ in range(2):
        # Chromium never says so where a frame, as of the cookie component, is taken away while it loads.
        with suppress(TimeoutError):
            page.wait_for_load_state("networkidle", timeout=5_000)
        wait_until_run(page)
        # A component that has just loaded answers a moment later, and the page runs once more.
        page.wait_for_timeout(500)


def wait_until_run(page: Page) -> None:
    """Wait until the page's script has run to its end."""
    app = page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=30_000)


def enter_as_guest(page: Page, address: str) -> None:
    open_page(page, address)
    button = page.get_by_role("button", name="Try it as a guest")
    button.click()
    expect(button).to_have_count(0, timeout=30_000)
    wait_until_settled(page)


def viewer(page: Page) -> FrameLocator:
    """Give the viewer of the scan on a page, once it shows all of one."""
    frame = page.frame_locator(VIEWER)
    expect(frame.locator("#viewer")).to_be_visible(timeout=60_000)
    expect(frame.get_by_role("status")).not_to_contain_text("loading", timeout=60_000)
    return frame


def create_first_administrator(page: Page, username: str, name: str, password: str) -> None:
    expect(page.get_by_role("heading", name="Create the first administrator")).to_be_visible(timeout=30_000)
    _fill_person(page, username, name, password)
    page.get_by_role("button", name="Create administrator").click()
    expect_logged_in(page, name)


def register(page: Page, username: str, name: str, password: str, role: str = "clinician") -> None:
    page.get_by_role("tab", name="Register").click()
    _fill_person(page, username, name, password)
    if role != "clinician":
        page.get_by_label("I am a").click()
        page.get_by_role("option", name=role).click()
    page.get_by_role("button", name="Register", exact=True).click()
    expect(page.get_by_test_id("stAlert").filter(visible=True)).to_be_visible()


def log_in(page: Page, username: str, password: str) -> None:
    """Fill the login form and send it with Enter; what follows is for the caller to expect."""
    page.get_by_role("tab", name="Log in").click()
    form = page.get_by_test_id("stForm").filter(visible=True)
    form.get_by_label("Username", exact=True).fill(username)
    field = form.get_by_label("Password", exact=True)
    field.fill(password)
    field.press("Enter")


def expect_logged_in(page: Page, name: str) -> None:
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text(name, exact=True)).to_be_attached(timeout=30_000)
    expect(page.get_by_role("tab", name="Log in")).to_have_count(0)


def expect_logged_out(page: Page) -> None:
    expect(page.get_by_role("tab", name="Log in")).to_be_visible(timeout=30_000)
    expect(page.get_by_test_id("stSidebar")).to_have_count(0)


def open_sidebar(page: Page) -> None:
    """Open the sidebar where a narrow screen has folded it."""
    button = page.get_by_test_id("stExpandSidebarButton")
    if button.is_visible():
        button.click()


def log_out(page: Page) -> None:
    open_sidebar(page)
    page.get_by_role("button", name="Log out").click()
    expect_logged_out(page)


def expect_page(page: Page, title: str | None = None) -> None:
    """Wait for the one title of a page; Streamlit holds the old title beside the new one while it swaps pages."""
    heading = page.get_by_role("heading", name=title, level=1)
    expect(heading).to_have_count(1, timeout=30_000)
    expect(heading).to_be_visible()


def open_from_menu(page: Page, title: str) -> None:
    open_sidebar(page)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title).click()
    expect_page(page, title)


def approve(page: Page, name: str) -> None:
    """Approve a waiting registration; the page belongs to a logged-in administrator."""
    open_from_menu(page, "Administration")
    waiting = page.get_by_test_id("stMainBlockContainer").locator("[class*='st-key-pending_']")
    person = waiting.filter(has_text=name)
    person.get_by_role("button", name="Approve").click()
    expect(person).to_have_count(0)


def delete_account(page: Page, name: str) -> None:
    open_from_menu(page, "Administration")
    page.get_by_label("Account", exact=True).click()
    page.get_by_role("option", name=name).click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def reset_password(page: Page, name: str) -> str:
    """Give an account a temporary password and return it; the page belongs to a logged-in administrator."""
    open_from_menu(page, "Administration")
    page.get_by_label("Account", exact=True).click()
    page.get_by_role("option", name=name).click()
    page.get_by_role("button", name="Reset password", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Reset password", exact=True).click()
    temporary = dialog.get_by_test_id("stCode").locator("code").inner_text()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    return temporary.strip()


def change_password(page: Page, current: str, new: str) -> None:
    """Fill the form of the account page, or the one that a temporary password leads to."""
    page.get_by_label("Current password", exact=True).fill(current)
    page.get_by_label("New password", exact=True).fill(new)
    page.get_by_label("Repeat the new password", exact=True).fill(new)
    page.get_by_role("button", name="Change password").click()


def _fill_person(page: Page, username: str, name: str, password: str) -> None:
    form = page.get_by_test_id("stForm").filter(visible=True)
    form.get_by_label("Full name").fill(name)
    form.get_by_label("Username", exact=True).fill(username)
    form.get_by_label("Password", exact=True).fill(password)
    form.get_by_label("Repeat the password").fill(password)
