"""How the pages look: width, the layout of panels, and what a narrow screen changes. Constant text only."""

from __future__ import annotations

import streamlit as st

# Panels carry their size in the key of their container, which Streamlit makes a class of: st-key-panel-small-both-….
STYLE = """<style>
[data-testid="stMainBlockContainer"] { max-width: 1180px; padding-top: 3.2rem; padding-bottom: 5rem; }
[data-testid="stMain"] [data-testid="stCaptionContainer"] p { max-width: 80ch; }
[data-testid="stCaptionContainer"] { opacity: .78 !important; }
h1 { font-size: 2.1rem !important; padding-bottom: .2rem !important; letter-spacing: -.015em; }
h2, h3 { letter-spacing: -.01em; }
[data-testid="stMain"] h3 { font-size: 1.3rem; padding-top: .9rem; }
[data-testid="stMain"] [data-testid="stPageLink"] a { padding-left: 0; padding-right: 0; background: none; }
[data-testid="stMain"] [data-testid="stPageLink"] a p { text-underline-offset: 3px;
  text-decoration: underline rgba(128, 140, 155, .55); }

[class*="st-key-panel-"] { overflow-x: auto; }
:has(> [class*="st-key-panel-small-"]) { flex: 1 1 265px !important; min-width: min(100%, 265px); max-width: 312px; }
:has(> [class*="st-key-panel-half-"]) { flex: 1 1 400px !important; min-width: min(100%, 400px); max-width: 640px; }
:has(> [class*="st-key-panel-full-"]) { flex: 1 1 100% !important; min-width: 100%; }
:has(> [class*="st-key-panel-"][class*="-narrow-"]) { display: none; }
[class*="st-key-figure-"] { margin-bottom: 1.4rem; }

.st-key-tiles { align-items: stretch !important; }
:has(> [class*="st-key-tile-"]) { flex: 1 1 145px !important; min-width: min(100%, 145px); display: flex; }
[class*="st-key-tile-"] strong { font-size: 1.5rem; font-weight: 650; line-height: 1.2;
  font-variant-numeric: tabular-nums; }

[class*="st-key-finding-"], [class*="st-key-verdict-"] { border-left-width: 5px; }
[class*="st-key-finding-critical-"], .st-key-verdict-critical { border-left-color: #c0392b; }
[class*="st-key-finding-major-"], .st-key-verdict-major { border-left-color: #d0801f; }
[class*="st-key-finding-minor-"], .st-key-verdict-minor { border-left-color: #3584c6; }
.st-key-verdict-none { border-left-color: #1d8a4d; }
[class*="st-key-evidence-"] details, [class*="st-key-fold-"] details { border: 0; background: transparent; }
[class*="st-key-evidence-"] summary { padding-left: 0; }

@media (max-width: 760px) {
  :has(> [class*="st-key-panel-"][class*="-narrow-"]) { display: flex; }
  :has(> [class*="st-key-panel-"][class*="-wide-"]) { display: none; }
  :has(> [class*="st-key-panel-small-"]) { max-width: 100%; }
  [data-testid="stMainBlockContainer"] { padding-left: 1rem; padding-right: 1rem; padding-top: 3.4rem; }
  h1 { font-size: 1.6rem !important; }
  :has(> [class*="st-key-tile-"]) { flex: 1 1 140px !important; min-width: 140px; }
  [class*="st-key-tile-"] strong { font-size: 1.25rem; }
}
</style>"""

# Drawn here: Streamlit would fetch a named icon from the network.
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0a66b0"/>'
    '<path d="M6 8 L13 11 L20 19 L26 24" fill="none" stroke="#fff" stroke-width="3"/>'
    '<circle cx="6" cy="8" r="3" fill="#fff"/><rect x="23" y="21" width="6" height="6" fill="#fff"/></svg>'
)


def configure(title: str) -> None:
    """The browser's title, the width and the style sheet; the first call of a page. No text of a run is in it."""
    st.set_page_config(page_title=f"{title} · mmaudit", page_icon=ICON, layout="wide", menu_items={})
    st.html(STYLE)
