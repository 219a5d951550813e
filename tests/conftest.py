"""What must hold for every test."""

# First of all: Feast turns prometheus_client into its multi-process mode if it is imported before it, and
# then all gateways of a test process share their counters.
import prometheus_client  # noqa: F401
