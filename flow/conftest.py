"""Without klayout the doctests of flow.characterise cannot be imported; a warning says so."""

import warnings

try:
    import klayout.db  # noqa: F401
except ImportError:
    collect_ignore = ["steps/characterise.py"]
    collect_ignore_glob = ["characterise/*.py"]
    warnings.warn("klayout is not installed: the doctests of flow.characterise are not run", stacklevel=1)
