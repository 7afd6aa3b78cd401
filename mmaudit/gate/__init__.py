"""Does a run meet a policy? For continuous integration."""
