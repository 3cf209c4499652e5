"""The key that signs the login cookie."""

from braintumor.database.secret_file import secret
from braintumor.settings import Settings


def signing_key(settings: Settings) -> str:
    """Give the key from the settings, else the one in ``data_dir/cookie.key``, made on the first start.

    Raises ``SettingsError`` where the file holds no usable key.
    """
    return settings.cookie_key or secret(settings.data_dir / "cookie.key", "everybody must then log in anew")
