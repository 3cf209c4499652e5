"""Entry point of the dashboard: the server that `streamlit run` starts, and what it runs for every visitor."""

from pathlib import Path

import streamlit as st

from braintumor.dashboard import server


def main() -> None:
    """Show the page that the visitor asks for: page settings, login, navigation."""
    # Not above: a component that is imported before the server runs, as the login's cookie is, would not be served.
    from braintumor.dashboard import gate

    # A named icon would be fetched from a server of others by every browser that opens the page.
    favicon = Path(gate.__file__).with_name("favicon.png")
    st.set_page_config(page_title="Brain tumor MRI", page_icon=favicon, layout="wide")
    session = gate.require_login()
    patients = []
    if not session.is_guest:
        patients.append(st.Page("pages/patients.py", title="Patients", icon=":material/patient_list:"))
    sections = {
        "": [
            st.Page("pages/home.py", title="Home", icon=":material/home:", url_path=gate.FRONT_PAGE, default=True),
            st.Page("pages/prediction.py", title="Prediction", icon=":material/neurology:"),
            *patients,
            st.Page("pages/training_metrics.py", title="Training metrics", icon=":material/monitoring:"),
            st.Page("pages/networks.py", title="Networks", icon=":material/compare_arrows:"),
            st.Page("pages/federated.py", title="Federated training", icon=":material/hub:"),
            st.Page("pages/leakage.py", title="Leakage", icon=":material/water_drop:"),
            st.Page("pages/about.py", title="About", icon=":material/info:"),
        ]
    }
    personal = []
    if not session.is_guest:
        personal.append(st.Page("pages/account.py", title="My account", icon=":material/account_circle:"))
    if session.is_administrator:
        administration = "pages/administration.py"
        personal.append(st.Page(administration, title="Administration", icon=":material/admin_panel_settings:"))
    if personal:
        sections["Account"] = personal
    st.navigation(sections).run()


if __name__ == "__main__":
    main()
else:
    # `streamlit run` sees this line, imports the file for it, and then runs the file for every visitor. A host that
    # does not see it serves the same pages, without what the middleware adds.
    app = st.App(__file__, middleware=server.MIDDLEWARE, lifespan=server.lifespan)
