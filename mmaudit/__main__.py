"""`python -m mmaudit`."""

from mmaudit.cli import main

main()
