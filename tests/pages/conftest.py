import pytest

from tests.pages.guest import every_tab_open


@pytest.fixture(autouse=True)
def every_tab():
    with every_tab_open():
        yield
