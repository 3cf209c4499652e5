"""Entry point of the dashboard: page settings, login, navigation."""

import streamlit as st

from braintumor.dashboard import gate

st.set_page_config(page_title="Brain tumor MRI", page_icon=":material/neurology:", layout="wide")

session = gate.require_login()

sections = {
    "": [
        st.Page("pages/home.py", title="Home", icon=":material/home:", url_path=gate.FRONT_PAGE, default=True),
        st.Page("pages/prediction.py", title="Prediction", icon=":material/neurology:"),
        st.Page("pages/training_metrics.py", title="Training metrics", icon=":material/monitoring:"),
        st.Page("pages/about.py", title="About", icon=":material/info:"),
    ]
}
personal = []
if not session.is_guest:
    personal.append(st.Page("pages/account.py", title="My account", icon=":material/account_circle:"))
if session.is_administrator:
    personal.append(st.Page("pages/administration.py", title="Administration", icon=":material/admin_panel_settings:"))
if personal:
    sections["Account"] = personal

st.navigation(sections).run()
