# Images for the platform's pods; see docs/dataloop.md.
#   docker build --target cpu --tag REGISTRY/sam2-adapter:VERSION-cpu .
#   docker build --target gpu --tag REGISTRY/sam2-adapter:VERSION-gpu .
#   ... --build-arg MODELS="sam2_hiera_s.yaml sam2.1_hiera_l.yaml"      weights in the image instead of fetched at start

FROM python:3.11.14-slim-bookworm AS base
ARG MODELS=""
ENV PYTHONUNBUFFERED=1 SAM2_ADAPTER_CACHE=/opt/weights HOME=/tmp
# Pillow joins the letters of scripts such as Devanagari with it.
RUN apt-get update && apt-get install --yes --no-install-recommends libfribidi0 && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 1000 --no-create-home pod && install -d -o pod /opt/weights /opt/sam2-adapter
WORKDIR /opt/sam2-adapter
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY docker/install.sh docker/install.sh
COPY sam2_adapter sam2_adapter

FROM base AS cpu
RUN sh docker/install.sh cpu $MODELS && chown -R pod /opt/weights
USER 1000

FROM base AS gpu
RUN sh docker/install.sh gpu $MODELS && chown -R pod /opt/weights
USER 1000
