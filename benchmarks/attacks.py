"""Peak memory of a server while it reads and answers files that are small to send and large to read."""

import gzip
import io
import json
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header
from numpy.typing import NDArray

from benchmarks.result import Result
from braintumor.inference import Prediction
from braintumor.scans import Scan, phantom, read_all

_SIDE = 5000
"""A picture of 25 megapixels, the largest that is accepted."""
_CUBE = 382
"""A volume of 56 million voxels, the largest that is accepted."""
_FILES, _VOLUMES = 200, 16
_PAGE_SIDE = 128


def tiff_of_pages(count: int) -> bytes:
    """A TIFF of many small pages, each a hundred bytes: all show the one strip that is there."""
    strip = _body(_PAGE_SIDE).tobytes()
    data = bytearray(struct.pack("<2sHI", b"II", 42, 8 + len(strip)) + strip)
    for page in range(1, count + 1):
        tags = {
            **{256: _PAGE_SIDE, 257: _PAGE_SIDE, 258: 8, 259: 1, 262: 1},  # width, height, bits, no packing, gray
            **{273: 8, 278: _PAGE_SIDE, 279: len(strip)},  # the strip's place, rows and bytes
        }
        data += struct.pack("<H", len(tags))
        data += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        data += struct.pack("<I", len(data) + 4 if page < count else 0)
    return bytes(data)


def png(bits: int, channels: int) -> bytes:
    """A PNG of 25 megapixels that shows a body, of 8 or 16 bits a channel, in gray, RGB or RGBA."""
    kind = {1: 0, 3: 2, 4: 6}[channels]
    packer = zlib.compressobj(9)
    lines = (packer.compress(b"\0" + np.repeat(line, bits // 8 * channels).tobytes()) for line in _body(_SIDE))
    packed = b"".join(lines) + packer.flush()
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, bits, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def nifti(outside: int = 0) -> bytes:
    """A NIfTI volume of 56 million voxels, packed with gzip: the same body in every slice, on one value outside."""
    header = Nifti1Header()  # type: ignore[no-untyped-call]
    header.set_data_dtype(np.uint8)  # type: ignore[no-untyped-call]
    header.set_data_shape((_CUBE,) * 3)  # type: ignore[no-untyped-call]
    header.set_sform(np.eye(4), 1)  # type: ignore[no-untyped-call]
    header["vox_offset"] = header.single_vox_offset
    body = np.where(_body(_CUBE) > 0, _body(_CUBE), np.uint8(outside))
    return gzip.compress(header.binaryblock + bytes(4) + body.tobytes() * _CUBE, mtime=0)


def _body(side: int) -> NDArray[np.uint8]:
    """Draw nested ellipses, bright on dark, (side, side): few values, so that they pack to next to nothing."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    radius = np.hypot(x / 0.6, y / 0.8)
    gray = np.select([radius < 0.4, radius < 0.8, radius < 1], [120, 20, 200], 0)
    return gray.astype(np.uint8)


def zip_of(name: str, data: bytes, count: int) -> bytes:
    """A ZIP archive of one file under many names."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(count):
            archive.writestr(f"{number}-{name}", data)
    return file.getvalue()


ATTACKS: dict[str, Callable[[], bytes]] = {
    "a TIFF of 20,000 pages": lambda: tiff_of_pages(20_000),
    "a PNG of 25 megapixels, RGB of 8 bits": lambda: png(8, 3),
    "a ZIP archive of 200 TIFFs of 768 pages": lambda: zip_of("a.tif", tiff_of_pages(768), _FILES),
    "a PNG of 25 megapixels, RGBA of 16 bits": lambda: png(16, 4),
    "a NIfTI volume of 56 million voxels": lambda: nifti(),
    "such a volume on gray": lambda: nifti(100),
    "a ZIP archive of 16 such volumes": lambda: zip_of("head.nii.gz", nifti(), _VOLUMES),
    "a ZIP archive of 200 PNGs of 25 megapixels": lambda: zip_of("a.png", png(8, 1), _FILES),
}


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def run() -> list[Result]:
    results = []
    for name, make in ATTACKS.items():
        data = make()
        command = [sys.executable, "-m", "benchmarks.attacks"]
        done = subprocess.run(command, input=data, check=True, capture_output=True)
        before, peak, answered, refused = json.loads(done.stdout)
        detail = f"{len(data) / 1e6:.1f} MB sent, {before:.0f} MB before; {answered} answered, {refused} refused"
        results.append(Result(f"peak memory, {name}", peak, 600, "MB", detail, at_most=True))
    return results


def _answer(data: bytes) -> tuple[float, float, int, int]:
    """Read and answer a file as the server does, one scan at a time.

    Give its memory before and its peak in MB, and how many scans were answered and refused.
    """
    # What a server has loaded; this process is one of its own, so that no other attack is counted.
    from braintumor.dashboard import answers

    predictor = answers.predictor()
    predictor.predict([Scan(phantom().astype(np.float32)[np.newaxis], "", "")])
    before = _megabytes("VmRSS")
    kept: list[Prediction] = []
    refused = 0
    for outcome in read_all(data, "attack"):
        if isinstance(outcome, Scan):
            kept.extend(predictor.predict([outcome]))
            kept[-1].measurements()
        else:
            refused += 1
        del outcome
    return before, _megabytes("VmHWM"), len(kept), refused


def _megabytes(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(field)).split()[1]) / 1000


if __name__ == "__main__":
    print(json.dumps(_answer(sys.stdin.buffer.read())))
