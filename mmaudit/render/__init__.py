"""From a Report to HTML: the whole page, and the summary a notebook shows."""

from mmaudit.render.inline import inline
from mmaudit.render.page import page

__all__ = ["inline", "page"]
