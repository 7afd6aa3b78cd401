"""The gallery: every probe on one sample, as pictures, sounds, texts and curves, without a script."""

from __future__ import annotations

import base64
import io
import re
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.probe_samples import everything, scope_of, source_of
from mmaudit import audit
from mmaudit.data import ArrayData
from mmaudit.demo.samples import samples
from mmaudit.errors import BadInput, UnknownName
from mmaudit.exhibits import exhibit
from mmaudit.gallery import exhibition, gallery
from mmaudit.models import FunctionModel
from mmaudit.probes import probes
from mmaudit.render.gallery import gallery_page
from mmaudit.types import Condition, Modality, Task

DATA = everything()
SOURCE = source_of(DATA)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    return gallery(samples(), out=tmp_path_factory.mktemp("gallery")).read_text("utf-8")


def test_every_corruption_of_every_kind_is_on_the_page_at_five_severities(page):
    articles = dict(re.findall(r'<article class="probe">\s*<h4>([^<]+)</h4>(.*?)</article>', page, re.DOTALL))
    for probe in probes:
        if probe.family != "corruption":
            continue
        assert probe.name in articles or f"<code>{probe.name}</code>" in page, (
            f"{probe.name} is neither shown nor declined"
        )
        if probe.name in articles:
            assert articles[probe.name].count("<figure") == 5


def test_the_page_stands_alone(page):
    assert "<script" not in page
    assert "default-src 'none'" in page
    outside = [u for u in re.findall(r'(?:src|href)="([^"]+)"', page) if not u.startswith(("data:", "#"))]
    assert outside == []
    assert page.count("<audio") >= 5
    assert page.count("data:image/webp") >= 5
    assert "<ins>" in page


def test_the_same_data_give_the_same_page(tmp_path):
    pages = [gallery(samples(), out=tmp_path / f"{i}.html", modalities=["text"]).read_bytes() for i in range(2)]
    assert pages[0] == pages[1]
    assert b"data:image" not in pages[0]


def test_modalities_are_chosen_by_name_or_kind_and_samples_by_id(tmp_path):
    text = gallery(DATA, out=tmp_path / "a.html", modalities=["question"], sample="sample-4").read_text("utf-8")
    assert "<code>sample-4</code>" in text
    assert text.count("<section") == 1
    steps: list[str] = []
    images = gallery(DATA, out=tmp_path, modalities=["image"], suite=["gaussian_noise"], progress=steps.append)
    assert images == tmp_path / "gallery.html"
    assert [step.split()[0] for step in steps] == ["reading", "drawing"]
    assert images.read_text("utf-8").count("<section") == 5


def test_the_page_says_what_it_does_not_show_and_where_that_is(page):
    head = page.partition("</header>")[0]
    assert "Not shown: gradient attacks, which need a model; missing rates and mechanisms" in head
    assert "<code>mmaudit list probes</code>" in head
    shown = set(re.findall(r"<h4>([^<]+)</h4>", page))
    unshown = {p.name for p in probes} - shown
    hidden = {p.name for p in probes if p.family in ("adversarial", "conflict", "control", "missing")}
    assert hidden - {"missing"} | {"surface"} <= unshown
    document = exhibition(
        DATA, SOURCE, [c for c in probes.get("embedding.fgsm").grid(scope_of(DATA)) if isinstance(c, Condition)]
    )
    attacked = gallery_page(document)
    assert "<h4>embedding.fgsm</h4>" in attacked
    assert "Not shown: missing rates" in attacked


def test_bad_input_is_one_clear_error(tmp_path):
    with pytest.raises(UnknownName, match="picture"):
        gallery(DATA, out=tmp_path / "x.html", modalities=["picture"])
    with pytest.raises(BadInput, match="no sample has the id 'nobody'"):
        gallery(DATA, out=tmp_path / "x.html", sample="nobody")
    with pytest.raises(BadInput, match="has no 'question'"):
        gallery(DATA, out=tmp_path / "x.html", modalities=["question"], sample="sample-1")
    steps: list[str] = []
    with pytest.raises(BadInput, match="does not exist"):
        gallery(DATA, out=tmp_path / "nowhere" / "x.html", modalities=["question"], progress=steps.append)
    assert steps == []  # before the data were read
    assert list(tmp_path.iterdir()) == []


def test_hostile_text_is_shown_not_run(tmp_path):
    text = "<script>alert(1)</script> & <img src=x onerror=alert(2)>"
    data = ArrayData({"t": [text] * 4}, [0, 1, 0, 1], Task.classification(2), kinds={"t": "text"})
    page = gallery(data, out=tmp_path / "x.html").read_text("utf-8")
    assert "<script" not in page
    assert "<img" not in page


def decoded(uri: str) -> io.BytesIO:
    return io.BytesIO(base64.b64decode(uri.partition(",")[2]))


@pytest.mark.parametrize("layout", ["HW", "HWC", "CHW"])
def test_a_picture_shows_the_values(layout):
    x = np.linspace(-1, 1, 32 * 48).reshape(32, 48)
    value = {"HW": x, "HWC": np.stack([x] * 3, -1), "CHW": np.stack([x] * 3)}[layout]
    shown = exhibit(Modality("i", "image", value.shape, layout=layout, range=(-1, 1)), value, value)
    pixels = np.asarray(Image.open(decoded(shown["image"])).convert("L").resize((48, 32)), float)
    assert np.abs(pixels - (x + 1) * 127.5).mean() < 4


@pytest.mark.parametrize("rate", [8000, 44_100])
def test_a_sound_keeps_its_pitch_and_its_loudness_relative_to_the_original(rate):
    time = np.arange(rate) / rate
    tone = np.sin(2 * np.pi * 440 * time)
    modality = Modality("a", "audio", (rate,), sample_rate=rate)
    levels = []
    for gain in (1.0, 0.5):
        with wave.open(decoded(exhibit(modality, gain * tone, tone)["audio"])) as file:
            heard = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
            spectrum = np.abs(np.fft.rfft(heard))
            assert abs(np.argmax(spectrum) * file.getframerate() / len(heard) - 440) < 2
            assert file.getframerate() <= 16_000
        levels.append(np.abs(heard).max())
    assert levels[1] / levels[0] == pytest.approx(0.5, abs=0.02)


def test_empty_and_silent_sounds_are_shown():
    modality = Modality("a", "audio", (None,), sample_rate=8000)
    for value in (np.zeros(0), np.zeros(1), np.zeros(500)):
        assert exhibit(modality, value, value)["audio"].startswith("data:audio/wav")


def test_a_run_has_its_gallery_and_the_report_links_to_it(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    data = ArrayData(
        {"x": x, "z": x}, (x[:, 0] > 0).astype(int), Task.classification(2), kinds={"x": "embedding", "z": "embedding"}
    )
    model = FunctionModel(lambda x, z: np.stack([-x[:, 0], x[:, 0]], 1), ["x", "z"], outputs="logits")
    report = audit(model, data, out=tmp_path / "run", suite=["missing", "sign_flip"], resamples=10)
    shown = (tmp_path / "run" / "gallery.html").read_text("utf-8")
    assert "<h4>embedding.sign_flip</h4>" in shown
    assert 'href="gallery.html"' in (tmp_path / "run" / "report.html").read_text("utf-8")
    alone = report.to_html(tmp_path / "elsewhere.html")
    assert Path(alone).exists()


def test_a_scale_that_counts_is_hidden_and_any_other_is_shown_whole(page):
    """Blur's severities are 1, 2, 3, 4 and 6 px: to hide four of them would leave "6" beside a position unexplained."""
    articles = dict(re.findall(r'<article class="probe">\s*<h4>([^<]+)</h4>(.*?)</article>', page, re.DOTALL))
    table = probes.get("image.gaussian_blur").severities
    assert table[:2] == (1, 2)
    assert table != (1, 2, 3, 4, 5)
    shown = re.findall(r"<figcaption><b>(\d)</b> · ([^ <]+)", articles["image.gaussian_blur"])
    assert shown == [(str(i), f"{severity:.4g}") for i, severity in enumerate(table, 1)]
