"""What tasks import that takes seconds, so that whoever forks their processes imports it once before."""

# Imported only, none of them leaves a Python thread behind; the native threads of OpenBLAS and Arrow's
# allocator have fork handlers. onnxruntime is left out: it starts a native thread without one, and
# imports in 0.1 s.
# torch's first optimiser imports torch._dynamo, which takes seconds of its own.
TASK_LIBRARIES = ("pandas", "pyarrow", "duckdb", "torch._dynamo", "mlflow", "feast", "great_expectations")
