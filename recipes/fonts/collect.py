"""Copies the regular Latin faces of every fetched font to a folder for each list of package.json.

The lists are hand, print, documents, signs, held-out and held-out-hands. A font with a face for Latin Extended (Polish
and others) has two files, NAME-latin-400-normal.woff and NAME-latin-ext-400-normal.woff. `make fonts` runs this script
after npm has unpacked the packages. It needs only the standard library.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

FONTS = Path(__file__).parent

package = json.loads((FONTS / "package.json").read_text())
for kind in ("hand", "print", "documents", "signs", "held-out", "held-out-hands"):
    folder = FONTS / kind
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in package[kind]:
        files = FONTS / "node_modules" / "@fontsource" / name / "files"
        shutil.copy(files / f"{name}-latin-400-normal.woff", folder)
        extended = files / f"{name}-latin-ext-400-normal.woff"
        if extended.exists():
            shutil.copy(extended, folder)
    print(f"{folder}: {len(package[kind])} fonts")
