# Image of the training commands, with TensorFlow. From the root of the repository:
#   docker build --file docker/training.Dockerfile --tag sensor-training:0.1.0 .
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY monitor monitor
COPY training training
RUN python -m venv /opt/sensor-monitor
# Each file that is downloaded must have its hash in constraints.txt. The project itself is built without isolation, by
# the build backend with a hash, which stays out of the image.
RUN sed -n -e '/^# monitor$/,/^$/p' -e '/^# training$/,/^$/p' -e '/^# tensorflow$/,/^$/p' constraints.txt > packages.txt && sed -n '/^# build$/,/^$/p' constraints.txt > backend.txt
RUN /opt/sensor-monitor/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement packages.txt
RUN /opt/sensor-monitor/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-deps --target backend --requirement backend.txt
RUN PYTHONPATH=backend /opt/sensor-monitor/bin/pip install --disable-pip-version-check --no-index --no-deps --no-build-isolation .

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
