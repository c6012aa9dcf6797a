# syntax=docker/dockerfile:1
# The server in an image without a shell, as a user without rights. Build with SQLite (the default) or PostgreSQL:
#   docker build --build-arg DATABASE=postgres --tag app .
# Pin both images by digest in your own registry: `docker buildx imagetools inspect rust:1-bookworm`.
FROM rust:1-bookworm AS build
ARG DATABASE=sqlite
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY app app
COPY server server
COPY migrations migrations
COPY style style
COPY tests tests
# The caches stay on the machine that builds, so only what changed is compiled again.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    rustup target add wasm32-unknown-unknown && app/build-islands \
    && cargo build --release --locked -p server --no-default-features --features "$DATABASE" \
    && install -D target/release/server /image/server && mkdir /image/data

# glibc, CA certificates and time zones; no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /image/server /usr/local/bin/server
COPY --from=build --chown=65532:65532 /image/data /var/lib/server/data
WORKDIR /var/lib/server
USER 65532:65532
ENV BIND_ADDR=0.0.0.0:3000
EXPOSE 3000
# Where SQLite's file is; with PostgreSQL nothing is written here.
VOLUME /var/lib/server/data
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/usr/local/bin/server", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/server"]
CMD ["serve"]
