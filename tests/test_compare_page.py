"""What a comparison is shown as: HTML, JSON, Markdown, table, lines on a terminal. Runs may come from strangers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from helpers.compare_cases import CONTROL, MODALITIES, blur, two_models, write
from mmaudit import Comparison, compare
from mmaudit.cli import app
from mmaudit.compared.markdown import LONGEST, code, plain
from mmaudit.compared.result import ROW_FIELDS
from mmaudit.compared.terminal import lines
from mmaudit.errors import BadInput, UnknownName
from mmaudit.figures.compared import LIMIT, differences, group_differences
from mmaudit.figures.compared_scatter import scatter
from mmaudit.render.live import source
from mmaudit.render.templates import style
from mmaudit.types import CLEAN, Condition, Modality

ACCURACY = {"clean": (0.85, 0.84), "missing": (0.6, 0.62), "corruption": (0.75, 0.6)}
EVIL = "<img src=x onerror=alert(1)>`|]($)\n# @you [a](javascript:x) \u202egnp.\x1b[31m"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pages")
    target, a, b = two_models(400, 0, ACCURACY)
    groups = {"site": np.where(np.arange(400) < 250, "north", EVIL)}
    return write(folder / "a", target, a, groups=groups), write(folder / "b", target, b, groups=groups)


@pytest.fixture(scope="module")
def found(runs: tuple[Path, Path]) -> Comparison:
    return compare(*runs, metrics=["ece"], resamples=100)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Names of runs, models, titles, conditions, modalities and groups hold what must not act."""
    folder = tmp_path_factory.mktemp("hostile")
    evil = Condition(EVIL, EVIL, 1, (EVIL,), options=((EVIL, EVIL * 50),), unit=EVIL)
    plan = (CLEAN, evil, blur(1))
    target, a, b = two_models(100, 0, ACCURACY, conditions=plan)
    head = {"title": EVIL, "suite": {"name": EVIL}, "created": EVIL}
    head["model"] = {"name": EVIL * 100, "fingerprint": EVIL}
    modalities = (MODALITIES[0], Modality(EVIL, "text", (), "str"))
    folders = [
        write(
            folder / f"{i}<script>`|x",
            target,
            x,
            conditions=some,
            modalities=modalities,
            groups={EVIL: np.repeat(EVIL, 100)},
            **head,
        )
        for i, (x, some) in enumerate(((a, plan), (b, plan[:2])))
    ]
    return compare(*folders, resamples=50)


class Page(HTMLParser):
    """Elements and attributes of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(comparison: Comparison, folder: Path) -> Page:
    return Page(comparison.to_html(folder / "c.html").read_text(encoding="utf-8"))


def test_the_page_says_what_was_found(found: Comparison, tmp_path: Path) -> None:
    page = page_of(found, tmp_path)
    text = " ".join(page.text.split())
    assert "“b” is worse than “a” under 2 of 4 conditions and better under 0; 2 are undecided" in text
    assert "paired on 400 samples" in text
    for row in found.rows:
        assert row.label not in text or row.condition != CONTROL.key
    for words in ("Benjamini and Hochberg", "two models as they are, not two recipes", "mmaudit compare", "▼"):
        assert words in text


@pytest.mark.parametrize("which", ["found", "hostile"])
def test_the_page_is_closed_and_its_anchors_lead_somewhere(
    which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    page = page_of(request.getfixturevalue(which), tmp_path)
    names = [tag for tag, _ in page.tags]
    assert not {"img", "iframe", "object", "form", "link", "base"} & set(names)
    assert names.count("script") == 1
    policy = next(a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert f"script-src {source(style('page.js'))};" in policy, "the one script, which sorts tables, by its hash"
    attributes = [(name, value or "") for _, a in page.tags for name, value in a.items()]
    assert not [name for name, _ in attributes if name.startswith("on")]
    ids = [value for name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = [value for name, value in attributes if name == "href"]
    assert targets
    assert all(value.startswith("#") and value[1:] in ids for value in targets)
    levels = [int(t[1]) for t in names if re.fullmatch("h[1-6]", t)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_a_house_style_heads_the_page(runs: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "house.toml").write_text('header_text = "Example Ltd"\n[colours]\naccent = "#7a1f5c"\n')
    command = ["compare", *map(str, runs), "--html", str(tmp_path / "c.html"), "--theme", str(tmp_path / "house.toml")]
    assert CliRunner().invoke(app, [*command, "--resamples", "20"]).exit_code == 0
    text = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert "<span>Example Ltd</span>" in text
    assert "#7a1f5c" in text


def test_the_same_comparison_gives_the_same_bytes(found: Comparison, runs: tuple[Path, Path], tmp_path: Path) -> None:
    again = compare(*runs, metrics=["ece"], resamples=100)
    for method, name in (("to_html", "html"), ("to_json", "json")):
        files = [getattr(c, method)(tmp_path / f"{i}.{name}") for i, c in enumerate((found, again))]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert found.to_markdown() == again.to_markdown()
    assert found.to_html(tmp_path).name == "comparison.html"


def test_json_has_every_number_and_no_nan(found: Comparison, tmp_path: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    value = json.loads(found.to_json(tmp_path / "new" / "c.json").read_text(), parse_constant=refuse)
    assert value["schema"] == "mmaudit.comparison/1"
    assert value["rows"]["columns"] == list(ROW_FIELDS)
    assert len(value["rows"]["rows"]) == len(found.rows) == len(found.frame)
    first = dict(zip(value["rows"]["columns"], value["rows"]["rows"][0], strict=True))
    assert first["delta"] == found.rows[0].delta
    assert [m["name"] for m in value["measures"]] == ["accuracy", "ece"]
    assert list(found.frame.columns) == list(ROW_FIELDS)
    with pytest.raises(BadInput, match="cannot write"):
        found.to_json(tmp_path / "new" / "c.json" / "below.json")


def test_markdown_holds_strangers_words_in_code_spans_only(hostile: Comparison) -> None:
    text = hostile.to_markdown()
    outside = re.sub(r"`[^`\n]*`", "", text)
    assert "img" not in outside
    assert "@" not in outside
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert set(re.findall(r"</?\w+>", outside)) <= {"<details>", "</details>", "<summary>", "</summary>"}
    rows = [line for line in outside.splitlines() if line.startswith("|")]
    assert rows
    assert {row.replace("\\|", "").count("|") for row in rows} == {7}


def test_code_and_plain_escape() -> None:
    assert code("a`b|c\nd") == "`aˋb\\|c d`"
    assert code("") == "` `"
    assert plain("<b>*x* @y https://z") == "\\<b\\>\\*x\\* &#64;y https&#58;//z"


def test_markdown_fits_into_a_comment(found: Comparison, tmp_path: Path) -> None:
    plan = (CLEAN, *(Condition(f"image.{'long' * 20}{i}", "corruption", 1, ("image",)) for i in range(90)))
    target, a, b = two_models(60, 1, {"clean": (0.95, 0.9), "corruption": (0.95, 0.2)}, conditions=plan)
    runs = [write(tmp_path / "a", target, a, conditions=plan)]
    runs += [write(tmp_path / f"b{i}", target, b, conditions=plan) for i in range(4)]
    comparison = compare(*runs, resamples=20)
    assert sum(comparison.counts(0).values()) == 91
    text = comparison.to_markdown()
    assert len(text.encode()) <= LONGEST
    assert "Cut here" in text
    assert text.count("<details>") == text.count("</details>")
    assert "Cut here" not in found.to_markdown()
    # More conditions than can be drawn: the picture has the largest, the table all.
    (figure,) = differences(comparison)
    assert f"Drawn are the {LIMIT} largest differences of 91 conditions" in figure.caption
    assert len(figure.table.rows) == 91


def test_tables_hold_the_numbers_of_the_charts(found: Comparison) -> None:
    (figure,) = differences(found)
    values = [row[4].value for row in figure.table.rows]
    gains = [r.delta for r in sorted(found.select(metric="accuracy", quantity="value"), key=lambda r: r.gain)]
    assert values == gains
    (groups,) = group_differences(found)
    assert len(groups.table.rows) == 4
    (both,) = scatter(found)
    assert [len(p.spec["layer"][-1]["data"]["values"]) for p in both.panels] == [4, 3]


def test_a_dash_has_its_reason(hostile: Comparison, tmp_path: Path) -> None:
    page = page_of(hostile, tmp_path)
    assert "was not measured under it" in page.text
    (figure,) = differences(hostile)
    cell = next(row[4] for row in figure.table.rows if row[4].value is None)
    assert "was not measured under it" in cell.reason


def test_lines_for_a_terminal_hold_nothing_that_acts(hostile: Comparison, found: Comparison) -> None:
    assert not [line for line in lines(hostile) if "\x1b" in line or "\u202e" in line or "\n" in line]
    said = list(lines(found))
    assert said[0].startswith("“b” is worse than “a” under 2 of 4 conditions")
    assert any("image.gaussian_blur[image]@3" in line and "▼" in line for line in said)


def test_counts_of_an_unknown_metric(found: Comparison) -> None:
    assert sum(found.counts(0, "ece").values()) == sum(found.counts(0).values()) == 4
    with pytest.raises(UnknownName, match="did you mean 'ece'"):
        found.counts(0, "ec")
    assert "b: 2 worse, 0 better, 2 undecided (accuracy, paired)" in repr(found)


def test_the_command(runs: tuple[Path, Path], found: Comparison, tmp_path: Path) -> None:
    asked = ["compare", *map(str, runs), "--metric", "ece", "--resamples", "100"]
    page, summary = tmp_path / "c.html", tmp_path / "c.md"
    shown = CliRunner().invoke(app, [*asked, "--html", str(page), "--markdown", str(summary)])
    assert shown.exit_code == 0, shown.output
    assert "is worse than “a” under 2 of 4 conditions" in shown.output
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert summary.read_text(encoding="utf-8") == found.to_markdown()
    written = json.loads(CliRunner().invoke(app, [*asked, "--json"]).output)
    assert written == json.loads(json.dumps(found.to_dict()))
    asked += ["--margin", "ece=0.2", "--margin", "accuracy=0.5", "--no-groups", "--json"]
    wide = json.loads(CliRunner().invoke(app, asked).output)
    assert {m["name"]: m["margin"] for m in wide["measures"]} == {"accuracy": 0.5, "ece": 0.2}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--margin", "much"], "--margin 'much' is not usable"),
        (["--margin", "0.1", "--margin", "ece=0.1"], "with and without a metric"),
    ],
)
def test_margins_on_the_command_line(runs: tuple[Path, Path], asked: list[str], said: str) -> None:
    shown = CliRunner().invoke(app, ["compare", *map(str, runs), *asked])
    assert isinstance(shown.exception, BadInput)
    assert said in str(shown.exception)


def test_comparing_loads_neither_torch_nor_netcal(runs: tuple[Path, Path], tmp_path: Path) -> None:
    program = (
        "import sys, mmaudit\n"
        "c = mmaudit.compare(sys.argv[1], sys.argv[2], resamples=10)\n"
        "c.to_html(sys.argv[3]), c.to_markdown()\n"
        "print([m for m in ('torch', 'captum', 'netcal', 'streamlit', 'mmaudit.models') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, runs), str(tmp_path / "c.html")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
