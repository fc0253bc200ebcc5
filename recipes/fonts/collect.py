"""Copies the regular Latin face of every fetched font to hand/ and print/, the folders that the recipes name.

`make fonts` runs it after npm has unpacked the packages listed in package.json. It needs only the standard library.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

FONTS = Path(__file__).parent

package = json.loads((FONTS / "package.json").read_text())
for kind in ("hand", "print"):
    folder = FONTS / kind
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in package[kind]:
        face = FONTS / "node_modules" / "@fontsource" / name / "files" / f"{name}-latin-400-normal.woff"
        shutil.copy(face, folder / face.name)
    print(f"{folder}: {len(package[kind])} fonts")
