"""The contracts that plug-ins keep to, and the specimens they are tried on."""

from mmaudit.contract.probes import CLAUSES, Bench, Verdict, check_probes
from mmaudit.contract.specimens import scope_of, source_of, specimens

__all__ = ["CLAUSES", "Bench", "Verdict", "check_probes", "scope_of", "source_of", "specimens"]
