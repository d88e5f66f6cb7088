"""Which product folders belong to a workspace: a small file on this machine.

Where a folder lies is a fact about a machine, not a decision, so it is not in the ledger.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

FILE = "products.json"


def known_folders(root: Path) -> dict[str, Path]:
    """Product name to folder, as far as this workspace was told."""
    file = root / FILE
    if not file.exists():
        return {}
    told = json.loads(file.read_text(encoding="utf-8"))
    return {name: Path(folder) for name, folder in told.items()}


def remember_folder(root: Path, name: str, folder: Path) -> None:
    """Note that product *name* lies in *folder*; atomically, so that a reader sees all or nothing."""
    folders = {**known_folders(root), name: folder.resolve()}
    if known_folders(root).get(name) == folder.resolve():
        return
    content = json.dumps({key: str(value) for key, value in sorted(folders.items())}, indent=2)
    partial = root / f".{FILE}.{os.getpid()}"
    partial.write_text(content + "\n", encoding="utf-8")
    partial.replace(root / FILE)
