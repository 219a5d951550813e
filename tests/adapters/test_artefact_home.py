import re
from pathlib import Path

import pytest

from include.adapters.artefact_home import artefact_store
from include.adapters.artefacts import ArtefactStore
from include.adapters.bucket_artefacts import PUBLISHED
from include.adapters.s3_store import S3Store
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.errors import ArtefactError
from tests.buckets import keys_of, new_bucket


@pytest.fixture
def bucket(s3) -> str:
    """An empty bucket."""
    return new_bucket()


@pytest.fixture(params=["folder", "bucket"])
def store(request, tmp_path) -> ArtefactStore:
    """Each kind of home, empty."""
    url = f"s3://{request.getfixturevalue('bucket')}/some/where" if request.param == "bucket" else ""
    return artefact_store(Settings(home=tmp_path / "home", artefacts_url=url))


def folder_of(path: Path, **files: bytes) -> Path:
    """Write a folder of files."""
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def contents(path: Path) -> dict[str, bytes]:
    """Return what a folder holds."""
    return {item.name: item.read_bytes() for item in path.iterdir()}


def test_a_file_is_written_read_and_replaced(store):
    """By its bytes and by a path on this machine that keeps its name."""
    assert not store.exists("reports/a.json")
    assert not store.path("reports/a.json").exists()
    with pytest.raises(ArtefactError, match=r"no artefact at .reports/a\.json"):
        store.read("reports/a.json")
    for content in (b"1", b"2"):
        store.write("reports/a.json", content)
        path = store.path("reports/a.json")
        assert (content, content, "a.json") == (store.read("reports/a.json"), path.read_bytes(), path.name)
    assert ["reports/a.json"] == store.uris("reports/*.json")
    assert store.place("reports/a.json").endswith("reports/a.json")
    store.delete("reports/a.json")
    assert not store.path("reports/a.json").exists()


def test_a_folder_is_published_once(store, tmp_path):
    """What was there first stays; a file beside it, or a name that begins alike, is another artefact."""
    store.publish(folder_of(tmp_path / "one", model=b"graph", golden=b"{}"), "packages/a")
    store.publish(folder_of(tmp_path / "two", model=b"other"), "packages/a")
    store.publish(folder_of(tmp_path / "three", model=b"longer"), "packages/ab")
    assert {"model": b"graph", "golden": b"{}"} == contents(store.path("packages/a"))
    assert b"graph" == store.path("packages/a/model").read_bytes()
    assert ["packages/a/golden", "packages/a/model"] == store.uris("packages/a/*")
    store.write("packages/a/page", b"added")
    assert {"model", "golden", "page"} == contents(store.path("packages/a")).keys()


def test_a_folder_is_withdrawn_and_published_again(store, tmp_path):
    """Nothing of it is left, not even that it was complete once; a name that begins alike stays."""
    store.publish(folder_of(tmp_path / "one", a=b"1", b=b"2"), "sets/x")
    store.publish(folder_of(tmp_path / "two", a=b"3"), "sets/xy")
    store.withdraw("sets/x")
    store.withdraw("sets/x")
    assert ["sets/xy/a"] == store.uris("sets/*/*")
    assert not store.exists("sets/x")
    store.publish(folder_of(tmp_path / "three", a=b"4"), "sets/x")
    assert {"a": b"4"} == contents(store.path("sets/x"))


def test_half_a_folder_is_none(bucket, tmp_path, monkeypatch):
    """Killed between two files, publishing leaves nothing to be read, and is done again whole."""
    store = artefact_store(Settings(home=tmp_path / "home", artefacts_url=f"s3://{bucket}"))
    folder = folder_of(tmp_path / "one", a=b"1", b=b"2")
    write = S3Store.write

    def killed(self: S3Store, uri: str, content: bytes) -> None:
        if uri.endswith("/b"):
            raise KeyboardInterrupt
        write(self, uri, content)

    with monkeypatch.context() as patch:
        patch.setattr(S3Store, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            store.publish(folder, "packages/a")
    assert ["packages/a/a"] == keys_of(bucket)
    assert not store.exists("packages/a")
    store.publish(folder, "packages/a")
    assert {"a": b"1", "b": b"2"} == contents(store.path("packages/a"))
    assert f"packages/a/{PUBLISHED}" in keys_of(bucket)


def test_what_changed_in_the_bucket_is_fetched_anew(bucket, tmp_path):
    """A copy on this machine never hides an object that was altered, added or deleted."""
    url = f"s3://{bucket}"
    here = artefact_store(Settings(home=tmp_path / "here", artefacts_url=url))
    there = artefact_store(Settings(home=tmp_path / "there", artefacts_url=url))
    here.publish(folder_of(tmp_path / "one", model=b"graph", golden=b"{}"), "packages/a")
    assert contents(here.path("packages/a")) == contents(there.path("packages/a"))
    here.write("packages/a/model", b"grapf")
    here.write("packages/a/extra", b"")
    here.delete("packages/a/golden")
    assert {"model": b"grapf", "extra": b""} == contents(there.path("packages/a"))


OUTSIDE = ["", ".", "..", "/etc/passwd", "../secrets/jwt.secret", "packages/../../x", "a/../b"]


@pytest.mark.parametrize("uri", OUTSIDE)
def test_no_uri_leads_out(store, uri):
    """Absolute, upwards or empty: refused by every method, before anything is touched."""
    for ask in (
        store.path,
        store.exists,
        store.read,
        store.open,
        store.delete,
        store.withdraw,
        store.tagged,
        lambda uri: store.write(uri, b""),
        lambda uri: store.replace(uri, b"", None),
        lambda uri: store.publish(REPOSITORY_ROOT / "docs", uri),
    ):
        with pytest.raises(ArtefactError, match="leads out of the artefact store"):
            ask(uri)


def test_a_uri_of_the_network_is_a_name_like_any_other(store):
    """Nothing is ever fetched from where a URI points: it names what lies in the store, or nothing."""
    for uri in ("http://169.254.169.254/latest/meta-data", "s3://other/x", "file:///etc/passwd"):
        assert not store.exists(uri)
        with pytest.raises(ArtefactError, match="no artefact"):
            store.read(uri)


def test_a_link_that_leads_out_is_refused(tmp_path):
    """A folder's store follows no link to the outside."""
    store = artefact_store(Settings(home=tmp_path))
    store.write("a", b"")
    (tmp_path / "artefacts" / "link").symlink_to(tmp_path.parent)
    with pytest.raises(ArtefactError, match="leads out of the artefact store"):
        store.path("link/x")


def test_only_its_home_knows_the_folder():
    """Whoever opens the store asks where it lies: a bucket would be missed otherwise."""
    rooms = [REPOSITORY_ROOT / name for name in ("include", "serving", "dags", "plugins")]
    known = {"include/config/settings.py", "include/adapters/artefact_home.py"}
    found = {
        path.relative_to(REPOSITORY_ROOT).as_posix()
        for room in rooms
        for path in room.rglob("*.py")
        if re.search(r"artefacts_folder\b", path.read_text(encoding="utf-8"))
    }
    assert known == found
