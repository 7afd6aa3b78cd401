"""The Streamlit dashboard: scripts that read run folders; nothing in mmaudit imports them."""
