"""The track router: pin access, guides, negotiated search, shapes, and a check that knows nothing of the search."""
