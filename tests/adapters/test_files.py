"""Files that are whole or as they were, and nothing left of those who were killed."""

import os
import signal
from multiprocessing import get_context

import pytest

from include.adapters.files import replacing, scratch_folder, write_atomically


def die_while_writing(path):
    """Be killed with half a file written."""
    with replacing(path) as temporary:
        temporary.write_bytes(b"ha")
        os.kill(os.getpid(), signal.SIGKILL)


def killed(path):
    """Have a process killed while it writes a file."""
    process = get_context("fork").Process(target=die_while_writing, args=(path,))
    process.start()
    process.join()
    assert -signal.SIGKILL == process.exitcode


def test_a_killed_writer_leaves_the_old_file_and_the_next_writer_nothing_else(tmp_path):
    """The file is as it was; whoever next writes into the folder, another file even, clears it."""
    (tmp_path / "one").write_bytes(b"old")
    killed(tmp_path / "one")
    assert b"old" == (tmp_path / "one").read_bytes()
    assert 2 == len(list(tmp_path.iterdir()))
    write_atomically(tmp_path / "two", b"new")
    assert {"one", "two"} == {path.name for path in tmp_path.iterdir()}


def test_what_somebody_is_writing_is_left_alone(tmp_path):
    """A second writer clears nothing of the first, who is alive."""
    with replacing(tmp_path / "one") as temporary:
        temporary.write_bytes(b"first")
        write_atomically(tmp_path / "one", b"second")
    assert b"first" == (tmp_path / "one").read_bytes()
    assert ["one"] == [path.name for path in tmp_path.iterdir()]


def test_an_error_leaves_nothing(tmp_path):
    """Whatever ends the writing, the scratch folder goes."""

    def err():
        with scratch_folder(tmp_path, "draft") as folder:
            (folder / "part").write_bytes(b"x")
            raise KeyError

    with pytest.raises(KeyError):
        err()
    assert [] == list(tmp_path.iterdir())


def test_what_only_looks_hidden_stays(tmp_path):
    """A hidden folder of somebody else's is not taken for a leftover."""
    (tmp_path / ".git.tmp").mkdir()
    write_atomically(tmp_path / "one", b"new")
    assert (tmp_path / ".git.tmp").is_dir()
