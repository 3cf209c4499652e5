"""Files that are put in their place at once, so that a reader sees them as they were or whole."""

import zipfile
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Put ``text`` in the place of a file."""
    draft = path.with_name(f".{path.name}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def deflate(path: Path) -> None:
    """Compress the files in a ZIP archive, in its place; Keras stores those of its own as they are."""
    draft = path.with_name(f".{path.name}")
    with zipfile.ZipFile(path) as stored, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as deflated:
        for member in stored.infolist():
            deflated.writestr(
                zipfile.ZipInfo(member.filename, member.date_time), stored.read(member), zipfile.ZIP_DEFLATED
            )
    draft.replace(path)
