"""A section for the model card of a model on the Hugging Face Hub, with its metadata."""

from __future__ import annotations

from mmaudit.cards import sections
from mmaudit.cards.index import MOST_CONDITIONS, Published, model_index
from mmaudit.cards.text import plain
from mmaudit.cards.yaml import to_yaml
from mmaudit.formats import NBSP
from mmaudit.render.summary import verdict_sentences
from mmaudit.report import Report

MOST_FINDINGS, MOST_CONDITIONS_SHOWN, MOST_GAPS = 12, 20, 20


def model_card(report: Report, published: Published | None = None, *, metadata: bool = True) -> str:
    """Return a section of a model card: results, limitations, what was not tested, how they were measured.

    Args:
        report: the report.
        published: what the report cannot know, see `Published`.
        metadata: put the `model-index` before it, between lines of `---`, as a README.md on the Hub starts. Where a
            README has such a block already, add the part from `model-index:` on to it.
    """
    head = f"---\n{to_yaml(model_index(report, published))}---\n\n" if metadata else ""
    return head + _section(report, published or Published())


def _section(report: Report, about: Published) -> str:
    level, sentences = verdict_sentences(report)
    doc = report.document
    kinds = ", ".join(f"{plain(m['name'], 40)} ({m['kind']})" for m in doc["data"]["modalities"][:20])
    lines = ["## Robustness, fusion and calibration", "", sections.verdict(sentences), ""]
    lines += [*sections.alarms(report, MOST_FINDINGS), "", *sections.about(report, level), ""]
    lines += ["### Evaluation data", "", f"{plain(about.dataset_name or doc['title'], 120)}. Modalities: {kinds}.", ""]
    lines += ["### Results", "", *sections.clean(report), "", *sections.conditions(report, MOST_CONDITIONS_SHOWN), ""]
    kept = f"unperturbed data and at most {MOST_CONDITIONS} conditions, those that cost most"
    lines += [f"The metadata of this card hold {kept}.", ""]
    lines += ["### Findings", "", *sections.findings(report, MOST_FINDINGS), ""]
    lines += ["### Limitations", "", *sections.limits(report, MOST_GAPS), ""]
    lines += ["### Not tested", "", *sections.untested(report, MOST_GAPS), ""]
    lines += ["### How this was measured", ""]
    lines += [f"By mmaudit {plain(doc['mmaudit'], 40)}; 95{NBSP}% bootstrap intervals, differences paired.", ""]
    lines += [*sections.again(report), ""]
    return "\n".join(line for i, line in enumerate(lines) if line or lines[i - 1])
