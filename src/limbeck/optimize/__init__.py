"""Which parameters to try next."""
