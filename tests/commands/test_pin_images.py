"""Digests behind tags, with a stand-in for Docker, which needs a registry."""

import os
import re
import shutil
from pathlib import Path

import pytest

from include.commands.pin_images import FOLDER, files, pin, pinned, tags
from include.contracts.errors import PlatformError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the files."""
    return Path(shutil.copytree(FOLDER, tmp_path / "docker"))


def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a program called docker first on the path."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


HASHED = 'for tag; do :; done; printf "sha256:"; printf "%s" "$tag" | sha256sum | cut -c1-64'
"""Answers with a digest of its own for each tag."""


def test_every_image_of_others_is_found() -> None:
    """In Compose, in the Dockerfiles, in the manifests; what we build is not asked of a registry."""
    texts = [path.read_text("utf-8") for path in files(FOLDER)]
    named = set(re.findall(r"^\s*image: (\S+)$", "\n".join(texts), flags=re.M))
    found = set(tags(texts))
    assert {image for image in named if not image.startswith("ninety-")} | {"python:3.11-slim-bookworm"} == {
        *found
    }
    assert {"postgres", "redis", "python", "prom/prometheus"} <= {tag.partition(":")[0] for tag in found}


def test_each_tag_gets_its_digest_and_again_the_new_one(tmp_path, folder, monkeypatch, capsys):
    """A second run replaces what the first one wrote; nothing else of a file changes."""
    before = {path: path.read_text("utf-8") for path in files(folder)}
    docker(tmp_path, monkeypatch, HASHED)
    pin(folder)
    told = dict(line.split("@") for line in capsys.readouterr().out.splitlines())
    assert set(tags(before.values())) == told.keys()
    after = {path: path.read_text("utf-8") for path in files(folder)}
    assert {path: pinned(text, told) for path, text in before.items()} == after
    assert before == {path: re.sub(r"@sha256:[0-9a-f]{64}", "", text) for path, text in after.items()}
    assert set(tags(after.values())) == told.keys()
    pin(folder)
    assert after == {path: path.read_text("utf-8") for path in files(folder)}


@pytest.mark.parametrize("script", ["echo denied >&2; exit 1", "echo latest"])
def test_without_a_digest_nothing_is_written(tmp_path, folder, monkeypatch, script):
    """One registry that does not tell leaves every file as it was."""
    before = {path: path.read_text("utf-8") for path in files(folder)}
    docker(tmp_path, monkeypatch, f'case "$*" in *redis*) {script};; *) {HASHED};; esac')
    with pytest.raises(PlatformError, match=r"redis:\S+: no digest: (denied|latest)"):
        pin(folder)
    assert before == {path: path.read_text("utf-8") for path in files(folder)}
