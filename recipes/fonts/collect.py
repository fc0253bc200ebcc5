"""Copy the regular Latin face of every fetched font to hand/ and print/, where the recipes look for it.

Run by `make fonts` after npm has unpacked the packages that package.json pins; needs nothing but Python.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

here = Path(__file__).parent
package = json.loads((here / "package.json").read_text())
for kind in ("hand", "print"):
    folder = here / kind
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in package[kind]:
        face = here / "node_modules" / "@fontsource" / name / "files" / f"{name}-latin-400-normal.woff"
        shutil.copy(face, folder / face.name)
    print(f"{folder}: {len(package[kind])} fonts")
