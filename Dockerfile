# The image of Pilotage: every process of it, as a user without rights. Works with BuildKit and the classic builder.
#
#   docker build --target runtime -t pilotage:0.1.0 .
#
# For an image that is the same byte for byte: PYTHON_IMAGE with a digest, SOURCE_DATE_EPOCH, and BuildKit's exporter
# option rewrite-timestamp=true.
ARG PYTHON_IMAGE=python:3.11-slim

# ---- build: a virtual environment from the locks, and nothing that is not in them -----------------------------------
FROM ${PYTHON_IMAGE} AS build
ARG SOURCE_DATE_EPOCH=0
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv --without-pip /opt/pilotage \
    && python -m pip --python /opt/pilotage/bin/python install -q --no-compile --require-hashes --no-deps \
        --only-binary :all: -r requirements.lock
# The program that packs ours, with its hashes from the lock of the developers.
RUN awk '/^[a-z]/ { keep = /^(hatchling|packaging|pathspec|pluggy|trove-classifiers)==/ } keep' \
        requirements-dev.lock >requirements-build.lock \
    && python -m venv --without-pip /opt/build \
    && python -m pip --python /opt/build/bin/python install -q --no-compile --require-hashes --no-deps \
        --only-binary :all: -r requirements-build.lock
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY orchestrator orchestrator
COPY workers workers
COPY webhooks webhooks
COPY charts charts
# Bytecode by content, not by time: the same on every build, and a read-only file system need not write any.
RUN export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH}" \
    && /opt/build/bin/python -m hatchling build -t wheel -d /dist \
    && python -m pip --python /opt/pilotage/bin/python install -q --no-compile --no-deps --no-index /dist/*.whl \
    && /opt/pilotage/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/pilotage/lib

# ---- runtime: what runs ---------------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS runtime
RUN apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install \
        ca-certificates git gnupg openssh-client >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/cache/ldconfig/aux-cache /var/log/* \
    && groupadd --gid 10001 pilotage \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/pilotage --no-log-init --shell /usr/sbin/nologin pilotage \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/pilotage
COPY --from=build /opt/pilotage /opt/pilotage
ENV PATH=/opt/pilotage/bin:$PATH HOME=/var/lib/pilotage PILOTAGE_STATE_DIR=/var/lib/pilotage \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /var/lib/pilotage
USER 10001:10001
ENTRYPOINT ["pilotage"]
CMD ["--help"]

# ---- sandbox: with what the stand-ins of the demo need; not for production -------------------------------------------
FROM runtime AS sandbox
USER 0:0
RUN apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install \
        busybox-static docker-registry >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/* \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/sandbox
USER 10001:10001

# The last stage is what a build without --target gives.
FROM runtime
