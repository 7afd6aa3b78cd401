"""The dashboard's frame: runs, links, filters, texts of strangers, tables and charts to take away, the command."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from app_cases import FULL, MAIN, asked, charts, full, links, said, start, write_runs
from typer.testing import CliRunner

from helpers.hostile_case import sound
from helpers.hostile_runs import TRAVERSALS
from helpers.hostile_texts import HTML
from mmaudit.app.parts import drawing, pages, run_list, tables, texts
from mmaudit.app.parts.view import Filter, filtered
from mmaudit.browse.library import Entry
from mmaudit.cli import dashboard as command
from mmaudit.cli.application import app as cli
from mmaudit.errors import BadInput, MissingExtra
from mmaudit.figures import FIGURES, Cell, Column, Table, marks
from mmaudit.folder import writing


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(autouse=True)
def _own_command_line() -> Iterator[None]:
    before = sys.argv
    yield
    sys.argv = before


# ---- the list of runs


def test_every_run_is_listed_with_what_is_wrong_with_it(runs: Path) -> None:
    at = start(runs)
    assert not at.exception
    text = said(at)
    assert "run\\.json is not readable" in text
    assert "1 of 3 prediction files are missing" in text
    assert "1 critical" in text
    assert "2 major" in text
    assert f"run={FULL.replace('/', '%2F')}" in links(at).values()
    assert [e.proto.label for e in at.sidebar.get("page_link")] == ["Runs"]
    table = at.main.dataframe[0].value
    assert set(table["run"]) == {FULL, "cut", "broken"}
    assert table.set_index("run").loc["broken", "state"] == "damaged"


def test_a_folder_without_runs_says_how_to_make_one(tmp_path: Path) -> None:
    at = start(tmp_path)
    assert not at.exception
    assert "no run in this folder" in said(at)
    assert any("mmaudit demo" in c.value for c in at.main.code)


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    at = start(tmp_path / "nowhere")
    assert not at.exception
    assert "is not a folder" in said(at).replace("\\", "")


def test_a_link_without_a_run_never_opens_one(runs: Path) -> None:
    at = start(runs, "overview")
    assert at.sidebar.selectbox(key="run").value is None
    assert "No run is chosen" in said(at)
    assert not at.main.subheader


def test_choosing_a_run_in_the_sidebar_opens_its_overview(runs: Path) -> None:
    at = start(runs)
    at.sidebar.selectbox(key="run").select(FULL).run()
    assert asked(at) == {"run": [FULL]}
    assert at.main.title[0].value == texts.plain(full().document["title"])


@pytest.mark.parametrize("name", [n for n in TRAVERSALS if n and "\x00" not in n and n.isprintable()][:9])
def test_no_name_leads_out_of_the_folder(runs: Path, name: str) -> None:
    at = start(runs, "overview", run=name)
    assert not at.exception
    assert "There is no run" in said(at)


@pytest.mark.parametrize(("name", "reason"), [("broken", "not readable"), ("cut", "1 of 3 prediction files")])
def test_a_run_without_a_report_says_why_on_every_page(runs: Path, name: str, reason: str) -> None:
    for page in ("overview", "robustness", "subsets", "method"):
        at = start(runs, page, run=name)
        assert not at.exception
        assert reason in said(at)


def test_a_run_being_written_shows_how_far_it_is_and_then_what_came_of_it(tmp_path: Path) -> None:
    run = sound(tmp_path / "now")
    for name in ("report.json", "findings.json"):
        (run.folder / name).unlink()
    shards = sorted((run.folder / "predictions").iterdir())
    last = shards[-1].read_bytes()
    shards[-1].unlink()
    with writing(run.folder):
        at = start(tmp_path, "overview", run="now")
        assert not at.exception
        assert "being written" in said(at)
        assert "2 of 3" in at.main.get("progress")[0].proto.text
    shards[-1].write_bytes(last)
    (run.folder / "report.json").write_text(json.dumps(full().document), encoding="utf-8")
    (run.folder / "findings.json").write_text("[]", encoding="utf-8")
    from mmaudit.app.parts import state

    state.listing_changed()
    at.run()
    assert not at.exception
    assert at.main.title[0].value == texts.plain(full().document["title"])


def test_runs_can_be_ordered() -> None:
    def entry(name: str, level: str, n: int, **counts: int) -> Entry:
        return Entry(name, Path(name), "complete", level=level, n=n, counts=counts)

    some = [entry("b", "major", 3, major=1), entry("A", "critical", 1, critical=2), entry("c", "", 9)]
    some.append(entry("d", "critical", 2, critical=3))
    order = {o: [e.name for e in run_list.ordered(some, o)] for o in run_list.ORDERS}
    assert order == {
        "newest": ["b", "A", "c", "d"],
        "worst": ["d", "A", "b", "c"],
        "name": ["A", "b", "c", "d"],
        "largest": ["c", "b", "d", "A"],
    }


# ---- links and filters


def test_a_link_reproduces_run_filters_and_view(runs: Path) -> None:
    view = {"run": FULL, "view": "severity", "modality": ["image"], "metric": "ece"}
    at = start(runs, "robustness", **view)
    assert not at.exception
    assert at.main.get("button_group")[0].value == "severity"
    assert at.sidebar.multiselect(key="modality").value == ["image"]
    assert at.sidebar.selectbox(key="metric").value == "ece"
    expected = [p for f in FIGURES["severity"](filtered(full(), Filter(("image",), metric="ece"))) for p in f.panels]
    assert expected
    assert len(charts(at)) == min(len(expected), 6)
    assert "ECE" in json.dumps(charts(at))
    assert "conditions that change image" in said(at)


def test_a_filter_is_written_to_the_url_and_goes_when_it_is_the_default(runs: Path) -> None:
    at = start(runs, "robustness", run=FULL)
    at.sidebar.multiselect(key="family").select("corruption").run()
    at.sidebar.selectbox(key="metric").select("ece").run()
    assert asked(at) == {"run": [FULL], "family": ["corruption"], "metric": ["ece"]}
    at.sidebar.selectbox(key="metric").select("accuracy").run()
    at.sidebar.multiselect(key="family").unselect("corruption").run()
    assert asked(at) == {"run": [FULL]}


def test_every_link_carries_run_and_filters(runs: Path) -> None:
    at = start(runs, "overview", run=FULL, modality=["image", "question"], group="question type=shape")
    carried = "run=some%2Ffull&modality=image&modality=question&group=question+type%3Dshape"
    found = [*links(at).values(), *(e.proto.query_string for e in at.sidebar.get("page_link"))]
    assert len(found) > len(pages.PAGES)
    assert all(query.startswith(carried) for query in found)


def test_values_that_a_run_does_not_have_are_no_filters(runs: Path) -> None:
    at = start(runs, "robustness", run=FULL, modality="smell", metric="no_such", group="a=b", view="nope")
    assert not at.exception
    assert at.sidebar.multiselect(key="modality").value == []
    assert at.sidebar.selectbox(key="metric").value == "accuracy"
    assert at.main.get("button_group")[0].value == "grid"


def test_a_filtered_report_keeps_what_is_chosen_and_leaves_the_whole_alone() -> None:
    report = full()
    before = json.dumps(report.document)
    image = filtered(report, Filter(("image",), ("corruption",)))
    kept = [m.condition for m in image.conditions]
    assert len(kept) > 5
    assert all(c.family == "clean" or ("image" in c.modalities and c.family == "corruption") for c in kept)
    dropped = {m.key for m in report.conditions} - {m.key for m in image.conditions}
    assert dropped
    assert not dropped & {s.condition for s in image.rows}
    assert json.dumps(report.document) == before
    assert filtered(report, Filter(metric="accuracy")) is report


def test_a_group_takes_the_place_of_all_samples() -> None:
    report = full()
    group = next(s.group for s in report.rows if s.group)
    part = filtered(report, Filter(group=group))
    wanted = [s for s in report.rows if s.group == group]
    assert [repr(replace(s, group=group)) for s in part.rows] == [repr(s) for s in wanted]
    assert {s.group for s in part.rows} == {""}
    assert part.document["reliability"] == []
    # By what they show: from Python 3.13 on, values that are not numbers make a row differ from itself.
    assert repr(filtered(report, Filter(group="no=such")).rows) == repr(report.rows)


# ---- texts of strangers


@pytest.mark.parametrize(
    "text",
    [
        HTML, "**b** _i_ `c` ~~s~~", "[l](javascript:alert(1))", ":red[x] :red-badge[x] :smile: :material/home:",
        "$x$ $$y$$", "# h", "1. x", "- x", "> x", "| a | b |", "![x](http://a.example/x.png)", "&lt;b&gt;",
    ],
)  # fmt: skip
def test_plain_text_has_no_markdown_left(text: str) -> None:
    shown = texts.plain(text)
    bare = [c for i, c in enumerate(shown) if c in "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~" and shown[i - 1] != "\\"]
    assert not bare
    assert shown.replace("\\\\", "\0").replace("\\", "").replace("\0", "\\").replace("\u2060", "") == " ".join(
        text.split()
    )


@pytest.mark.parametrize("text", ["http://evil.example", "www.evil.example", "a@b.example", "a -> b", ":streamlit:"])
def test_what_is_replaced_after_markdown_is_broken_up(text: str) -> None:
    assert "\u2060" in texts.plain(text)


def test_plain_text_is_short_and_keeps_its_direction() -> None:
    assert len(texts.plain("x" * 10_000)) <= 600
    assert "\u202e" not in texts.plain("abc\u202edef")
    assert "\n" not in texts.plain("a\n\n# b")


def test_no_page_allows_html() -> None:
    sources = {p: p.read_text(encoding="utf-8") for p in MAIN.parent.rglob("*.py")}
    assert len(sources) > 20
    assert not [p for p, s in sources.items() if "unsafe_allow" in s]
    assert [p.name for p, s in sources.items() if "st.html(" in s] == ["look.py"]
    assert not [p for p, s in sources.items() if "import pickle" in s or 'persist="disk"' in s]


# ---- tables and charts to take away


def sample_table() -> Table:
    rows = (
        (Cell("=cmd()"), Cell("97.4 % [97.1, 97.7]", 0.974), Cell("−3.0 pp", -0.03)),
        (Cell("<b>b</b>"), Cell("—", None, "one class only"), Cell("+1.0 pp", 0.01)),
    )
    return Table((Column("what", numeric=False), Column("value"), Column("value")), rows)


def test_a_table_is_saved_with_numbers_words_and_reasons() -> None:
    frame = pd.read_parquet(io.BytesIO(tables.parquet(sample_table())))
    assert list(frame) == ["what", "value", "value (shown)", "value (why none)", "value (2)", "value (2) (shown)"]
    assert frame["value"][0] == 0.974
    assert pd.isna(frame["value"][1])
    assert frame["value (why none)"][1] == "one class only"
    text = tables.csv(sample_table()).decode("utf-8-sig")
    again = pd.read_csv(io.StringIO(text))
    assert again["what"][0] == "'=cmd()"
    assert again["value (2)"].tolist() == [-0.03, 0.01]
    assert "−3.0 pp" in text


def test_a_file_name_cannot_be_a_path() -> None:
    assert tables.file_name("../../etc/passwd\x00<b>") == "etc-passwd-b"
    assert tables.file_name("…") == "table"


def test_pictures_are_what_they_say_and_fetch_nothing() -> None:
    spec = FIGURES["severity"](full())[0].panels[0].spec
    assert drawing.svg(spec).startswith(b"<svg")
    assert drawing.png(spec).startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="not allowed"):
        drawing.svg({**spec, "layer": [{**spec["layer"][0], "data": {"url": "http://a.example/x.csv"}}]})


def contrast(a: str, b: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_dark_colours_can_be_read_on_the_dark_ground() -> None:
    ground = drawing.DARK[marks.PAPER]
    assert ground == command.THEME["dark"]["backgroundColor"]
    for light, dark in drawing.DARK.items():
        if light not in (marks.PAPER, marks.GRID):
            assert contrast(dark, ground) >= 4.5
    spec = FIGURES["severity"](full())[0].panels[0].spec
    text = json.dumps(drawing.on_dark(drawing.live(spec)))
    assert not [c for c in drawing.DARK if c in text]


def test_a_figure_drawn_live_has_padding_by_side_and_one_legend() -> None:
    panels = [p for name in ("heatmap", "arbitration", "overview") for f in FIGURES[name](full()) for p in f.panels]
    assert len(panels) > 4
    for panel in panels:
        spec = drawing.live(panel.spec)
        assert set(spec["padding"]) == {"left", "right", "top", "bottom"}
        for layer in spec["layer"]:
            if layer["mark"]["type"] in ("rule", "rect", "line"):
                assert layer["encoding"].get("color", {}).get("scale", "") is not None


# ---- frame and command


def test_every_page_has_its_script_and_no_folder_is_named_pages() -> None:
    assert all(p.script.is_file() for p in pages.PAGES)
    assert len({p.name for p in pages.PAGES}) == len({p.title for p in pages.PAGES}) == 11
    # Beside main.py Streamlit would run its files without main.py.
    assert not (MAIN.parent / "pages").exists()


def test_the_dashboard_loads_no_heavy_package() -> None:
    code = (
        "import sys; import mmaudit.cli.dashboard, mmaudit.app.parts.run_list, mmaudit.app.parts.sidebar;"
        "print([m for m in ('torch', 'captum', 'netcal', 'mmaudit.figures', 'vl_convert') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_server_listens_to_this_computer_alone_and_sends_nothing() -> None:
    said_flags = command.command(MAIN, Path("runs"), "127.0.0.1", 8501, browser=False)
    assert said_flags[1:5] == ["-P", str(MAIN.with_name("serve.py")), "run", str(MAIN)]
    for flag in (
        "--server.address=127.0.0.1", "--browser.gatherUsageStats=false", "--server.headless=true",
        "--server.fileWatcherType=none", "--server.allowedHosts=localhost", "--client.showErrorDetails=type",
    ):  # fmt: skip
        assert flag in said_flags
    assert said_flags[-2:] == ["--", str(Path("runs").resolve())]
    assert command.script() == MAIN


def test_the_command_refuses_what_cannot_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, arguments: started.append(arguments))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=r"cannot listen on 127\.0\.0\.1"):
            command.dashboard(tmp_path, port=port)
    with pytest.raises(BadInput, match="is not a folder"):
        command.dashboard(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="cannot listen"):
        command.dashboard(tmp_path, port=port, host="203.0.113.7")
    monkeypatch.setattr(command.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"mmaudit\[dashboard\]"):
        command.dashboard(tmp_path, port=port)
    assert not started


def test_another_address_is_warned_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, arguments: started.append(arguments))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    result = CliRunner().invoke(cli, ["dashboard", str(tmp_path), "--host", "0.0.0.0", "--port", str(port)])
    assert result.exit_code == 0
    assert "no password" in result.output
    assert len(started) == 1
    started.clear()
    result = CliRunner().invoke(cli, ["dashboard", str(tmp_path), "--port", str(port), "--no-browser"])
    assert result.output == ""
    assert "--server.headless=true" in started[0]
