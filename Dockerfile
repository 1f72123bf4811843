# The image of the service, for docker-compose.yml: not root, and made to run on a read-only root.
#
# It writes to /data, /provisioning (dashboards) and /var/cache/canhbao (compiled kernels: they belong to the processor
# they were compiled on, so they are no part of the image).

FROM python:3.11.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/canhbao
# What changes seldom first: the packages stay in the builder's cache while only our own code changes.
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -c "import tomllib as t; print(*t.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
      >wanted.txt \
    && /opt/canhbao/bin/pip install --constraint requirements.lock --requirement wanted.txt
COPY ingest ingest
COPY processing processing
COPY alerts alerts
COPY firmware_sim firmware_sim
COPY grafana grafana
RUN /opt/canhbao/bin/pip install --no-deps . && /opt/canhbao/bin/pip uninstall --yes pip

FROM python:3.11.11-slim-bookworm
RUN groupadd --gid 10001 canhbao && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin canhbao \
    && install -d -m 0700 -o canhbao -g canhbao /data /data/mosquitto /var/cache/canhbao \
    && install -d -m 0755 -o canhbao -g canhbao /provisioning && install -d /config
COPY --from=build /opt/canhbao /opt/canhbao
ENV PATH=/opt/canhbao/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 NUMBA_CACHE_DIR=/var/cache/canhbao
USER 10001:10001
WORKDIR /config
CMD ["canhbao", "run"]
