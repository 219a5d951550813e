"""Where the artefact store lies: a folder, or a bucket of S3, as one setting says."""

from include.adapters.artefacts import ArtefactStore
from include.config.settings import Settings


def artefact_store(settings: Settings) -> ArtefactStore:
    """Return the artefact store; nothing is connected before it is used."""
    if not settings.artefacts_url:
        return ArtefactStore(settings.artefacts_folder)
    # boto3 takes a while to import, and who has no bucket needs none.
    from include.adapters.bucket_artefacts import BucketArtefacts  # noqa: PLC0415

    return BucketArtefacts(settings.artefacts_url, settings.artefact_cache_folder)
