"""Decoding of image, audio, text and array files: exact pixels, orientation, bombs, damage, resampling."""

from __future__ import annotations

import io
import pickle
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmaudit.data.decoding import ArrayDecoder, AudioDecoder, ImageDecoder, TextDecoder, decoder_of
from mmaudit.errors import BadInput
from mmaudit.types import Array, Modality

RNG = np.random.default_rng(7)
PIXELS = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)


def encoded(picture: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_pictures_come_back_as_they_were(form: str) -> None:
    found = ImageDecoder().decode(encoded(Image.fromarray(PIXELS), form), "x")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, PIXELS)


# What each EXIF orientation means, by the standard's table: how to turn the stored picture into the upright one.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", sorted(UPRIGHT))
def test_orientation_of_the_camera_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = ImageDecoder().decode(encoded(Image.fromarray(PIXELS), "PNG", exif=exif), "x")
    np.testing.assert_array_equal(found, UPRIGHT[orientation](PIXELS))


def test_grey_palette_and_transparency() -> None:
    grey = ImageDecoder("L").decode(encoded(Image.fromarray(PIXELS)), "x")
    luma = (PIXELS.astype(float) @ [0.299, 0.587, 0.114]).round()  # ITU-R 601
    assert grey.shape == (5, 7)
    assert np.abs(grey - luma).max() <= 1
    alpha = np.dstack([PIXELS, np.zeros((5, 7), np.uint8)])
    np.testing.assert_array_equal(ImageDecoder().decode(encoded(Image.fromarray(alpha, "RGBA")), "x"), PIXELS)
    palette = Image.fromarray(PIXELS).quantize(4)
    found = ImageDecoder().decode(encoded(palette, transparency=b"\x00\xff"), "x")
    np.testing.assert_array_equal(found, np.array(palette.convert("RGB")))


def test_sixteen_bits_are_kept_or_refused() -> None:
    deep = RNG.integers(0, 65_536, (4, 6), dtype=np.uint16)
    content = encoded(Image.fromarray(deep))
    np.testing.assert_array_equal(ImageDecoder("I;16").decode(content, "x"), deep)
    with pytest.raises(BadInput, match="16 bits per pixel"):
        ImageDecoder("L").decode(content, "x")
    flat = np.full((4, 6), 40_000, np.uint16)
    np.testing.assert_array_equal(ImageDecoder("I;16", (8, 3)).decode(encoded(Image.fromarray(flat)), "x"), 40_000)


def test_resized_to_height_and_width() -> None:
    flat = np.full((6, 10, 3), 77, np.uint8)
    found = ImageDecoder(size=(3, 20)).decode(encoded(Image.fromarray(flat)), "x")
    assert found.shape == (3, 20, 3)
    assert (found == 77).all()
    # Halving with antialiasing keeps the mean; taking every second pixel of a checkerboard would not.
    board = (np.indices((32, 32)).sum(axis=0) % 2 * 255).astype(np.uint8)
    half = ImageDecoder("L", (16, 16)).decode(encoded(Image.fromarray(board)), "x")
    assert abs(half.mean() - 127.5) < 3


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that says it is of that size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 500)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(9000, 9000), (12_000, 12_000), (100_000, 100_000)])
def test_bombs_are_refused_before_they_are_unpacked(width: int, height: int) -> None:
    with pytest.raises(BadInput, match=r"pixels|cannot be decoded"):
        ImageDecoder().decode(bomb(width, height), "x")


def test_pictures_that_run_other_programs_are_not_opened() -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    with pytest.raises(BadInput, match="cannot be decoded"):
        ImageDecoder().decode(eps, "x")


def test_damaged_pictures_are_named() -> None:
    whole = encoded(Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)), "JPEG")
    for content in (b"", b"nothing", whole[: len(whole) // 2], whole[:4]):
        with pytest.raises(BadInput, match=r"image 'a\.jpg' cannot be decoded"):
            ImageDecoder().decode(content, "'a.jpg'")


def wave_file(values: Array, rate: int, form: str = "WAV", subtype: str = "PCM_16") -> bytes:
    soundfile = pytest.importorskip("soundfile")
    out = io.BytesIO()
    soundfile.write(out, values, rate, format=form, subtype=subtype)
    return out.getvalue()


def test_sixteen_bit_sound_is_exact() -> None:
    import wave

    samples = RNG.integers(-32_768, 32_768, 100, dtype=np.int16)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:  # the standard library writes, soundfile reads
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(samples.tobytes())
    pytest.importorskip("soundfile")
    found = AudioDecoder().decode(out.getvalue(), "x")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, samples / np.float32(32_768))


def test_channels_are_averaged_or_kept() -> None:
    stereo = RNG.integers(-1000, 1000, (50, 2), dtype=np.int16)
    content = wave_file(stereo, 8000, "FLAC")
    mono = AudioDecoder().decode(content, "x")
    np.testing.assert_allclose(mono, stereo.mean(axis=1) / 32_768, atol=1e-7)
    both = AudioDecoder(channels="all").decode(content, "x")
    np.testing.assert_array_equal(both, stereo / np.float32(32_768))


@pytest.mark.parametrize(("came", "wanted"), [(44_100, 16_000), (8000, 16_000), (48_000, 8000)])
def test_resampled_sine_is_the_sine_at_the_other_rate(came: int, wanted: int) -> None:
    seconds, pitch = 0.5, 440.0
    sine = 0.5 * np.sin(2 * np.pi * pitch * np.arange(int(seconds * came)) / came)
    found = AudioDecoder(wanted).decode(wave_file(sine, came, subtype="FLOAT"), "x")
    assert len(found) == int(seconds * wanted)
    expected = 0.5 * np.sin(2 * np.pi * pitch * np.arange(len(found)) / wanted)
    edge = len(found) // 10  # the filter runs in and out there
    assert np.abs(found - expected)[edge:-edge].max() < 2e-3


def test_rates_that_differ_need_a_decision() -> None:
    decoder = AudioDecoder()
    decoder.decode(wave_file(np.zeros(10), 8000), "a")
    with pytest.raises(BadInput, match="8000"):
        decoder.decode(wave_file(np.zeros(10), 16_000), "b")


def test_cut_and_padded_to_a_duration() -> None:
    ramp = np.arange(1, 11) / 100
    short = AudioDecoder(10, seconds=1.5).decode(wave_file(ramp, 10, subtype="FLOAT"), "x")
    np.testing.assert_allclose(short, [*ramp, 0, 0, 0, 0, 0], rtol=1e-6)
    long = AudioDecoder(10, seconds=0.4).decode(wave_file(ramp, 10, subtype="FLOAT"), "x")
    np.testing.assert_allclose(long, ramp[:4], rtol=1e-6)


def test_long_empty_and_damaged_sounds_are_refused() -> None:
    content = wave_file(np.zeros(1000), 8000, "FLAC")
    with pytest.raises(BadInput, match="more than 100 values"):
        AudioDecoder(max_values=100).decode(content, "x")
    with pytest.raises(BadInput, match="empty"):
        AudioDecoder().decode(wave_file(np.zeros(0), 8000), "x")
    for damaged in (b"", b"RIFF", content[:20]):
        with pytest.raises(BadInput, match="cannot be decoded"):
            AudioDecoder().decode(damaged, "x")


def test_text_is_utf8() -> None:
    assert TextDecoder().decode("\ufeffgrüße שלום".encode(), "x") == "grüße שלום"
    with pytest.raises(BadInput, match="not UTF-8"):
        TextDecoder().decode(b"\xff\xfe", "x")


class Runs:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("unpickled",))


def test_arrays_are_never_unpickled() -> None:
    out = io.BytesIO()
    np.save(out, PIXELS)
    np.testing.assert_array_equal(ArrayDecoder().decode(out.getvalue(), "x"), PIXELS)
    out = io.BytesIO()
    np.save(out, np.array([Runs()], dtype=object), allow_pickle=True)
    for content in (out.getvalue(), pickle.dumps(Runs()), b"", b"\x93NUMPY\x01\x00"):
        with pytest.raises(BadInput, match="cannot be read"):
            ArrayDecoder().decode(content, "x")


def test_a_header_that_lies_about_its_size_is_refused() -> None:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    with pytest.raises(BadInput, match="cannot be read"):
        ArrayDecoder().decode(out.getvalue() + b"\0" * 80, "x")


def test_kinds_with_options() -> None:
    made, decoder = decoder_of("photo", "image,mode=L,size=12x34")
    assert (made.layout, made.range, made.dtype) == ("HW", (0.0, 255.0), "uint8")
    assert decoder == ImageDecoder("L", (12, 34))
    made, decoder = decoder_of("voice", "audio,sample_rate=16000,seconds=2,channels=all")
    assert (made.layout, made.sample_rate) == ("TC", 16_000.0)
    assert decoder == AudioDecoder(16_000, "all", 2.0)
    assert "resampled to 16000 Hz" in decoder.said
    assert decoder_of("x", Modality("x", "image", layout="HW"))[1] == ImageDecoder("L")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("image,size=3", "size"),
        ("image,size=0x5", "size"),
        ("image,mode=CMYK", "CMYK"),
        ("audio,channels=two", "two"),
        ("audio,seconds=3", "sample_rate"),
        ("audio,sample_rate=-1", "sample_rate"),
        ("picture", "picture"),
        ("image,layout=CHW", "layout"),
    ],
)
def test_kinds_that_cannot_be_read(kind: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        decoder_of("x", kind)


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16"])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 4000), (-1, 1)])
def test_pictures_of_floats_are_refused(mode: str, low: float, high: float) -> None:
    content = encoded(Image.fromarray(np.linspace(low, high, 30, dtype=np.float32).reshape(5, 6)), "TIFF")
    with pytest.raises(BadInput, match=r"image 'a\.tif' has floating-point pixels.*save it with 8 or 16 bits"):
        ImageDecoder(mode).decode(content, "'a.tif'")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB"])
def test_other_pictures_are_not_taken_for_sixteen_bits(mode: str) -> None:
    content = encoded(Image.fromarray(PIXELS).convert(mode))
    with pytest.raises(BadInput, match=rf"image x \(Pillow's mode {mode}\) is not 16-bit grey"):
        ImageDecoder("I;16").decode(content, "x")


def test_whole_numbers_beyond_sixteen_bits_are_refused() -> None:
    for values, said in (
        (np.array([[-1, 5]], np.int32), "from -1 to 5"),
        (np.array([[0, 65_536]], np.int32), "65,536"),
    ):
        with pytest.raises(BadInput, match=said):
            ImageDecoder("I;16").decode(encoded(Image.fromarray(values), "TIFF"), "x")
