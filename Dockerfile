# syntax=docker/dockerfile:1
# Two stages: the first builds a virtual environment from the lock files with hashes and compiles
# the router, the second has that environment and nothing to build with. Runs as an ordinary user;
# writes below /var/lib/understudy only (`state:` in the routing file).
ARG PYTHON=3.11

# The whole image, not the slim one: it has the C compiler.
FROM python:${PYTHON} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv /opt/understudy \
    && /opt/understudy/bin/python -m pip install --only-binary :all: --require-hashes -r requirements.lock
# What builds stays in an environment of its own.
RUN python -m venv /opt/build \
    && /opt/build/bin/python -m pip install --require-hashes -r requirements-dev.lock
COPY pyproject.toml README.md LICENSE ./
COPY router router
COPY evaluator evaluator
COPY controller controller
COPY sidecar sidecar
COPY config config
COPY scripts scripts
RUN /opt/build/bin/python -m hatchling build -t wheel \
    && /opt/understudy/bin/python -m pip install --no-deps --no-index dist/*.whl \
    && /opt/understudy/bin/python -m compileall -q /opt/understudy/lib
RUN PYTHONPATH=/src /opt/build/bin/python scripts/compile_router.py \
    && home="$(/opt/understudy/bin/python -P -c 'import sidecar.compiled as c; print(c.HOME)')" \
    && mkdir -p "$(dirname "$home")" && cp -r build/compiled "$home" \
    && /opt/understudy/bin/python -P -c 'import sidecar.compiled as c; assert c.is_usable()'

FROM python:${PYTHON}-slim
RUN groupadd --gid 10001 understudy \
    && useradd --uid 10001 --gid understudy --no-create-home --shell /usr/sbin/nologin understudy \
    && install -d -o understudy -g understudy -m 0700 /var/lib/understudy \
    && install -d /etc/understudy
COPY --from=build /opt/understudy /opt/understudy
ENV PATH=/opt/understudy/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/understudy
VOLUME /var/lib/understudy
# 8080 clients, 8081 admin: health, metrics, labels, status. The admin port is reachable from
# outside the container only if the routing file says so (admin: {listen: 0.0.0.0:8081}).
EXPOSE 8080 8081
# /livez and not /readyz: a champion that is away is no reason to restart the sidecar.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8081/livez', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["understudy"]
CMD ["run", "/etc/understudy/routing.yaml"]
