"""The plan of an audit that is made without its model."""

from __future__ import annotations

import numpy as np

from mmaudit.data import Dataset, all_statistics, check
from mmaudit.errors import BadInput
from mmaudit.plan import Plan, as_suite, make_plan
from mmaudit.preparing import AnySuite
from mmaudit.probes import Source


def planned(data: Dataset, suite: AnySuite, *, native: bool) -> Plan:
    """List the conditions that a suite means for this data; probes that follow a gradient are declined.

    Raises:
        BadInput: the severities of the suite are found with the model.
        UnknownName: the suite names what does not exist.
    """
    chosen = as_suite(suite)
    if chosen.severity_scale != "table":
        raise BadInput(
            f"severity_scale={chosen.severity_scale!r} puts severities on a common scale before the audit; inputs that "
            "are answered elsewhere have those of the corruptions' own tables: leave it out."
        )
    return make_plan(
        chosen,
        data.modalities,
        data.task,
        native=native,
        incomplete=tuple(m.name for m in data.modalities if not data.presence(m.name).all()),
        n=len(data),
        longest=len(data) if data.cluster is None else int(np.unique(data.cluster, return_counts=True)[1].max()),
    )


def source_of(data: Dataset, train: Dataset | None) -> Source:
    """Check data and training data, and offer them to the probes."""
    for given in (data,) if train is None else (data, train):
        check(given)
    data.task.require_outputs("a table of answers")
    return Source(data, all_statistics(train if train is not None else data))
