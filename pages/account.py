"""My account: what is known about the user, and a new password."""

import streamlit as st

from braintumor.dashboard import gate


def main() -> None:
    session = gate.current()
    st.title("My account")
    account = session.account
    if account is None:
        st.info("A guest has no account. Log in to see yours.")
        return
    with st.container(width=560):
        for label, value in (
            ("Name", account.display_name),
            ("Username", account.username),
            ("E-mail", account.email or "none given"),
            ("Role", account.role.value),
            ("Member since", f"{account.created_at:%d %B %Y}"),
        ):
            name, content = st.columns([1, 2])
            name.caption(label)
            content.text(value)
        st.header("Change your password")
        gate.password_form()


main()
