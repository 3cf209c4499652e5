"""The reading room in a browser: jobs that outlive pages, desks that outlive logins, and a case read by keys alone."""

import io
import sqlite3
import zipfile
from contextlib import closing, suppress

import pytest
from playwright.sync_api import TimeoutError, expect
from streamlit.proto.WidgetStates_pb2 import WidgetState

from braintumor.scans import phantom
from scripts.websocket_client import PASSWORD, Client, first_administrator
from tests.browser import steps
from tests.conftest import png_bytes

pytestmark = pytest.mark.browser

ADA, BEN = ("ada", "Ada", PASSWORD), ("ben", "Ben", PASSWORD)
"""One account a test, since a desk outlives the login."""
SCANS = 200
"""Some ten seconds of work, so that a job still runs while another page is opened."""


@pytest.fixture(scope="module")
def server(browser, offline, tmp_path_factory):
    """One server for all of these tests, with two accounts; gives its address and its data folder."""
    data = tmp_path_factory.mktemp("reading-room")
    with offline(BRAINTUMOR_DEMO="1", BRAINTUMOR_REGISTRATION="open", BRAINTUMOR_DATA_DIR=str(data)) as url:
        first_administrator(url).close()
        with Client(url) as client:
            person = {"username": BEN[0], "name": BEN[1], "new": BEN[2], "repeat": BEN[2]}
            role = WidgetState(id=client.widget("selectbox", "register_role").id, string_value="clinician")
            client.press("Register", role, *client.fill("register", **person))
        yield url, data


@pytest.fixture
def enter(browser, server):
    """Opens the page Prediction for somebody; every browser is closed afterwards."""
    contexts = []

    def open_for(person=None):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        contexts.append(context)
        page = context.new_page()
        steps.open_page(page, f"{server[0]}/prediction")
        if person is None:
            page.get_by_role("button", name="Try it as a guest").click()
        else:
            steps.log_in(page, person[0], person[2])
            steps.expect_logged_in(page, person[1])
        steps.expect_page(page, "Prediction")
        steps.wait_until_settled(page)
        return page

    yield open_for
    for context in contexts:
        context.close()


def heads(count, first=0):
    return [
        {"name": f"head{seed}.png", "mimeType": "image/png", "buffer": png_bytes(phantom(48, seed=seed))}
        for seed in range(first, first + count)
    ]


def archive(count, first=0):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for head in heads(count, first):
            opened.writestr(head["name"], head["buffer"])
    return {"name": "heads.zip", "mimeType": "application/zip", "buffer": file.getvalue()}


def drop(page, *files):
    if not page.locator("input[type=file]").count():
        page.get_by_text("Add scans").click()
    page.locator("input[type=file]").set_input_files(list(files))


def choose_by_keys(page, files):
    """Go to the button of the uploader by Tab and open it by Enter; a run of the page may take the focus away."""
    for _ in range(120):
        if page.evaluate("document.activeElement.innerText").strip().endswith("Upload"):
            with suppress(TimeoutError):
                with page.expect_file_chooser(timeout=5_000) as chooser:
                    page.keyboard.press("Enter")
                chooser.value.set_files(files)
                return
        page.keyboard.press("Tab")
    raise AssertionError("the uploader was not reached")


def expect_finished(page):
    # Drawn below the button that stops the job: where the list is, the button is if it is at all.
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Stop")).to_have_count(0, timeout=180_000)


def clear(page):
    clear = page.get_by_role("button", name="Clear", exact=True)
    # While the page is drawn anew, the one that goes stands beside the one that comes.
    expect(clear).to_have_count(1)
    clear.click()
    page.get_by_role("button", name="Clear ").last.click()
    expect(page.get_by_test_id("stDataFrame")).to_have_count(0, timeout=30_000)


def kept(server, person):
    """Give the answers on the desk of an account, each its number and its key."""
    query = "SELECT id, key FROM desk WHERE kind = 'case' AND account_id = (SELECT id FROM accounts WHERE username = ?)"
    with closing(sqlite3.connect(server[1] / "braintumor.sqlite3")) as db:
        return db.execute(f"{query} ORDER BY id", person[:1]).fetchall()


def wait_until_kept(page, server, person, count):
    for _ in range(600):
        if len(kept(server, person)) >= count:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{len(kept(server, person))} answers are kept, not {count}")


def test_a_job_survives_a_stop_another_page_and_a_reload_and_computes_nothing_twice(enter, server):
    page = enter(ADA)
    drop(page, archive(SCANS))
    wait_until_kept(page, server, ADA, 1)
    page.get_by_role("button", name="Stop").click()
    resume = page.get_by_role("button", name="Resume")
    expect(resume).to_be_visible(timeout=30_000)
    stopped = kept(server, ADA)
    page.wait_for_timeout(1_000)
    assert kept(server, ADA) == stopped
    resume.click()
    wait_until_kept(page, server, ADA, len(stopped) + 1)
    steps.open_from_menu(page, "About")
    before = kept(server, ADA)
    assert 0 < len(before) < SCANS
    steps.open_from_menu(page, "Prediction")
    page.reload()
    steps.wait_until_settled(page)
    wait_until_kept(page, server, ADA, SCANS)
    expect_finished(page)
    expect(page.get_by_text(f"of {SCANS}", exact=False).first).to_be_visible()
    after = kept(server, ADA)
    # An answer that is stored anew has another number.
    assert after[: len(before)] == before
    assert len(after) == len({key for _, key in after}) == SCANS
    steps.log_out(page)
    expect(page.get_by_test_id("stDataFrame")).to_have_count(0)
    again = enter(ADA)
    expect(again.get_by_test_id("stDataFrame").first).to_be_visible(timeout=30_000)
    expect_finished(again)
    assert kept(server, ADA) == after
    clear(again)
    assert kept(server, ADA) == []


def test_two_users_work_at_once_and_see_nothing_of_each_other(enter, server):
    ben, guest = enter(BEN), enter()
    drop(ben, archive(SCANS, 1000))
    wait_until_kept(ben, server, BEN, 1)
    assert guest.get_by_test_id("stDataFrame").count() == 0
    drop(guest, *heads(1, 2000))
    # Answered while the job of the other still runs.
    expect(guest.get_by_role("heading", name="head2000.png")).to_be_visible(timeout=30_000)
    assert 0 < len(kept(server, BEN)) < SCANS
    expect(guest.get_by_text("head10", exact=False)).to_have_count(0)
    expect_finished(ben)
    assert len(kept(server, BEN)) == SCANS
    expect(ben.get_by_text("head2000.png")).to_have_count(0)
    clear(ben)


def test_a_guest_leaves_nothing_behind(enter, server):
    secret = b"CANARY" * 20
    names = {path for path in server[1].rglob("*") if "vault" in path.parts and path.is_file()}
    page = enter()
    file = heads(1, 3000)[0]
    drop(page, {**file, "name": "Canary Jane.png", "buffer": file["buffer"] + secret})
    expect(page.get_by_role("heading", name="Canary Jane.png")).to_be_visible(timeout=30_000)
    page.context.close()
    for path in server[1].rglob("*"):
        if path.is_file():
            written = path.read_bytes()
            assert b"CANARY" not in written
            assert b"Canary" not in written
            assert file["buffer"][100:140] not in written
    assert {path for path in server[1].rglob("*") if "vault" in path.parts and path.is_file()} <= names


def test_from_a_study_to_a_read_case_by_keys_alone(enter):
    page = enter()
    choose_by_keys(page, heads(3, 4000))
    expect(page.get_by_text("1 of 3")).to_be_visible(timeout=30_000)
    expect_finished(page)
    first = page.get_by_role("heading", name="head40").inner_text()
    page.keyboard.press("n")
    expect(page.get_by_text("2 of 3")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("heading", name=first)).to_have_count(0)
    page.keyboard.press("p")
    expect(page.get_by_text("1 of 3")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("heading", name=first)).to_be_visible(timeout=30_000)


def test_the_list_is_filtered_and_a_click_opens_a_case(enter):
    page = enter()
    drop(page, *heads(3, 5000), {"name": "broken.png", "mimeType": "image/png", "buffer": b"\x00no picture"})
    expect_finished(page)
    expect(page.get_by_text("1 of 4")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("combobox", name="Answer").click()
    page.get_by_role("option", name="Not readable").click()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.get_by_text("1 listed")).to_be_visible(timeout=30_000)
    steps.wait_until_settled(page)
    box = page.get_by_test_id("stDataFrame").first.bounding_box()
    page.mouse.click(box["x"] + 150, box["y"] + 60)
    expect(page.get_by_text("broken.png: This file is not a picture")).to_be_visible(timeout=30_000)
