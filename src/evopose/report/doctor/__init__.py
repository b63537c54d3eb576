"""What is wrong with this machine, or with a run, and what to do about it."""

from evopose.report.doctor.findings import Finding, findings_json
from evopose.report.doctor.machine import examine_machine
from evopose.report.doctor.run import examine_run

__all__ = ["Finding", "examine_machine", "examine_run", "findings_json"]
