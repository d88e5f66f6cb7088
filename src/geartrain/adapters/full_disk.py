"""A full disk, whoever noticed it: the operating system, a database, a writer of Parquet."""

from __future__ import annotations

import errno

from geartrain.errors import DiskFull

#: No space, over quota, over the largest file: in each case the disk took no more.
_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: How libraries that hand on text only say the same.
_WORDS = (
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    *(f"os error {n}" for n in _ERRNOS),
)


def took_no_more(error: BaseException) -> bool:
    """Whether *error* says that the disk is full.

    >>> took_no_more(OSError(errno.ENOSPC, "No space left on device"))
    True
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _ERRNOS
    return any(word in str(error) for word in _WORDS)


def disk_full(where: str, found: object) -> DiskFull:
    """The error that says so: what was acknowledged is kept, this was not taken."""
    return DiskFull(
        "the disk took no more; nothing of this was kept",
        where=where,
        found=str(found),
        hint="free some space, then run the same command again",
    )
