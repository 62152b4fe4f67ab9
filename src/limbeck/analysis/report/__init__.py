"""The report of a study: one file with every figure and table, that opens without a network."""

from limbeck.analysis.report.writing import Findings, read_findings, write_report

__all__ = ["Findings", "read_findings", "write_report"]
