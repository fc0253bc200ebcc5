"""Files stand whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from glyphline.files import replacing, write_whole


def test_a_file_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("trouble", [OSError(28, "no space"), KeyboardInterrupt()])
def test_what_fails_half_way_leaves_the_one_before(tmp_path: Path, trouble: BaseException) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, b"whole")
    with pytest.raises(type(trouble)), replacing(path) as beside:
        beside.write_bytes(b"ha")
        raise trouble
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_taken_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        write_whole(tmp_path / "folder", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
