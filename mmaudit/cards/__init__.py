"""A report as a card: Markdown for a pull request, a section of a Hugging Face model card, and its metadata.

    from mmaudit import cards
    cards.markdown(report)       a summary for a pull request or a build's page
    cards.model_card(report)     metadata and a section for the README of a model on the Hugging Face Hub
    cards.model_index(report)    that metadata as plain values

Everything that comes from the run is written so that it stays text: no link, mention, heading or HTML of a stranger's.
"""

from mmaudit.cards.card import model_card
from mmaudit.cards.index import Published, model_index
from mmaudit.cards.pull_request import markdown

__all__ = ["Published", "markdown", "model_card", "model_index"]
