"""Paths at fsspec addresses such as s3://bucket/folder, with the methods of pathlib.Path (universal-pathlib).

`open_path` turns what a user wrote into a path, and `modification_times` lists a folder once, because asking an object
store about each file costs a request a file.
"""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from glyphline.errors import MissingPackage, UserError, nearest

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
WEB_SCHEMES = ("http://", "https://")  # single images, which `imaging.documents.fetch` loads


def is_address(text: str) -> bool:
    """Whether a text names a file or folder at an address: PROTOCOL://..., but no web page.

    >>> is_address("s3://scans/2026"), is_address("scans/2026"), is_address("https://example.org/a.png")
    (True, False, False)
    """
    return bool(ADDRESS.match(text)) and not text.lower().startswith(WEB_SCHEMES)


def open_path(text: str) -> Path:
    """The path that a text names: a pathlib.Path on this machine, or for an address a UPath, which has its methods.

    S3 is reached through s3fs where that is installed, otherwise through pyarrow. Both take the credentials and
    AWS_ENDPOINT_URL from the environment. Raises MissingPackage without universal-pathlib or the package of the
    protocol, UserError for an unknown protocol.
    """
    if not is_address(text):
        return Path(text)
    if find_spec("upath") is None:
        raise MissingPackage("universal-pathlib", "cluster", f"the address {text}")
    import fsspec
    from upath import UPath

    if find_spec("s3fs") is None and find_spec("pyarrow") is not None:
        fsspec.register_implementation("s3", f"{__name__}.ArrowS3FileSystem", clobber=True)
    protocol = text.partition("://")[0].lower()
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        raise UserError(f"{text} cannot be opened ({error}): install the package of this protocol") from None
    except ValueError:
        raise UserError(f'no protocol "{protocol}"; {nearest(protocol, fsspec.available_protocols())}') from None
    return cast(Path, UPath(text))


def __getattr__(name: str) -> Any:
    """Define `ArrowS3FileSystem` when fsspec asks for it, so that importing this module loads no pyarrow."""
    if name != "ArrowS3FileSystem":
        raise AttributeError(name)
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import S3FileSystem

    class ArrowS3FileSystem(ArrowFSWrapper):  # type: ignore[misc]
        """S3 through pyarrow, with the credentials of the environment."""

        root_marker = ""

        @classmethod
        def _parent(cls, path: str) -> str:  # UPath asks the class, which the wrapper's own method does not allow
            return str(cls._strip_protocol(path)).rpartition("/")[0]

        def __init__(self, **options: Any) -> None:
            endpoint = os.environ.get("AWS_ENDPOINT_URL")
            # delayed opening: a small file is written by one request instead of the three of a multipart upload
            super().__init__(S3FileSystem(endpoint_override=endpoint, allow_delayed_open=True), **options)

    globals()[name] = ArrowS3FileSystem
    return ArrowS3FileSystem


def is_local(path: Path) -> bool:
    """Whether a path of `open_path` is on this machine."""
    return isinstance(path, Path)


def modification_times(folder: Path) -> dict[str, float]:
    """The files in a folder at an address and in its subfolders: path as text -> seconds since 1970.

    A filesystem without these times gives 0. The folder is listed once. A folder that does not exist is empty. Raises
    UserError where it cannot be listed.
    """
    from upath._stat import UPathStatResult

    at_address: Any = folder
    try:
        found = at_address.fs.find(at_address.path, detail=True)
    except FileNotFoundError:
        return {}
    except Exception as error:  # every filesystem has its own exceptions
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(f"{folder} cannot be listed ({reason}): check the address and the credentials") from None
    root = at_address.path.rstrip("/")
    return {
        f"{str(folder).rstrip('/')}/{name.removeprefix(root).lstrip('/')}": UPathStatResult.from_info(info).st_mtime
        for name, info in found.items()
    }
