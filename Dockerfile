# One static binary in an image that holds nothing else:
#
#     docker build -t tollgate .
#     docker run -p 8001:8001 -v ./config:/etc/tollgate:ro -v tollgate:/var/lib/tollgate tollgate

FROM rust:1-bookworm AS build
WORKDIR /src
# The C library too: what runs needs no file beside itself. --target keeps build scripts and macros out of it.
ENV RUSTFLAGS="-C target-feature=+crt-static"
RUN rustc -vV | sed -n 's/^host: //p' > /target

# The dependencies alone, from sources that say nothing: this layer stays until Cargo.toml or Cargo.lock changes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src benches \
 && touch src/lib.rs \
 && echo 'fn main() {}' | tee src/main.rs > benches/hot_path.rs \
 && cargo build --release --locked --bin tollgate --target "$(cat /target)"

COPY README.md ./
COPY config config
COPY src src
# The files may be older than what was built of the empty ones.
RUN touch src/lib.rs src/main.rs \
 && cargo build --release --locked --bin tollgate --target "$(cat /target)" \
 && install -D "target/$(cat /target)/release/tollgate" /image/usr/local/bin/tollgate

# What a program expects of a system: authorities to trust, a user, a place for the ledger and for temporary files.
RUN install -D -m 644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
 && echo 'tollgate:x:65532:65532::/var/lib/tollgate:/sbin/nologin' > /image/etc/passwd \
 && echo 'tollgate:x:65532:' > /image/etc/group \
 && echo 'hosts: files dns' > /image/etc/nsswitch.conf \
 && install -d -m 1777 /image/tmp \
 && install -d /volume

FROM scratch
COPY --from=build /image /
COPY --from=build --chown=65532:65532 /volume /var/lib/tollgate
USER 65532:65532
# A ledger with a relative name, and SQLite's temporary files, are in the volume.
WORKDIR /var/lib/tollgate
VOLUME /var/lib/tollgate
ENV TOLLGATE_CONFIG=/etc/tollgate/tollgate.yaml
EXPOSE 8001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/usr/local/bin/tollgate", "health"]
ENTRYPOINT ["/usr/local/bin/tollgate"]
CMD ["serve"]
