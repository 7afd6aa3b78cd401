"""Where an audit spent its time."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Timing:
    """Seconds spent where, and how often; not part of the run's reproducible bytes."""

    reading: float = 0.0
    probing: float = 0.0
    model: float = 0.0
    total: float = 0.0
    encoded_rows: dict[str, int] = field(default_factory=dict)
    fused_rows: int = 0
