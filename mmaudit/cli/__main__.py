"""`python -m mmaudit.cli`."""

from mmaudit.cli import main

main()
