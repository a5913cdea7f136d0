# The tool in an image of its own, with all it needs but a container engine, whose socket is mounted: see docs/engines.md.
#   docker build --tag bigtop-builder .
# BASE is any image of Debian 13; `make image BASE=embedded` makes one of Debian's packages where no registry of images is
# in reach. Certificate authorities of a site are taken from ca.pem beside this file, if it is there.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS system
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        ca-certificates debootstrap git gnupg gpgv libglib2.0-0t64 openssh-client patch python3 python3-venv uidmap \
    && apt-get clean && rm -rf /var/lib/apt/lists/* /var/log/*

FROM system AS installed
LABEL org.bigtop-builder.stage=installed
COPY . /src
RUN if [ -s /src/ca.pem ]; then export PIP_CERT=/src/ca.pem; fi \
    && python3 -m venv /opt/bigtop-builder \
    && /opt/bigtop-builder/bin/pip install --no-cache-dir --disable-pip-version-check "/src[publish]"

FROM system
COPY --from=installed /opt/bigtop-builder /opt/bigtop-builder
RUN ln -s /opt/bigtop-builder/bin/bigtop-builder /usr/local/bin/
# The engine mounts folders of the store into builds, so that it must have the same path outside: --volume STORE:STORE.
ENV BIGTOP_BUILDER_STORE=/var/lib/bigtop-builder LANG=C.UTF-8
ENTRYPOINT ["bigtop-builder"]
