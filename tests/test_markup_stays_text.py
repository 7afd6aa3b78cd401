"""Markup in the names and texts of model and data is shown as text, wherever a report shows it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from mmaudit import ArrayData, FunctionModel, Report, Task, audit
from mmaudit.types import Array
from report_html import Page, strange_scripts

N = 60
EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">'


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses |= {value or "" for name, value in attrs if name in ("src", "href")}


def test_markup_in_names_and_texts_stays_text(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(N * 4) % 2
    names = [f"yes {EVIL}", "no</td></table>"]
    texts = [f"{'good' if label else 'bad'} {EVIL} & more" for label in y]
    photo = (rng.random((len(y), 6, 6, 3)) * 60 + 120 * y[:, None, None, None]).astype(np.uint8)
    note, image = f"note {EVIL}", "photo</style>"
    data = ArrayData(
        {note: texts, image: photo},
        y,
        Task.classification(names),
        ids=[f"{EVIL} {i}" for i in range(len(y))],
        groups={f"site {EVIL}": [f"{EVIL} {label}" for label in y]},
    )

    def answer(text: Array, image: Array) -> Array:
        if image.mean() == 0:
            raise ValueError(f"dark {EVIL}")
        score = np.array([2.0 * t.startswith("good") - 1 for t in text]) + (image.mean(axis=(1, 2, 3)) - 90) / 300
        return np.stack([-score, score], axis=1)

    model = FunctionModel(answer, [note, image], outputs="logits", name=f"model {EVIL}")
    report = audit(
        model,
        data,
        out=tmp_path / "run",
        suite={"probes": ["missing", "mismatch", "keyboard"], "positions": [5], "baselines": ["zero", "marginal"]},
        title=f"title {EVIL}",
        command=f"mmaudit audit --title '{EVIL}'",
        resamples=50,
    )
    assert report.document["examples"]
    assert any(f.rule == "model_raised" for f in report.findings)
    page = (tmp_path / "run" / "report.html").read_text()
    seen = Tags()
    seen.feed(page)
    assert "alert(1)" in page  # it is shown, as text
    assert "&lt;script&gt;alert(1)" in page
    pictures = Tags()
    pictures.feed((tmp_path / "run" / "gallery.html").read_text())
    inline = Tags()
    inline.feed(report._repr_html_())
    assert strange_scripts(Page(page)) == []  # the page's own are named by their hashes
    assert "script" not in inline.tags | pictures.tags
    for tags in (seen, inline, pictures):
        assert not {name for name in tags.attributes if name.startswith("on")}
        assert all(a.startswith(("#", "data:")) or a == "gallery.html" for a in tags.addresses)
    assert Report.read(tmp_path / "run") == report
