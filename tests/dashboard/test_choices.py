import pytest
from streamlit.testing.v1 import AppTest


def _page():
    import streamlit as st

    from braintumor.accounts import SELF_CHOSEN
    from braintumor.dashboard import choices

    role = choices.selectbox("Role", SELF_CHOSEN, SELF_CHOSEN[0], key="role")
    fruit = choices.selectbox("Fruit", ["apple", "pear"], None, key="fruit")
    several = choices.multiselect("Several", ["a", "b", "c"], ["a"], max_selections=2, key="several")
    level = choices.slider("Level", 0.0, 1.0, 0.5, 0.1, key="level")
    st.session_state["found"] = (role, type(role).__name__, fruit, several, level)


@pytest.fixture
def page():
    return AppTest.from_function(_page, default_timeout=30).run()


def test_what_is_on_offer_comes_back_as_the_option_itself(page):
    assert page.session_state["found"] == ("clinician", "Role", None, ["a"], 0.5)
    page.selectbox(key="fruit").set_value("pear")
    page.multiselect(key="several").set_value(["c", "b"])
    page.slider(key="level").set_value(0.9).run()
    assert page.session_state["found"] == ("clinician", "Role", "pear", ["c", "b"], 0.9)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_number_out_of_range_is_never_used(page, value):
    page.slider(key="level").set_value(value).run()
    assert not page.exception
    assert 0 <= page.session_state["found"][-1] <= 1


def test_more_values_than_may_be_chosen_are_refused(page):
    page.multiselect(key="several").set_value(["a", "b", "c"]).run()
    assert not page.exception
    assert len(page.error) == 1


def _open_page():
    import streamlit as st

    from braintumor.accounts import SELF_CHOSEN
    from braintumor.dashboard import choices

    # Such a widget hands back any text, as every one may that a client of its own making writes to.
    choices.selectbox("Role", SELF_CHOSEN, SELF_CHOSEN[0], key="role", accept_new_options=True)
    st.session_state["found"] = True


@pytest.mark.parametrize(("role", "stops"), [("administrator", True), ("nonsense", True), ("<b>", True), (None, False)])
def test_an_option_that_was_not_offered_stops_the_page(role, stops):
    page = AppTest.from_function(_open_page, default_timeout=30)
    if role is not None:
        page.session_state["role"] = role
    page.run()
    assert not page.exception
    assert len(page.error) == stops
    assert ("found" in page.session_state) is not stops
