"""Registered versions."""

from sqlalchemy import Connection, RowMapping, bindparam, insert, or_, select

from include.adapters.ledger.journal import Journal
from include.adapters.ledger.tables import versions
from include.contracts.errors import ConflictError, RegistryError
from include.contracts.events import EventKind
from include.contracts.packages import Version
from include.contracts.versions import SemanticVersion

# Made once: while it runs, every other writer waits.
_CLASHING = select(versions).where(
    versions.c.model == bindparam("model"),
    or_(*(versions.c[name] == bindparam(name) for name in ("artefact_sha256", "run_id", "version"))),
)


class VersionLedger(Journal):
    """Reads and writes versions."""

    def register_version(
        self,
        *,
        model: str,
        version: str,
        artefact_sha256: str,
        package_uri: str,
        run_id: str,
        requested_by: str,
        actor: str,
    ) -> Version:
        """Register a package; one that is registered already is returned as it is.

        Raises:
            ConflictError: the version number, or the run, belongs to another package.
        """
        with self._writing() as transaction:
            new = Version(
                model=model,
                version=str(SemanticVersion.parse(version)),
                artefact_sha256=artefact_sha256,
                package_uri=package_uri,
                run_id=run_id,
                requested_by=requested_by,
                registered_at=transaction.now,
            )
            known = _clash(transaction.connection, new)
            if known is not None and known.artefact_sha256 == artefact_sha256:
                return known
            if known is not None:
                raise ConflictError(
                    f"{model} {known.version} of run {known.run_id} is registered already; this package "
                    f"(run {run_id}) cannot become {version}: derive its version again, or train anew"
                )
            transaction.connection.execute(insert(versions), new.model_dump())
            transaction.append(
                EventKind.VERSION_REGISTERED,
                model=model,
                subject=f"{model} {new.version}",
                actor=actor,
                payload=new.model_dump(mode="json"),
            )
            return new

    def versions(self, model: str, retired: bool = False) -> tuple[Version, ...]:
        """Return a model's versions, lowest first; those that are retired only when asked for."""
        query = select(versions).where(versions.c.model == model)
        if not retired:
            query = query.where(versions.c.retired_at.is_(None))
        with self._reading() as connection:
            found = [_version(row) for row in connection.execute(query).mappings()]
        return tuple(sorted(found, key=lambda item: SemanticVersion.parse(item.version)))

    def models(self) -> tuple[str, ...]:
        """Return every model that ever had a version, in order."""
        query = select(versions.c.model).distinct().order_by(versions.c.model)
        with self._reading() as connection:
            return tuple(connection.execute(query).scalars())

    def version(self, model: str, version: str) -> Version | None:
        """Return one version, retired or not; None where there is none."""
        query = select(versions).where(versions.c.model == model, versions.c.version == version)
        with self._reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else _version(row)

    def known_version(self, model: str, version: str) -> Version:
        """Return a version.

        Raises:
            RegistryError: it is not registered; the message lists what is.
        """
        found = self.version(model, version)
        if found is None:
            known = ", ".join(item.version for item in self.versions(model)) or "none"
            raise RegistryError(f"{model} has no version {version}; registered: {known}")
        return found

    def version_by_artefact(self, model: str, artefact_sha256: str) -> Version | None:
        """Return the version of a package; None where it is not registered."""
        query = select(versions).where(
            versions.c.model == model, versions.c.artefact_sha256 == artefact_sha256
        )
        with self._reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else _version(row)


def _version(row: RowMapping) -> Version:
    return Version.model_validate({name: row[name] for name in Version.model_fields})


def _clash(connection: Connection, new: Version) -> Version | None:
    """Return a version that shares package, run or number with the new one, the same package first."""
    found = [_version(row) for row in connection.execute(_CLASHING, new.model_dump()).mappings()]
    return min(found, key=lambda item: item.artefact_sha256 != new.artefact_sha256, default=None)
