"""Where an audit spent its time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

_SUMS = ("reading", "probing", "model", "waiting", "total", "device_seconds", "fused_rows", "halved")


@dataclass
class Timing:
    """Seconds spent where, and how often; not part of the run's reproducible bytes.

    Attributes:
        reading: seconds of reading samples.
        probing: seconds of making perturbed inputs, proving how far they moved, and digesting them. Reading and probing
            may happen beside the model, on a thread of their own; then the parts add up to more than the total.
        model: seconds in the model, transfers to and from its device included.
        waiting: seconds in which the model had to wait for its inputs.
        total: seconds from the first shard to the last.
        device_seconds: in which the model's device computed, by the device's own clock: from the first to the last
            operation of each pass. 0 where the model cannot tell (on the CPU, `model` is that time).
        device_bytes: highest memory held on that device; 0 where the model cannot tell.
        encoded_rows: per modality, samples through its encoder.
        blended_rows: per modality, samples whose encoding was put together from those of other conditions.
        fused_rows: samples through the fusion of a two-stage model.
        halved: how often a batch was halved because the device ran out of memory.
        least_rows: samples in the largest batch that fitted after the last halving; 0 where none was halved.
    """

    reading: float = 0.0
    probing: float = 0.0
    model: float = 0.0
    waiting: float = 0.0
    total: float = 0.0
    device_seconds: float = 0.0
    device_bytes: int = 0
    encoded_rows: dict[str, int] = field(default_factory=dict)
    blended_rows: dict[str, int] = field(default_factory=dict)
    fused_rows: int = 0
    halved: int = 0
    least_rows: int = 0

    def add(self, other: Timing) -> None:
        """Add what another worker spent: seconds and counts add up, also `total`; of memory the highest stands."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for mine, theirs in ((self.encoded_rows, other.encoded_rows), (self.blended_rows, other.blended_rows)):
            for modality, rows in theirs.items():
                mine[modality] = mine.get(modality, 0) + rows
        self.device_bytes = max(self.device_bytes, other.device_bytes)
        self.least_rows = min(filter(None, (self.least_rows, other.least_rows)), default=0)

    def since(self, earlier: Timing) -> Timing:
        """Return what was spent after an earlier state of the same workers; of memory the highest of all stands."""
        found = replace(self, **{name: getattr(self, name) - getattr(earlier, name) for name in _SUMS})
        found.encoded_rows = _fewer(self.encoded_rows, earlier.encoded_rows)
        found.blended_rows = _fewer(self.blended_rows, earlier.blended_rows)
        return found


def _fewer(now: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    return {name: rows - before.get(name, 0) for name, rows in now.items()}
