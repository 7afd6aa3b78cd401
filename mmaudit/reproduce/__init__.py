"""Published experiments, run again: `mmaudit reproduce NAME`."""
