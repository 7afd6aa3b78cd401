"""Reference methods, retrained on the user's data and audited by the same probes. Left of the run; needs torch."""
