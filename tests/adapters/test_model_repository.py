"""How a version is laid out for Triton, and what is refused."""

import json

import pytest

from include.adapters.files import sha256_of
from include.adapters.model_repository import config_text, stage_version, verify_package, verify_staged
from include.config.settings import TritonBackend
from include.contracts.errors import ArtefactError
from include.contracts.model import Resources
from include.contracts.signatures import FeatureInput, FeatureKind, Signature, Task

SIGNATURE = Signature(
    task=Task.REGRESSION, inputs=(FeatureInput(name="spend", kind=FeatureKind.NUMERIC, view="v"),)
)
NAME = "spend__1_0_0"


@pytest.fixture
def package(tmp_path):
    """Return a package with one file."""
    return make_package(tmp_path / "package", b"graph")


def make_package(folder, graph):
    """Write a package and its manifest."""
    folder.mkdir()
    (folder / "model.onnx").write_bytes(graph)
    write_manifest(folder, {"model.onnx": sha256_of(folder / "model.onnx")})
    return folder


def write_manifest(folder, files):
    """Write a manifest that lists the given files."""
    (folder / "manifest.json").write_text(json.dumps({"files": files}))


def contents(folder):
    """Return every file of a tree with its bytes and time of change."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()
    }


def test_a_version_is_laid_out_whole(tmp_path, package):
    """Package, configuration and the generic model lie under the version's name, and nothing else does."""
    folder = stage_version(package, tmp_path / "triton" / "models", NAME, SIGNATURE, Resources())

    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    expected = {"config.pbtxt", "staged.json", "1/model.py", "1/model.onnx", "1/manifest.json"}
    assert expected == names
    left = [path.name for path in (tmp_path / "triton").iterdir()]
    assert left == ["models"]


def test_staging_again_changes_nothing(tmp_path, package):
    """The same package under the same name: the files on disk are not even touched."""
    folder = stage_version(package, tmp_path / "models", NAME, SIGNATURE, Resources())
    before = contents(folder)

    stage_version(package, tmp_path / "models", NAME, SIGNATURE, Resources())

    assert before == contents(folder)


def test_a_damaged_version_is_staged_anew(tmp_path, package):
    """A staged file was altered: staging the package again repairs it."""
    folder = stage_version(package, tmp_path / "models", NAME, SIGNATURE, Resources())
    (folder / "1" / "model.onnx").write_bytes(b"grapf")

    stage_version(package, tmp_path / "models", NAME, SIGNATURE, Resources())

    verify_staged(folder)


def test_a_version_is_never_replaced(tmp_path, package):
    """Another package under a taken name is refused and the first one stays."""
    folder = stage_version(package, tmp_path / "models", NAME, SIGNATURE, Resources())
    before = contents(folder)

    with pytest.raises(ArtefactError, match="another package"):
        stage_version(
            make_package(tmp_path / "other", b"another"), tmp_path / "models", NAME, SIGNATURE, Resources()
        )

    assert before == contents(folder)


def test_a_flipped_byte_is_refused_before_anything_is_laid_out(tmp_path, package):
    """One byte differs from the manifest: an error that names the file, an empty repository."""
    (package / "model.onnx").write_bytes(b"grapi")

    with pytest.raises(ArtefactError, match=r"model\.onnx was altered"):
        stage_version(package, tmp_path / "models", NAME, SIGNATURE, Resources())

    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("relative", ["../secret", "/etc/passwd", "a/../../secret"])
def test_a_manifest_cannot_lead_out_of_its_folder(package, relative):
    """Absolute paths and parents are refused before anything is read."""
    write_manifest(package, {relative: "0" * 64})

    with pytest.raises(ArtefactError, match="outside its folder"):
        verify_package(package)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": 3}'])
def test_an_unreadable_manifest_is_refused(package, content):
    """No JSON, or JSON of another shape: the error names the manifest."""
    (package / "manifest.json").write_text(content)

    with pytest.raises(ArtefactError, match=r"manifest\.json is missing or unreadable"):
        verify_package(package)


def test_a_file_added_after_staging_is_refused(tmp_path, package):
    """What nobody staged does not get loaded."""
    folder = stage_version(package, tmp_path / "models", NAME, SIGNATURE, Resources())
    (folder / "1" / "extra.py").write_text("")

    with pytest.raises(ArtefactError, match=r"1/extra\.py was added"):
        verify_staged(folder)


def test_the_vendors_backend_gets_the_graph_alone(tmp_path, package):
    """No model of ours beside it; changing the backend stages the version anew, one way and the other."""
    native = TritonBackend.ONNXRUNTIME
    for _ in range(2):
        folder = stage_version(package, tmp_path / "models", NAME, SIGNATURE, Resources())
        assert (folder / "1" / "model.py").exists()
        folder = stage_version(package, tmp_path / "models", NAME, SIGNATURE, Resources(), backend=native)
        assert 'backend: "onnxruntime"' in (folder / "config.pbtxt").read_text()
        assert not (folder / "1" / "model.py").exists()
        verify_staged(folder)


def test_a_tensor_without_columns_is_left_out(package):
    """A model with numeric inputs only has no categorical tensor."""
    resources = Resources(maximum_batch=64, instances=2, maximum_queue_delay_microseconds=300, memory_mb=512)
    text = config_text(NAME, SIGNATURE, resources)

    assert '"numeric" data_type: TYPE_FP32 dims: [ 1 ]' in text
    assert "categorical" not in text
    assert "max_batch_size: 64" in text
    assert "instance_group [ { kind: KIND_CPU count: 2 } ]" in text
    assert "dynamic_batching { max_queue_delay_microseconds: 300 }" in text
    assert 'parameters { key: "memory_mb" value: { string_value: "512" } }' in text


def test_a_version_staged_before_its_configuration_changed_is_staged_anew(tmp_path, package):
    """What was staged by an older platform gets the configuration of this one; nothing else changes."""
    folder = stage_version(package, tmp_path / "models", NAME, SIGNATURE, Resources(memory_mb=128))
    again = stage_version(package, tmp_path / "models", NAME, SIGNATURE, Resources())
    assert folder == again
    assert config_text(NAME, SIGNATURE, Resources()) == (folder / "config.pbtxt").read_text()
