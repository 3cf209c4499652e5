"""Broken and hostile DICOM files, each with the reason that it must give; None where a right scan is as good."""

import gzip
import struct
import zlib

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from tests.scans.dicom_files import AXIAL, ROOT, dataset, dicom, enhanced, head, item, written

DAMAGED = "This DICOM file is damaged or cut short."
DAMAGED_PIXELS = "The images of this series are damaged or cut short."
TOO_MUCH = "This DICOM file holds more elements than are accepted."
TOO_MANY = "This DICOM file holds more images than are accepted."
NOT_GRAY = "The pixels of this series are no gray values of 8 or 16 bits."
OTHER_SIZE = "The packed pixels of this series have another size than its header says."
UNPACKS = "This DICOM file unpacks to more than is accepted."
NO_IMAGES = "It holds no images but a report, a document or the like."

UNDEFINED = 0xFFFFFFFF
END_ITEM, END_SEQUENCE = struct.pack("<HHL", 0xFFFE, 0xE00D, 0), struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
PER_FRAME, MEASURES, REFERENCED, PRIVATE = (0x5200, 0x9230), (0x28, 0x9110), (0x8, 0x1140), (0x11, 0x1010)
PIXELS = (0x7FE0, 0x0010)


def meta(syntax):
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    return bytes(128) + b"DICM" + b"\x02\x00\x10\x00UI" + struct.pack("<H", len(uid)) + uid


def plain(tag, value, length=None):
    """An element of implicit type."""
    return struct.pack("<HHL", *tag, len(value) if length is None else length) + value


def typed(tag, kind, value, length=None):
    """An element of explicit type with a long length."""
    return struct.pack("<HH2sHL", *tag, kind, 0, len(value) if length is None else length) + value


BASE = b"".join(
    plain(tag, value)
    for tag, value in (
        ((0x8, 0x16), b"1.2.840.10008.5.1.4.1.1.4.1\0"),
        ((0x8, 0x60), b"MR"),
        ((0x20, 0x0E), ROOT.encode() + b"66"),
        ((0x28, 0x2), b"\1\0"),
        ((0x28, 0x4), b"MONOCHROME2 "),
        ((0x28, 0x8), b"2 "),
        ((0x28, 0x10), b"\x20\0"),
        ((0x28, 0x11), b"\x20\0"),
        ((0x28, 0x100), b"\x10\0"),
        ((0x28, 0x101), b"\x10\0"),
        ((0x28, 0x102), b"\x0f\0"),
        ((0x28, 0x103), b"\0\0"),
    )
)
END = plain(PIXELS, head().tobytes() * 2)
ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
MANY = 1_000_000


def implicit(*parts):
    return meta(ImplicitVRLittleEndian) + BASE + b"".join(parts) + END


def in_item(content):
    return plain((0xFFFE, 0xE000), content)


def _elements(count):
    """Empty private elements, each with a tag of its own."""
    numbers = np.arange(count)
    groups, places = numbers // 60_000 * 2 + 0x11, numbers % 60_000 + 0x1001
    made = np.zeros((count, 2), "<u4")
    made[:, 0] = groups | places << 16
    return made.tobytes()


def _nested(depth, *, typed_too, defined):
    """Sequences in sequences."""
    if not defined:
        start = struct.pack("<HHL", *REFERENCED, UNDEFINED)
        start = struct.pack("<HH2sHL", *REFERENCED, b"SQ", 0, UNDEFINED) if typed_too else start
        start += struct.pack("<HHL", 0xFFFE, 0xE000, UNDEFINED)
        return start * depth + (END_ITEM + END_SEQUENCE) * depth
    size, head_size = 0, 12 if typed_too else 8
    parts = []
    for _ in range(depth):
        inner = struct.pack("<HHL", 0xFFFE, 0xE000, size)
        size += 8
        outer = struct.pack("<HH2sHL", *REFERENCED, b"SQ", 0, size)
        parts.append((outer if typed_too else struct.pack("<HHL", *REFERENCED, size)) + inner)
        size += head_size
    return b"".join(reversed(parts))


def _deflated(content, syntax=DeflatedExplicitVRLittleEndian):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return meta(syntax) + b"".join(packer.compress(part) for part in content) + packer.flush()


def _raw(tag, kind, value):
    """A good file with one more element of explicit type, before its last ones."""
    data = dicom(**{"PatientName": None, "PatientID": None, "PatientBirthDate": None, "PatientSex": None})
    at = data.index(b"\x18\x00\x50\x00DS")
    return data[:at] + struct.pack("<HH2sH", *tag, kind, len(value)) + value + data[at:]


def _changed(**raw):
    """A good file with the text of some numbers changed to what pydicom would not write."""
    made = dataset(**dict.fromkeys(raw))
    for name, value in raw.items():
        made.add_new(name, "LO", value)
    data = written(made)
    for name in raw:
        tag = struct.pack("<HH", made[name].tag.group, made[name].tag.element)
        data = data.replace(tag + b"LO", tag + b"DS")
    return data


def _packed(frame, syntax, **elements):
    made = dataset(PixelData=encapsulate([frame], has_bot=False), **elements)
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    made.file_meta.TransferSyntaxUID = syntax
    return written(made)


def _called(data, syntax, called):
    """A file whose head names another transfer syntax."""
    old, new = (uid.encode() + b"\0" * (len(uid) % 2) for uid in (syntax, called))
    at = data.index(old)
    return data[: at - 2] + struct.pack("<H", len(new)) + new + data[at + len(old) :]


def _compressed(size, syntax):
    made = dataset(head(size))
    made.compress(syntax)
    return made


def _larger_inside(syntax, **elements):
    made = _compressed(128, syntax)
    made.Rows = made.Columns = 32
    for name, value in elements.items():
        setattr(made, name, value)
    return written(made)


def _rle(segments, count=None):
    starts = np.cumsum([64, *(len(segment) for segment in segments)])[:-1]
    numbers = [len(segments) if count is None else count, *starts]
    return struct.pack("<16L", *numbers, *[0] * (16 - len(numbers))) + b"".join(segments)


def _with_type(name, kind, value):
    made = dataset(**{name: None})
    made.add_new(name, kind, value)
    return written(made)


def _frames(**changes):
    groups = {
        "PlanePositionSequence": {"ImagePositionPatient": [0, 0, 0]},
        "PlaneOrientationSequence": {"ImageOrientationPatient": AXIAL},
        **changes,
    }
    return [(head(), groups)]


def _cases():
    yield "no pixels", dicom(PixelData=None), DAMAGED
    yield "no rows", dicom(Rows=0), NO_IMAGES
    yield "no columns", dicom(Columns=None), NO_IMAGES
    yield "rows of text", _with_type("Rows", "LO", "many"), NO_IMAGES
    yield "more rows than pixels", dicom(Rows=33), DAMAGED
    yield "65535 x 65535 pixels", dicom(Rows=65535, Columns=65535), DAMAGED
    huge = dataset(Rows=None, Columns=None)
    huge.add_new("Rows", "UL", 100_000)
    huge.add_new("Columns", "UL", 100_000)
    yield "100000 x 100000 pixels", written(huge), DAMAGED
    huge.add_new("NumberOfFrames", "IS", 768)
    yield "768 frames of them", written(huge), DAMAGED
    yield "a billion frames", dicom(NumberOfFrames=1_000_000_000), DAMAGED
    yield "a billion packed frames", _packed(_rle([b"\0"]), RLELossless, NumberOfFrames=1_000_000_000), TOO_MANY
    yield "minus five frames", dicom(NumberOfFrames=-5), None
    yield "frames of text", _changed(NumberOfFrames="abc"), None
    yield "no bits", dicom(BitsAllocated=0), NOT_GRAY
    for bits in (1, 7, 12, 32, 64):
        yield f"{bits} bits", dicom(BitsAllocated=bits, PixelData=bytes(32 * 32 * 8)), NOT_GRAY
    yield "no bits stored", dicom(BitsStored=0), None
    yield "more bits stored than there are", dicom(BitsStored=40), None
    yield "highest bit 255", dicom(BitsStored=12, HighBit=255), None
    yield "pixels of kind 7", dicom(PixelRepresentation=7), DAMAGED_PIXELS
    yield "no samples", dicom(SamplesPerPixel=0), NOT_GRAY
    yield "four samples", dicom(SamplesPerPixel=4), NOT_GRAY
    yield "an unknown photometric interpretation", dicom(PhotometricInterpretation="MONOCHROME9"), DAMAGED_PIXELS
    yield "pixels of floats", dicom(PixelData=None, FloatPixelData=bytes(4096), BitsAllocated=32), NOT_GRAY
    yield "an odd length", dicom(PixelData=head().tobytes() + b"x"), None
    yield "wrong kind of a sequence", _with_type("PerFrameFunctionalGroupsSequence", "LO", "x" * 500), None
    yield "a sequence as the patient", _raw((0x10, 0x10), b"SQ", bytes(8)), None
    for size in (2, 8, 100, 60_000):
        yield (
            f"a length of {size} too much",
            _raw((0x10, 0x10), b"PN", b"x").replace(
                b"\x10\x00\x10\x00PN\x01\x00", b"\x10\x00\x10\x00PN" + struct.pack("<H", size)
            ),
            None,
        )
    # Numbers that make no sense leave the image without a place, or as it is stored.
    for value in ("nan", "inf", "1e300", "-1e300", "x", "", "1\\2", "1\\2\\3\\4\\5\\6\\7", "\\\\\\\\\\", "9" * 16_000):
        for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "WindowWidth"):
            yield f"{name} {value[:20]}", _changed(**{name: value}), None
    yield "an intercept of 1e300", _changed(RescaleIntercept="1e300", RescaleSlope="1e29"), None
    yield "no distance between pixels", dicom(PixelSpacing=[0, 0]), None
    yield "a distance below none", dicom(PixelSpacing=[-1, 1]), None
    for name, orientation in {
        "no orientation": [0] * 6,
        "an orientation along one line": [1, 0, 0, 1, 0, 0],
        "an orientation at no right angle": [1, 0, 0, 0.5, 0.866, 0],
        "an orientation of length 2": [2, 0, 0, 0, 2, 0],
    }.items():
        yield name, dicom(ImageOrientationPatient=orientation), None
    for value in ("?", "..", "1.2." * 30, "<script>", "1.2\\1.3", "Doe^Jane"):
        yield f"the UID {value[:8]}", dicom(**dict.fromkeys(("StudyInstanceUID", "SeriesInstanceUID"), value)), None
    for name in ("PatientName", "SeriesDescription", "Manufacturer", "StudyDescription"):
        value = "HEAD \x1b[2J\x07<img src=x>\u202e[a](javascript:b)\u2028**x** {0} %s"
        yield f"signs in {name}", dicom(**{name: value}, SpecificCharacterSet="ISO_IR 192"), None
    for value in ("ISO 9999", "ISO_IR 192\\ISO 2022 IR 87", "\x1b$B", "x" * 300):
        yield f"character set {value[:9]}", dicom(SpecificCharacterSet=value), None
    yield "a padding of text", _changed(PixelPaddingValue="x"), None
    yield (
        "padding alone",
        dicom(np.zeros((32, 32), np.uint16), PixelPaddingValue=0),
        "This file holds no values that are numbers.",
    )
    table = item(LUTDescriptor=[0, 0, 16], ModalityLUTType="US", LUTData=b"")
    made = dataset()
    made.ModalityLUTSequence = [table]
    yield "an empty table", written(made), None
    yield from _places_and_frames()
    yield from _syntaxes()
    yield from _deep()
    yield from _bombs()
    yield from _cut()


def _places_and_frames():
    mosaic = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
    made = dataset(ImageType=mosaic)
    made.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", 1000)
    yield "a mosaic of more slices than pixels", written(made), None
    made = dataset(ImageType=mosaic)
    made.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", b"SV10" + bytes(500))
    yield "a mosaic with a damaged header", written(made), None
    yield "frames that say nothing", enhanced([(head(), {})] * 3), None
    fewer = dataset(np.stack([head()] * 4), NumberOfFrames=4)
    fewer.PerFrameFunctionalGroupsSequence = [item(FrameContentSequence=[item()])]
    yield "fewer items than frames", written(fewer), None
    yield "a frame at no place", enhanced(_frames(PlanePositionSequence={})), None
    yield "a frame of no type", enhanced(_frames(MRImageFrameTypeSequence={"FrameType": ""})), None
    yield "only the mark", bytes(128) + b"DICM", DAMAGED
    yield "zeros after the mark", bytes(128) + b"DICM" + bytes(5000), DAMAGED
    yield "ones after the mark", bytes(128) + b"DICM" + b"\xff" * 5000, DAMAGED
    yield "a command before the file", bytes(128) + b"DICM" + plain((0, 2), b"1.2 ") * 1000, DAMAGED
    yield "an index of nothing", dicom(SOPClassUID="1.2.840.10008.1.3.10"), None


def _syntaxes():
    for syntax in ("1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.94", "1.2.3.4", "Doe^Jane", "", "9" * 64):
        yield f"transfer syntax {syntax}", _called(_packed(b"xx", RLELossless), RLELossless, syntax), None
    packed = written(_compressed(32, RLELossless))
    yield "packed pixels called plain", _called(packed, RLELossless, ExplicitVRLittleEndian), None
    for syntax in (RLELossless, JPEGBaseline8Bit, JPEG2000Lossless, JPEGLSLossless):
        yield f"plain pixels called {syntax.name}", _called(dicom(), ExplicitVRLittleEndian, syntax), DAMAGED_PIXELS
        reason = OTHER_SIZE if syntax == RLELossless else DAMAGED_PIXELS
        yield f"noise called {syntax.name}", _packed(np.random.default_rng(1).bytes(999), syntax), reason
        yield f"nothing called {syntax.name}", _packed(bytes(2), syntax), DAMAGED_PIXELS
    for written_as, called in (
        (ExplicitVRLittleEndian, ImplicitVRLittleEndian),
        (ImplicitVRLittleEndian, ExplicitVRLittleEndian),
        (ExplicitVRLittleEndian, ExplicitVRBigEndian),
        (ExplicitVRBigEndian, ImplicitVRLittleEndian),
        (ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian),
    ):
        data = _called(dicom(syntax=written_as), written_as, called)
        yield f"{written_as.name} called {called.name}", data, None
    yield "JPEG 2000 larger than its header says", _larger_inside(JPEG2000Lossless), OTHER_SIZE
    yield "JPEG-LS larger than its header says", _larger_inside(JPEGLSLossless), OTHER_SIZE
    sizes = struct.pack(">LLLLLLLL", 2**31, 2**31, 0, 0, 2**31, 2**31, 0, 0)
    stream = b"\xff\x4f\xff\x51" + struct.pack(">HH", 41, 0) + sizes + struct.pack(">H3B", 1, 15, 1, 1)
    yield "JPEG 2000 of 2147483648 pixels a side", _packed(stream + bytes(99), JPEG2000Lossless), OTHER_SIZE
    frame = b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00"
    yield "JPEG of 65535 pixels a side", _packed(frame + bytes(99), JPEGBaseline8Bit), OTHER_SIZE
    deep = b"\xff\xd8\xff\xc1\x00\x0b\x0c\x00\x20\x00\x20\x01\x01\x11\x00" + bytes(99)
    twelve = "This series is packed as 12-bit lossy JPEG, which cannot be read."
    yield "12-bit lossy JPEG", _packed(deep, "1.2.840.10008.1.2.4.51"), twelve
    yield "RLE of 30 MB", _packed(_rle([b"\x81\0" * 250_000] * 2), RLELossless), OTHER_SIZE
    yield "RLE of 4294967295 segments", _packed(_rle([b"\x81\0"], count=2**32 - 1), RLELossless), DAMAGED_PIXELS


def _deep():
    for defined in (False, True):
        for typed_too in (False, True):
            content = _nested(10_000, typed_too=typed_too, defined=defined)
            what = f"sequences 10000 deep, lengths {defined}, types {typed_too}"
            start = meta(ExplicitVRLittleEndian) if typed_too else meta(ImplicitVRLittleEndian) + BASE
            yield what, start + content + (b"" if typed_too else END), None
            if not typed_too:
                yield f"{what}, in a frame", implicit(plain(PER_FRAME, in_item(content))), None


def _bombs():
    elements, items = _elements(MANY), ITEM * MANY
    for what, content in {
        "elements": elements,
        "elements in a frame": plain(PER_FRAME, in_item(elements)),
        "elements in a frame's measures": plain(PER_FRAME, in_item(plain(MEASURES, in_item(elements)))),
        "items": plain(PER_FRAME, items),
        "items of no end": plain(PER_FRAME, items, UNDEFINED) + END_SEQUENCE,
        "items in a frame": plain(PER_FRAME, in_item(plain(MEASURES, items))),
        "private items": plain(PRIVATE, items, UNDEFINED) + END_SEQUENCE,
        "pieces of pixels": plain(PIXELS, items, UNDEFINED) + END_SEQUENCE,
    }.items():
        yield f"millions of {what}", implicit(content), None
    for name, tag in {"types": (0x8, 0x8), "numbers": (0x20, 0x32), "names": (0x10, 0x10)}.items():
        yield f"millions of {name}", implicit(plain(tag, b"1\\" * 4_000_000)), None
    zeros = [bytes(2**20)] * 400
    bomb, late = _deflated([BASE, *zeros]), plain((2, 3), b"x" * 60_000)
    yield "deflate of 400 MB", bomb, UNPACKS
    yield "deflate of 400 MB, said late", bomb.replace(b"DICM", b"DICM" + late, 1), None
    yield "deflate cut short", _deflated([BASE, head().tobytes()])[:-20], DAMAGED
    packer = zlib.compressobj(wbits=31)
    parts = [packer.compress(part) for part in (implicit(), *zeros)]
    yield "gzip of 400 MB", b"".join(parts) + packer.flush(), "This file unpacks to more than is accepted."
    yield "gzip cut short", gzip.compress(dicom())[:-300], None


def _cut():
    frames = [(head(seed=number), {"FrameContentSequence": {}}) for number in range(3)]
    for name, data in {
        "slice": dicom(),
        "file of frames": enhanced(frames, shared={"PixelMeasuresSequence": {"PixelSpacing": [1, 1]}}),
        "packed slice": written(_compressed(32, JPEG2000Lossless)),
        "deflated slice": dicom(syntax=DeflatedExplicitVRLittleEndian),
    }.items():
        for tenth in range(1, 10):
            yield f"{name}, {tenth} tenths of it", data[: len(data) * tenth // 10], None


CASES = list(_cases())
