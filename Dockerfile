# The image of detection-api. `image/build` makes the same root file system without a container engine: both fill it
# with image/rootfs.py. docs/architecture/image.md says how to build, move and check it.
#
#   commit=$(git rev-parse --short=12 HEAD)
#   docker build --build-arg VERSION=0.1.0 --build-arg COMMIT="$commit" \
#     --build-arg SOURCE_DATE_EPOCH="$(git show -s --format=%ct)" -t detection-api:"$commit" .
#
# The base image is named by its version: no digest could be looked up where this file was written. Pin the one you
# trust: --build-arg BASE=debian:12-slim@sha256:... Only the build stage uses it; the image itself begins empty.
ARG BASE=debian:12-slim

FROM ${BASE} AS build
WORKDIR /source
COPY scripts scripts
RUN scripts/setup.sh build image
COPY . .
ARG VERSION
ARG COMMIT
ARG SOURCE_DATE_EPOCH
RUN scripts/console.sh build && \
    cmake --preset release -DDETECTION_COMMIT="${COMMIT:?}" && \
    cmake --build --preset release --target detection-api && \
    test "$(build/release/bin/detection-api --version)" = "${VERSION:?} ($COMMIT)" && \
    SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:?}" image/build --binary build/release/bin/detection-api --rootfs /rootfs

# The bill of materials alone: docker build --target sbom --output FOLDER ...
FROM scratch AS sbom
COPY --from=build /rootfs.spdx.json /sbom.spdx.json

FROM scratch
ARG VERSION
ARG COMMIT
COPY --from=build /rootfs/ /
LABEL org.opencontainers.image.title="detection-api" \
      org.opencontainers.image.description="AI detections, geolocated, recorded and delivered to TAK servers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
# The root is read-only and has no /tmp: SQLite's temporary files go where its store is.
ENV SQLITE_TMPDIR=/var/lib/detection
WORKDIR /
EXPOSE 8000 9100
STOPSIGNAL SIGTERM
USER 10001:10001
ENTRYPOINT ["/detection-api"]
