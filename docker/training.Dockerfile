# Image of the training commands, with TensorFlow. From the root of the repository:
#   docker build --file docker/training.Dockerfile --tag sensor-training:0.1.0 .
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY monitor monitor
COPY training training
RUN python -m venv /opt/sensor-monitor
RUN /opt/sensor-monitor/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt '.[training]'

FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="sensor-training" \
      org.opencontainers.image.description="Makes the bundle that sensor-monitor loads" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="0.1.0"
COPY --from=build /opt/sensor-monitor /opt/sensor-monitor
RUN mkdir -p /data && chown 10001:10001 /data

# MPLCONFIGDIR: matplotlib's font cache is the only file that is written outside /data.
ENV PATH=/opt/sensor-monitor/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp

USER 10001:10001
WORKDIR /data
VOLUME /data
ENTRYPOINT ["sensor-training"]
CMD ["--help"]
