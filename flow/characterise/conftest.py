"""Without klayout the doctests of this package cannot be imported; a warning says so."""

import warnings
from importlib import util

if util.find_spec("klayout") is None:
    collect_ignore_glob = ["*.py"]
    warnings.warn("klayout is not installed: the doctests of flow.characterise are not run", stacklevel=1)
