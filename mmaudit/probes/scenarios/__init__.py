"""The scenarios that come with mmaudit, one TOML file each; `scenario_file.py` says what a file may hold."""
