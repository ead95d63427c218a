"""Arrays in an .npz file that is the same, byte for byte, for the same arrays, and that never runs code."""

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from golden.spec import SpecError

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_npz(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays uncompressed, in the mapping's order, without time stamps; replaces `path` in one go."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                data = io.BytesIO()
                np.lib.format.write_array(data, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
                info = zipfile.ZipInfo(f"{name}.npy", _ZIP_EPOCH)
                info.create_system, info.external_attr = 3, 0o644 << 16
                archive.writestr(info, data.getvalue())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def load_npz(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file; SpecError where the file is missing, damaged or holds Python objects."""
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("a single array, not an archive of arrays")
        with archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise SpecError(f"file must exist: {path} does not; write it first or correct the path") from None
    # A damaged archive makes zipfile, zlib, tokenize and numpy raise a dozen unrelated exceptions between them
    # (encryption flag: RuntimeError, compression: NotImplementedError, offsets: OverflowError, shapes: MemoryError).
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise SpecError(f"file must be an .npz archive of plain arrays, not this: {reason} ({path})") from None
