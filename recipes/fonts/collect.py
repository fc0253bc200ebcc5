"""Copies the regular Latin faces of every fetched font to a folder for each list of package.json.

    make fonts                                  # runs this script after npm has unpacked the packages
    python recipes/fonts/collect.py --built-in  # then: writes the fonts of the package, src/glyphline/fonts

The lists are hand, print, documents, signs, held-out and held-out-hands. A font with a face for Latin Extended (Polish
and others) has two files, NAME-latin-400-normal.woff and NAME-latin-ext-400-normal.woff.
The fonts of the package are WOFF2 files of the list built-in: about half of hand, the others of documents, signs and
print. Each is a font under the SIL Open Font License with Latin Extended, of the smaller half of its list. LICENSE.txt
beside them has their copyright notices. This script needs only the standard library.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

FONTS = Path(__file__).parent
BUILT_IN = FONTS.parents[1] / "src" / "glyphline" / "fonts"
LICENSE = "SIL OPEN FONT LICENSE Version 1.1"  # its title, below a line of dashes in the file of each font


def face(name: str, subset: str, suffix: str) -> Path:
    """The file of a font's regular face."""
    return FONTS / "node_modules" / "@fontsource" / name / "files" / f"{name}-{subset}-400-normal{suffix}"


def collect(kind: str, names: list[str]) -> None:
    """Copy the fonts of a list to its folder."""
    folder = FONTS / kind
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in names:
        shutil.copy(face(name, "latin", ".woff"), folder)
        extended = face(name, "latin-ext", ".woff")
        if extended.exists():
            shutil.copy(extended, folder)
    print(f"{folder}: {len(names)} fonts")


def write_built_in(names: list[str]) -> None:
    """Write the fonts of the package and their licence, which is the same for all but for the copyright notices."""
    shutil.rmtree(BUILT_IN, ignore_errors=True)
    BUILT_IN.mkdir()
    notices, terms = [], set()
    for name in names:
        for subset in ("latin", "latin-ext"):
            shutil.copy(face(name, subset, ".woff2"), BUILT_IN)
        text = (FONTS / "node_modules" / "@fontsource" / name / "LICENSE").read_text(encoding="utf-8")
        notice, _, rest = text.partition("This Font Software is licensed under the SIL Open Font License")
        notices.append(f"{name}\n{notice.strip()}\n")
        terms.add(" ".join(rest[rest.index(LICENSE) :].split()))
    print(f"{BUILT_IN}: {len(names)} fonts, {len(terms)} wordings of the licence")
    heading = "The fonts of this folder are unchanged files of Fontsource (https://fontsource.org)."
    body = LICENSE + rest.partition(LICENSE)[2].rstrip()
    (BUILT_IN / "LICENSE.txt").write_text("\n".join([heading, "", *notices, body, ""]), encoding="utf-8")


package = json.loads((FONTS / "package.json").read_text())
if "--built-in" in sys.argv:
    write_built_in(package["built-in"])
else:
    for kind in ("hand", "print", "documents", "signs", "held-out", "held-out-hands"):
        collect(kind, package[kind])
