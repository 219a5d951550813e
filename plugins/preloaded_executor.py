"""An executor whose workers are forked with the heavy libraries already imported.

A task that imports feast and mlflow otherwise spends five to nine seconds on that alone.
"""

import importlib
import threading

from airflow.executors.local_executor import LocalExecutor

# Imported only, none of them leaves a Python thread behind; the native threads of OpenBLAS and Arrow's
# allocator have fork handlers. onnxruntime is left out: it starts a native thread without one, and
# imports in 0.1 s.
# torch's first optimiser imports torch._dynamo, which takes seconds of its own.
PRELOADED = ("pandas", "pyarrow", "duckdb", "torch._dynamo", "mlflow", "feast", "great_expectations")


class PreloadedLocalExecutor(LocalExecutor):
    """LocalExecutor that imports before it forks."""

    def start(self) -> None:
        """Import, say so if a thread would be lost at the fork, then fork the workers."""
        for name in PRELOADED:
            importlib.import_module(name)
        threads = [thread.name for thread in threading.enumerate()]
        if len(threads) > 1:
            self.log.warning("threads alive at the fork, lost in the workers: %s", ", ".join(threads))
        super().start()
