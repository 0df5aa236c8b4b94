# Image of the monitor, without TensorFlow. From the root of the repository:
#   docker build --file docker/monitor.Dockerfile --tag sensor-monitor:0.1.0 .
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY monitor monitor
COPY training training
RUN python -m venv /opt/sensor-monitor
# Each file that is downloaded must have its hash in constraints.txt. The project itself is built without isolation, by
# the build backend with a hash, which stays out of the image.
RUN sed -n -e '/^# monitor$/,/^$/p' constraints.txt > packages.txt && sed -n '/^# build$/,/^$/p' constraints.txt > backend.txt
RUN /opt/sensor-monitor/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement packages.txt
RUN /opt/sensor-monitor/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-deps --target backend --requirement backend.txt
RUN PYTHONPATH=backend /opt/sensor-monitor/bin/pip install --disable-pip-version-check --no-index --no-deps --no-build-isolation .

FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="sensor-monitor" \
      org.opencontainers.image.description="Says which of a plant's sensors can still be believed" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="0.1.0"
COPY --from=build /opt/sensor-monitor /opt/sensor-monitor
RUN mkdir -p /var/lib/sensor-monitor && chown 10001:10001 /var/lib/sensor-monitor

# Environment variables override the file, so these apply with any monitor.toml. The HTTP server listens on all
# addresses, because the loopback address of a container can't be reached from outside.
ENV PATH=/opt/sensor-monitor/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    MONITOR_BUNDLE=/data/bundle \
    MONITOR_STORE__PATH=/var/lib/sensor-monitor/state.db \
    MONITOR_HTTP__HOST=0.0.0.0 \
    MONITOR_HTTP__PORT=9108

USER 10001:10001
WORKDIR /var/lib/sensor-monitor
VOLUME /var/lib/sensor-monitor
EXPOSE 9108
# /livez checks the pipeline. /readyz would check the broker too, and a restart wouldn't bring that back.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, http.client as h; c = h.HTTPConnection('127.0.0.1', int(os.environ['MONITOR_HTTP__PORT']), timeout=4); c.request('GET', '/livez'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["sensor-monitor"]
CMD ["run"]
