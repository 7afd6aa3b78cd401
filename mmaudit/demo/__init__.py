"""A small visual question answering model and its public data set, to try an audit on."""
