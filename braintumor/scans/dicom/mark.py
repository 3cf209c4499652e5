"""How a DICOM file is known by its first bytes."""

_LONGEST_FIRST_VALUE = 512
PREAMBLE = 128


def is_dicom(start: bytes) -> bool:
    """Know DICOM by its mark or, without a preamble, by a first element of group 2 or 8 (PS3.10, section 7.1)."""
    if start[PREAMBLE : PREAMBLE + 4] == b"DICM":
        return True
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    implicit = int.from_bytes(start[4:8], "little") <= _LONGEST_FIRST_VALUE
    return start[:2] in (b"\x02\x00", b"\x08\x00") and len(start) > 8 and start[3] == 0 and (explicit or implicit)
