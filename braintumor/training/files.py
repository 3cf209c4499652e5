"""Small files that someone may read while they are written."""

from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Put ``text`` in the place of a file at once; a reader sees the file as it was or whole."""
    draft = path.with_name(f".{path.name}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
