"""The login gate: nobody passes without a session that the server still knows.

Streamlit-Authenticator checks the password and signs the cookie; what it proves is only the number of a session
in our own table, so that logging out, disabling or deleting an account works at once and everywhere.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import streamlit as st
import streamlit_authenticator as stauth

from braintumor import settings
from braintumor.accounts import SELF_CHOSEN, Account, AccountError, Accounts, State, signing_key
from braintumor.accounts.passwords import LONGEST_TYPED, RULE
from braintumor.dashboard import choices, form_notes, server
from braintumor.dashboard.login_cookie import TOKEN, SessionCookie, StoredCredentials
from braintumor.database import BusyError, RefusedError, UnusableDatabaseError, Verification, open_database

_LOG = logging.getLogger(__name__)
COOKIE = "braintumor_session"
FRONT_PAGE = "start"
"""Inner name of the front page; not its file's, which Streamlit might run without ``Home.py``."""

GUEST = "_guest"
"""Slot of the session state that marks a guest; it counts in demo mode only."""

_COOKIE_TASK = "_cookie_task"
_WIDTH = 480


_LEGIBLE = """<style>
.stMain:focus-visible { outline: 2px solid; outline-offset: -2px; }
[data-testid="stButtonGroup"] button[data-selected="true"] { color: inherit !important; }
</style>"""
"""Streamlit writes the chosen one of a row of buttons in the primary color, whose contrast there is 3.3 and not 4.5.

It also leaves the page itself, which has the focus while keys scroll it, without a mark.
"""


@dataclass(frozen=True)
class Session:
    """Who uses the app in this run; ``account`` is None for a guest, of whom nothing may be stored."""

    name: str
    role: str
    account: Account | None

    @property
    def is_guest(self) -> bool:
        return self.account is None

    @property
    def is_administrator(self) -> bool:
        return self.account is not None and self.account.is_administrator


def require_login() -> Session:
    """Give the session of this run and show it in the sidebar, or show the login page and stop.

    The login page answers at the address of every page, so that a deep link is still there after the login.
    """
    st.html(_LEGIBLE)
    with unless_busy():
        session = _enter()
    server.admit(is_guest=session.is_guest)
    _show_sidebar(session)
    return session


def current() -> Session:
    """Give the session of this run, checked afresh; every page and fragment calls it before anything else.

    It is a gate of its own: until ``Home.py`` has run once in a server, Streamlit answers a page's address by
    running only that page.
    """
    known = TOKEN in st.session_state
    with unless_busy():
        session = _known_session()
        if (session is None or _must_change(session)) and not known:
            _enter()
            _hold_address()
    if session is None or _must_change(session):
        # The whole app, so that the page stands behind Home.py's gate again.
        st.rerun()
    return session


def actor() -> Account | None:
    """Give the account in whose name a callback acts, checked now; None where its session is over or it may not act.

    Callbacks run before the page and so before ``current``: what they were drawn for may no longer hold.
    """
    account = _known_account()
    return None if account is None or account.must_change_password else account


@contextmanager
def unless_busy() -> Iterator[None]:
    """Say so, and stop the run, where the records are busy while a page reads them, or cannot be used at all."""
    try:
        yield
    except (BusyError, UnusableDatabaseError) as error:
        st.error(str(error))
        st.stop()


def accounts() -> Accounts:
    """Give the accounts of this server; the database is opened once."""
    return _open(settings.load())


def trail_at_start() -> Verification:
    """Give what the check of the audit trail found when this server opened the database."""
    return _check_trail(accounts())


def password_form() -> None:
    """Show the form in which users replace their own password."""
    form_notes.show("own")
    with st.form("password"):
        _password_field("Current password", "own", "current", "current-password")
        _new_password_fields("own", "New password")
        st.form_submit_button("Change password", type="primary", width="stretch", on_click=_change_password)


class _Authenticator(stauth.Authenticate):  # type: ignore[misc] # the library has no types
    """The library's authenticator over our accounts, with a form that password managers fill in."""

    def __init__(self, accounts: Accounts, key: str, hours: int) -> None:
        super().__init__(
            {"usernames": {}}, COOKIE, key, cookie_expiry_days=hours / 24, auto_hash=False, login_sleep_time=0
        )
        self.model = StoredCredentials(accounts)
        self.authentication_controller.authentication_model = self.model
        self.cookie_controller.cookie_model = SessionCookie(self.cookie_controller.cookie_model)
        self.accounts = accounts

    def resume(self) -> Account | None:
        """Log in by the cookie; None unless the server still knows the session that it names."""
        claims = self.cookie_controller.get_cookie()
        account = self.accounts.verify_session(str(claims["session"]), st.context.ip_address) if claims else None
        if account is not None:
            self.model.admit(account)
            self.model.login("", "", token={"username": account.username})
            st.session_state[TOKEN] = claims["session"]
        return account

    def login(self) -> None:
        """Show the form; unlike the library's own it lets password managers fill it and Enter send it."""
        with st.form("login"):
            st.text_input("Username", key="login_username", autocomplete="username", max_chars=80)
            form_notes.show_beside("login", "username")
            _password_field("Password", "login", "password", "current-password")
            st.form_submit_button("Log in", type="primary", width="stretch", on_click=self._submit)

    def update_cookie(self) -> None:
        """Carry out what a callback left to do; the browser confirms it, and only then it is done."""
        task = st.session_state.get(_COOKIE_TASK)
        if task is None or st.session_state.get(task) is True:
            st.session_state.pop(_COOKIE_TASK, None)
        elif task == "set":
            self.cookie_controller.set_cookie()
        else:
            self.cookie_controller.delete_cookie()

    def _submit(self) -> None:
        # Runs before the page, so the run that logs in already shows it and never the form.
        # A client may leave out any field of a form, and send something else than text.
        username = str(st.session_state.get("login_username", "")).strip().lower()
        password = st.session_state.get("login_password", "")
        st.session_state["login_password"] = ""
        if not username or not password:
            missing = "password" if username else "username"
            form_notes.put("error", "Enter your username and your password.", "login", missing)
            return
        try:
            if not self.model.login(username, password, callback=self._start):
                form_notes.put("error", self.model.refusal, "login", "password")
        except RefusedError as error:
            form_notes.put("error", str(error), "login")

    def _start(self, _event: dict[str, Any]) -> None:
        assert self.model.account is not None
        _start_session(self.model.account)


@cache
def _open(configured: settings.Settings) -> Accounts:
    opened = Accounts(open_database(configured), configured)
    _check_trail(opened)
    return opened


@cache
def _check_trail(opened: Accounts) -> Verification:
    found = opened.verify_audit_trail()
    if not found.is_whole:
        _LOG.critical("The audit trail does not fit together at line %s", found.broken_at)
    return found


def _enter() -> Session:
    session = _known_session()
    authenticator = None
    if session is None or _COOKIE_TASK in st.session_state:
        configured = settings.load()
        authenticator = _Authenticator(accounts(), signing_key(configured), configured.session_hours)
        if session is None and (account := authenticator.resume()) is not None:
            session = _session(account)
        authenticator.update_cookie()
    if session is None or _must_change(session):
        _hold_address()
        with st.container(horizontal_alignment="center"), st.container(width=_WIDTH):
            _show_gate(session, authenticator)
        st.stop()
    return session


def _known_account() -> Account | None:
    token = st.session_state.get(TOKEN)
    return None if token is None else accounts().verify_session(token, st.context.ip_address)


def _known_session() -> Session | None:
    account = _known_account()
    if account is not None:
        return _session(account)
    if TOKEN in st.session_state:
        _forget()
        form_notes.put("info", "Your session has ended; log in again.", "login")
    if st.session_state.get(GUEST) and settings.load().demo:
        return Session("Guest", "guest", None)
    return None


def _session(account: Account) -> Session:
    return Session(account.display_name, account.role.value, account)


def _must_change(session: Session) -> bool:
    return session.account is not None and session.account.must_change_password


def _hold_address() -> None:
    # Pages under the real addresses, so that Streamlit neither changes the address nor reports it as unknown.
    names = sorted(path.stem for path in (settings.ROOT / "pages").glob("[a-z]*.py") if path.stem != "home")
    pages = [st.Page(_nothing, title="Log in", url_path=name) for name in names]
    st.navigation([st.Page(_nothing, title="Log in", url_path=FRONT_PAGE, default=True), *pages], position="hidden")


def _nothing() -> None:
    """Stand in for a page; the login page is drawn instead of it."""


def _show_gate(session: Session | None, authenticator: _Authenticator | None) -> None:
    st.header(":material/neurology: Brain tumor MRI", anchor=False)
    st.markdown(
        "Shows whether and where a network sees a tumor on MRI of the head, and how sure it is. Research and decision "
        "support: **not a medical device, never a diagnosis.**"
    )
    if session is not None:
        st.subheader("Choose your own password")
        st.write("You logged in with a temporary password. Replace it to go on.")
        password_form()
        st.button("Log out", icon=":material/logout:", on_click=_log_out, width="stretch")
        return
    assert authenticator is not None
    if accounts().exist():
        log_in, register = st.tabs(["Log in", "Register"])
        with log_in:
            form_notes.show("login")
            authenticator.login()
            st.caption("Forgotten your password? An administrator can set a temporary one for you.")
        with register:
            form_notes.show("register")
            _registration_form()
    else:
        st.subheader("Create the first administrator")
        st.write("Nobody has an account yet. This one approves and manages all others.")
        form_notes.show("first")
        _first_administrator_form()
    if settings.load().demo:
        st.button("Try it as a guest", icon=":material/visibility:", on_click=_enter_as_guest, width="stretch")
        st.caption("Nothing that a guest does is stored.")


def _first_administrator_form() -> None:
    with st.form("first"):
        _person_fields("first")
        _new_password_fields("first", "Password")
        if settings.load().setup_code:
            _password_field("Setup code", "first", "code", "off")
            st.caption("Whoever runs this server has set it.")
        st.form_submit_button(
            "Create administrator", type="primary", width="stretch", on_click=_create_first_administrator
        )


def _registration_form() -> None:
    with st.form("register"):
        _person_fields("register")
        choices.selectbox(
            "I am a", SELF_CHOSEN, SELF_CHOSEN[0], format_func=lambda role: role.value, key="register_role"
        )
        form_notes.show_beside("register", "role")
        _new_password_fields("register", "Password")
        st.form_submit_button("Register", type="primary", width="stretch", on_click=_register)


def _person_fields(form: str) -> None:
    for label, field, most, autocomplete in (
        ("Full name", "name", 80, "name"),
        ("Username", "username", 32, "username"),
        ("E-mail (optional)", "email", 254, "email"),
    ):
        st.text_input(label, key=f"{form}_{field}", autocomplete=autocomplete, max_chars=most)
        form_notes.show_beside(form, field)


def _new_password_fields(form: str, label: str) -> None:
    _password_field(label, form, "new", "new-password")
    st.caption(RULE)
    _password_field(f"Repeat the {label.lower()}", form, "repeat", "new-password")


def _password_field(label: str, form: str, field: str, autocomplete: str) -> None:
    key = f"{form}_{field}"
    st.text_input(label, type="password", key=key, autocomplete=autocomplete, max_chars=LONGEST_TYPED)
    form_notes.show_beside(form, field)


def _new_password(form: str) -> object:
    # A client may leave out any field of a form.
    password: object = st.session_state.get(f"{form}_new", "")
    if password != st.session_state.get(f"{form}_repeat", ""):
        raise AccountError("The two passwords differ; enter the same one twice.", "repeat")
    return password


def _create_first_administrator() -> None:
    state = st.session_state
    try:
        account = accounts().create_first_administrator(
            state.get("first_username", ""),
            state.get("first_name", ""),
            _new_password("first"),
            state.get("first_email", ""),
            state.get("first_code", ""),
        )
        _start_session(account)
    except RefusedError as error:
        form_notes.put("error", str(error), "first", error.field)


def _register() -> None:
    state = st.session_state
    try:
        account = accounts().register(
            state.get("register_username", ""),
            state.get("register_name", ""),
            _new_password("register"),
            state.get("register_email", ""),
            state.get("register_role", ""),
        )
    except RefusedError as error:
        form_notes.put("error", str(error), "register", error.field)
        return
    for field in ("name", "username", "email", "new", "repeat"):
        state[f"register_{field}"] = ""
    if account.state is State.ACTIVE:
        form_notes.put("success", "Your account is ready; log in with it now.", "register")
    else:
        form_notes.put("success", "Thank you. You can log in as soon as an administrator has approved it.", "register")


def _change_password() -> None:
    state = st.session_state
    try:
        account = _known_account()  # not actor(): who has a temporary password may do this, and only this
        if account is None:
            return
        current, new = state.get("own_current", ""), _new_password("own")
        accounts().change_password(account, current, new, state[TOKEN], st.context.ip_address)
    except RefusedError as error:
        form_notes.put("error", str(error), "own", error.field)
        return
    for field in ("current", "new", "repeat"):
        state[f"own_{field}"] = ""
    form_notes.put("success", "Your password is changed, and your other sessions are logged out.", "own")


def _start_session(account: Account) -> None:
    token = accounts().start_session(account)
    _forget()
    st.session_state[TOKEN] = token
    st.session_state["username"] = account.username
    st.session_state["authentication_status"] = True
    st.session_state[_COOKIE_TASK] = "set"


def _enter_as_guest() -> None:
    _forget()
    st.session_state[GUEST] = True


def _log_out() -> None:
    if TOKEN not in st.session_state:
        _forget()
        return
    try:
        accounts().end_session(st.session_state[TOKEN], st.context.ip_address)
    except BusyError as error:
        # Still logged in on the server, so not told otherwise.
        form_notes.put("error", str(error), "sidebar")
    else:
        _forget()
        form_notes.put("info", "You are logged out.", "login")


def _forget() -> None:
    # All of it: the next user of this browser tab must find nothing of the one before.
    server.dismiss()
    st.session_state.clear()
    st.session_state[_COOKIE_TASK] = "delete"


def _show_sidebar(session: Session) -> None:
    with st.sidebar:
        # Plain text on purpose: a name may hold any sign, also those that Markdown reads.
        st.text(session.name)
        if session.is_guest:
            st.caption("Nothing that a guest does is stored.")
            st.button("Log in", icon=":material/login:", on_click=_log_out, width="stretch")
        else:
            st.badge(session.role, icon=":material/person:", color="blue")
            st.button("Log out", icon=":material/logout:", on_click=_log_out, width="stretch")
            form_notes.show("sidebar")
