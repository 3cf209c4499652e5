from pathlib import Path

import pytest

from braintumor.settings import ROOT, Settings, SettingsError, load, parse


@pytest.mark.parametrize(
    ("environment", "secrets", "name", "expected"),
    [
        ({}, {}, "session_hours", 12),
        ({}, {}, "demo", False),
        ({"BRAINTUMOR_DEMO": "1"}, {}, "demo", True),
        ({"BRAINTUMOR_DEMO": "Yes"}, {}, "demo", True),
        ({"BRAINTUMOR_DEMO": ""}, {}, "demo", False),
        ({"BRAINTUMOR_DATA_DIR": "/srv/data"}, {}, "data_dir", Path("/srv/data")),
        ({"BRAINTUMOR_MAX_FILES": "7"}, {}, "max_files", 7),
        ({}, {"BRAINTUMOR_MAX_FILES": 8}, "max_files", 8),
        ({"BRAINTUMOR_MAX_FILES": "7"}, {"BRAINTUMOR_MAX_FILES": 8}, "max_files", 7),
        ({"DATABASE_URL": "postgresql://db/x"}, {}, "database", "postgresql://db/x"),
        (
            {"DATABASE_URL": "postgresql://db/x", "BRAINTUMOR_DATABASE_URL": "sqlite:///y"},
            {},
            "database",
            "sqlite:///y",
        ),
        ({"BRAINTUMOR_DATA_DIR": "/srv"}, {}, "database", "sqlite:////srv/braintumor.sqlite3"),
        ({}, {}, "database", f"sqlite:///{ROOT / 'data' / 'braintumor.sqlite3'}"),
    ],
)
def test_value(environment, secrets, name, expected):
    assert getattr(parse(environment, secrets), name) == expected


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"BRAINTUMOR_DEMO": "maybe"}, "BRAINTUMOR_DEMO is 'maybe'"),
        ({"BRAINTUMOR_MAX_FILES": "many"}, "BRAINTUMOR_MAX_FILES is 'many'"),
        ({"BRAINTUMOR_MAX_FILES": "0"}, "BRAINTUMOR_MAX_FILES is 0"),
        ({"BRAINTUMOR_SESSION_HOURS": "-1"}, "BRAINTUMOR_SESSION_HOURS is -1"),
        ({"BRAINTUMOR_REGISTRATION": "closed"}, "BRAINTUMOR_REGISTRATION is 'closed'"),
        ({"BRAINTUMOR_COOKIE_KEY": "short"}, "BRAINTUMOR_COOKIE_KEY is shorter"),
        ({"BRAINTUMOR_MAX_SESSION_MB": "0"}, "BRAINTUMOR_MAX_SESSION_MB is 0"),
        ({"BRAINTUMOR_FRAME_ANCESTORS": "*"}, "BRAINTUMOR_FRAME_ANCESTORS"),
        ({"BRAINTUMOR_FRAME_ANCESTORS": "https://a.org; script-src *"}, "BRAINTUMOR_FRAME_ANCESTORS"),
    ],
)
def test_refused(environment, message):
    with pytest.raises(SettingsError, match=message):
        parse(environment, {})


def test_defaults_are_those_of_the_class():
    assert parse({}, {}) == Settings()


def test_load_reads_the_environment_once(monkeypatch):
    monkeypatch.setenv("BRAINTUMOR_MAX_FILES", "3")
    load.cache_clear()
    try:
        assert load().max_files == 3
        monkeypatch.setenv("BRAINTUMOR_MAX_FILES", "4")
        assert load().max_files == 3
    finally:
        load.cache_clear()
