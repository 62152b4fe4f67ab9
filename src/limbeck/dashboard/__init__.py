"""The web application: pages over a store, read-only unless told otherwise."""
