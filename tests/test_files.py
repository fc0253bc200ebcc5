"""Atomic writes: a file has either its old or its new content."""

from __future__ import annotations

from pathlib import Path

import pytest

from glyphline.files import replace_atomically, write_atomically


def test_file_replaces_the_previous_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(28, "no space"), KeyboardInterrupt()])
def test_failed_write_keeps_the_previous_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, b"whole")
    with pytest.raises(type(error)), replace_atomically(path) as temporary:
        temporary.write_bytes(b"ha")
        raise error
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_failed_replacement_raises_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        write_atomically(tmp_path / "folder", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
