"""Bridges to other libraries; each needs an extra of the same name."""
