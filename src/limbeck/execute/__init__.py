"""Carrying out a search: on this machine."""
