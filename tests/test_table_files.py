"""Tables that a reader takes away: numbers as they are stored, under headings that say so."""

from __future__ import annotations

from mmaudit.app.parts.tables import frame
from mmaudit.figures import FIGURES
from mmaudit.report import Report
from report_samples import sample_report


def test_a_share_is_headed_and_written_as_a_share() -> None:
    report = Report.from_json(sample_report(examples=0))
    seen = 0
    for figures in FIGURES.values():
        for figure in figures(report):
            table = frame(figure.table)
            for title in table.columns:
                assert "(%)" not in title
                assert "(%," not in title
                if "(share" in title and not title.endswith((" (shown)", " (why none)")):
                    seen += 1
                    numbers = table[title].dropna()
                    assert numbers.between(-1, 1).all(), (figure.id, title)
    assert seen > 10
