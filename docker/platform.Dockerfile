# Airflow's processes, Celery's workers, MLflow and the reconciler: one image, the command says which. Build from
# the repository root:
#   docker build -f docker/platform.Dockerfile --build-arg COMMIT=$(git rev-parse HEAD) -t ninety-platform .
# Not yet built or run: this needs a Docker engine, and no test covers it. The base is named by tag, since only its
# registry can tell a digest; `make pin-images` asks it and writes it here, where you build.
ARG PYTHON=python:3.11-slim-bookworm
FROM ${PYTHON}

# torch stands in the lock without a hash; from here it comes built for CPUs, a tenth of the size.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG COMMIT
RUN useradd --create-home --uid 10001 ninety \
    && install --directory --owner=ninety --mode=700 /var/lib/ninety \
    && apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 postgresql-client \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/ninety
COPY requirements.lock requirements.lock
RUN pip install --no-cache-dir uv==0.13.9 \
    && uv pip install --system --no-cache --index-strategy unsafe-best-match \
        --extra-index-url ${TORCH_INDEX} -r requirements.lock

COPY include include
COPY serving serving
COPY dags dags
COPY plugins plugins

USER ninety
ENV PYTHONPATH=/srv/ninety PYTHONUNBUFFERED=1 TZ=UTC NINETY_HOST=0.0.0.0 NINETY_HOME=/var/lib/ninety \
    NINETY_COMMIT=${COMMIT}
VOLUME /var/lib/ninety
# Which process this is, is asked in compose.yaml.
HEALTHCHECK NONE
CMD ["python", "-m", "include.commands.airflow", "version"]
