import pytest

from braintumor.reports.values import person


@pytest.mark.parametrize(
    ("stored", "written"),
    [
        ("DOE^JANE", "DOE, JANE"),
        ("Müller^Zoë^^Dr.", "Müller, Zoë Dr."),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou (山田 太郎)"),
        ("Hong^Gildong=洪^吉洞", "Hong, Gildong (洪 吉洞)"),
        ("Иванов^Пётр", "Иванов Пётр"),
        ("Doe", "Doe"),
        ("^JANE", "JANE"),
        ("", ""),
        ("^^", ""),
    ],
)
def test_a_name_of_dicom_is_written_as_people_read_it(stored, written):
    assert person(stored) == written
