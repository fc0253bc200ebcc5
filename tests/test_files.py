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


def test_two_processes_write_the_same_file(tmp_path: Path) -> None:
    """As the processes of an actor that is cut off and of its replacement do: neither disturbs the other."""
    path = tmp_path / "a.txt"
    with replace_atomically(path) as first, first.open("wb") as file:
        file.write(b"first, ")
        write_atomically(path, b"second, whole")
        assert path.read_bytes() == b"second, whole"
        file.write(b"whole")
    assert path.read_bytes() == b"first, whole"
    assert list(tmp_path.iterdir()) == [path]


def test_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / f"{'🙂' * 62}.txt.gz"  # of 255 bytes
    write_atomically(path, b"x")
    assert path.read_bytes() == b"x"


def test_failed_replacement_raises_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        write_atomically(tmp_path / "folder", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
