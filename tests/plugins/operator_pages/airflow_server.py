"""An API server as Airflow starts it, with some DAGs in its database; no other process. Run with -m.

Database, DAGs and server in one process: importing Airflow takes longest of all.
"""

import sys
import warnings


def main() -> None:
    """Make the database, write the bundles' DAGs into it, serve."""
    warnings.simplefilter("ignore")
    import uvicorn  # noqa: PLC0415 - after the filter
    from airflow.dag_processing.bundles.manager import DagBundlesManager  # noqa: PLC0415
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db  # noqa: PLC0415
    from airflow.utils.db import initdb  # noqa: PLC0415

    initdb()
    manager = DagBundlesManager()
    manager.sync_bundles_to_db()
    for bundle in manager.get_all_dag_bundles():
        bundle.initialize()
        bag = BundleDagBag(bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
        sync_bag_to_db(bag, bundle.name, None)

    uvicorn.run("airflow.api_fastapi.main:app", host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
