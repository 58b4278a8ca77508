# syntax=docker/dockerfile:1
# One target per service: ingest, worker, api, web. compose.yaml builds them all.

# --- Rust: dependencies are compiled in a layer of their own, from manifests only, so that a
# --- change of our sources does not compile them again.
FROM rust:1.95-bookworm AS chef
RUN cargo install cargo-chef --locked --version 0.1.78
WORKDIR /build

FROM chef AS sources
COPY Cargo.toml Cargo.lock ./
COPY weather weather
COPY streams streams
COPY archive archive
COPY models/Cargo.toml models/Cargo.toml
COPY models/src models/src
COPY ingest ingest
COPY worker worker
COPY api api
COPY weatherglass weatherglass

FROM sources AS planner
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
COPY --from=planner /build/recipe.json recipe.json
RUN cargo chef cook --locked --profile dist --package weatherglass --recipe-path recipe.json
COPY --from=sources /build .
RUN cargo build --locked --profile dist --package weatherglass

# --- The dashboard's bundle.
FROM node:22-bookworm-slim AS bundle
WORKDIR /build
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY web .
RUN npm run build

# --- What every Rust service runs on: the certificates that rediss:// needs, and one binary.
FROM debian:bookworm-slim AS runtime
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 weatherglass \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin weatherglass
COPY --from=build /build/target/dist/weatherglass /usr/local/bin/weatherglass
LABEL org.opencontainers.image.title="Weatherglass" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
WORKDIR /var/empty
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["weatherglass"]

FROM runtime AS ingest
# A volume that is mounted here for the first time takes over the folder's owner.
USER root
RUN install --directory --owner 10001 --group 10001 /var/lib/weatherglass
USER 10001:10001
EXPOSE 8001 9101
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["weatherglass", "healthcheck", "http://127.0.0.1:8001/readyz"]
CMD ["ingest"]

FROM runtime AS worker
COPY models/weights /usr/share/weatherglass/models
ENV WEATHERGLASS_MODELS=/usr/share/weatherglass/models
EXPOSE 9102
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["weatherglass", "healthcheck", "http://127.0.0.1:9102/readyz"]
CMD ["worker"]

FROM runtime AS api
COPY --from=bundle /build/dist /usr/share/weatherglass/web
ENV WEATHERGLASS_WEB=/usr/share/weatherglass/web
EXPOSE 8000 9103
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["weatherglass", "healthcheck", "http://127.0.0.1:8000/readyz"]
CMD ["api"]

FROM nginxinc/nginx-unprivileged:1.29-alpine AS web
COPY deploy/nginx.conf /etc/nginx/conf.d/default.conf
COPY --from=bundle /build/dist /usr/share/nginx/html
USER 101:101
EXPOSE 5173
HEALTHCHECK --interval=10s --timeout=5s CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:5173/healthz"]
