"""A report in Markdown, and as a section of a model card."""
