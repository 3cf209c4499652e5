"""Text from outside, made safe for the places where Streamlit reads Markdown."""

import re

_ACTIVE = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~:$&@/=^])")


def plain(text: str) -> str:
    """Escape every sign that Markdown, HTML or Streamlit's own directives give a meaning."""
    return _ACTIVE.sub(r"\\\1", re.sub(r"\s", " ", text))
