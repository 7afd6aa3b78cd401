"""Two or more runs beside each other, paired where they hold the same samples."""
