#!/bin/sh
# Build the documentation site into site/ (or the folder given); any warning is an error. Needs the extra `docs`.
set -eu
cd "$(dirname "$0")/.."
# Material prints a notice about a later MkDocs on every build; it is not about these pages.
NO_MKDOCS_2_WARNING=1 exec python -m mkdocs build --strict --clean --site-dir "${1:-site}"
