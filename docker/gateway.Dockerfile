# The gateway alone: no Airflow, no torch. Build from the repository root:
#   docker build -f docker/gateway.Dockerfile -t ninety-gateway .
# Not yet built or run: this needs a Docker engine, and no test covers it. The base is named by tag, since only its
# registry can tell a digest; `make pin-images` asks it and writes it here, where you build.
ARG PYTHON=python:3.11-slim-bookworm
FROM ${PYTHON}

RUN useradd --create-home --uid 10001 ninety \
    && install --directory --owner=ninety --mode=700 /var/lib/ninety
WORKDIR /srv/ninety
COPY serving/gateway/requirements.lock serving/gateway/requirements.lock
RUN pip install --no-cache-dir --require-hashes -r serving/gateway/requirements.lock

COPY include/__init__.py include/__init__.py
COPY include/contracts include/contracts
COPY include/config include/config
COPY include/transforms include/transforms
COPY include/adapters include/adapters
COPY serving/__init__.py serving/__init__.py
COPY serving/gateway serving/gateway

USER ninety
ENV PYTHONPATH=/srv/ninety PYTHONUNBUFFERED=1 TZ=UTC NINETY_HOST=0.0.0.0 NINETY_HOME=/var/lib/ninety
VOLUME /var/lib/ninety
EXPOSE 8000
# Ready once every model's golden predictions come out right.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=2)"]
CMD ["python", "-m", "serving.gateway"]
