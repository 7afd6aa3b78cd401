"""What a report looks like: templates, style and the JSON schema. Read with importlib.resources; no logic here."""
