"""An executor whose workers are forked with the heavy libraries already imported.

A task that imports feast and mlflow otherwise spends five to nine seconds on that alone.
"""

import importlib
import threading

from airflow.executors.local_executor import LocalExecutor

from include.config.libraries import TASK_LIBRARIES


class PreloadedLocalExecutor(LocalExecutor):
    """LocalExecutor that imports before it forks."""

    def start(self) -> None:
        """Import, say so if a thread would be lost at the fork, then fork the workers."""
        for name in TASK_LIBRARIES:
            importlib.import_module(name)
        threads = [thread.name for thread in threading.enumerate()]
        if len(threads) > 1:
            self.log.warning("threads alive at the fork, lost in the workers: %s", ", ".join(threads))
        super().start()
