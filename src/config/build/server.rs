//! `server` and `admin`.

use std::net::SocketAddr;

use crate::admin;
use crate::config::raw::Document;
use crate::config::raw::server::{Server, Tls};
use crate::config::read::{At, Invalid};
use crate::config::report::{Mistake, Mistakes};
use crate::server::{Config, Limits, Listen, TlsFiles};

/// What the HTTP/1.1 parser needs for its buffer, whatever the limit.
const LEAST_HEADER_BYTES: u64 = 8 * 1024;
/// Each connection may hold as much before anything is known of who sends it.
const MOST_HEADER_BYTES: u64 = 16 * 1024 * 1024;

pub(super) fn config(raw: &Server, mistakes: &mut Mistakes) -> Option<Config> {
    let listeners = listeners(raw, mistakes);
    let tls = raw.tls.built(|tls| files(tls));
    let limits = limits(raw, mistakes);
    let workers = raw.workers.optional().ok();
    Some(Config {
        listeners: listeners?,
        tls: tls.ok()?,
        limits: limits?,
        drain_timeout: raw.drain_timeout.value()?.0,
        workers: workers?.map_or_else(processors, |workers| workers.0),
    })
}

/// Less can be guessed. 16 characters of hexadecimal are 64 bits.
const LEAST_TOKEN: usize = 16;

/// The admin listener, unless it is off.
///
/// # Errors
///
/// When its address is not valid.
pub(super) fn admin(
    document: &Document,
    mistakes: &mut Mistakes,
) -> Result<Option<admin::Config>, Invalid> {
    let raw = document.admin.get().ok_or(Invalid)?;
    if let Some(token) = raw
        .token
        .get()
        .filter(|token| token.expose().len() < LEAST_TOKEN)
    {
        let message =
            format!("this token has less than {LEAST_TOKEN} characters and can be guessed");
        let help = "take a long random one: `openssl rand -hex 24`";
        mistakes.add(Mistake::new(token.place, message).help(help));
    }
    let token = raw.token.optional()?;
    let hosts = raw.hosts.optional()?;
    let hosts = hosts.iter().flat_map(|hosts| hosts.0.values());
    let hosts = hosts.map(|host| host.0.to_ascii_lowercase()).collect();
    let listen = raw.listen.get().ok_or(Invalid)?;
    if let (Some(address), Some(server)) = (listen.0, document.server.get())
        && addresses(server)
            .iter()
            .any(|public| clash(public.value, address))
    {
        mistakes.add(
            Mistake::new(
                listen.place,
                format!("`{address}` is a public listener too"),
            )
            .help("the admin listener needs a port of its own, which the public cannot reach"),
        );
    }
    Ok(listen.0.map(|address| admin::Config {
        address,
        token,
        hosts,
    }))
}

/// Every public address in the file.
pub(super) fn addresses(raw: &Server) -> Vec<At<SocketAddr>> {
    let listen = raw.listen.get().map(|listen| listen.0.items.clone());
    let tls = raw.tls.get().and_then(|tls| tls.listen.get().copied());
    listen.into_iter().flatten().chain(tls).collect()
}

fn listeners(raw: &Server, mistakes: &mut Mistakes) -> Option<Vec<Listen>> {
    let all = addresses(raw);
    for (index, address) in all.iter().enumerate() {
        if all[..index]
            .iter()
            .any(|earlier| clash(earlier.value, address.value))
        {
            let message = format!("`{}` is listened on already", address.value);
            mistakes.add(
                Mistake::new(address.place, message).help("give each listener a port of its own"),
            );
        }
    }
    let plain = raw.listen.get()?.0.items.iter().map(|item| item.value);
    let (all_tls, extra) = match raw.tls.optional().ok()? {
        None => (false, None),
        Some(tls) => {
            let extra = tls.listen.optional().ok()?;
            (extra.is_none(), extra)
        }
    };
    let plain = plain.map(|address| Listen {
        address,
        tls: all_tls,
    });
    Some(
        plain
            .chain(extra.map(|address| Listen { address, tls: true }))
            .collect(),
    )
}

/// Whether both cannot be bound. Port 0 is a new one each time.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let everywhere = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port()
        && a.port() != 0
        && (a.ip() == b.ip() || (everywhere && a.is_ipv4() == b.is_ipv4()))
}

fn files(raw: &Tls) -> Option<TlsFiles> {
    Some(TlsFiles {
        certificate: raw.certificate.value()?,
        key: raw.key.value()?,
    })
}

fn limits(raw: &Server, mistakes: &mut Mistakes) -> Option<Limits> {
    let head = raw.max_header_bytes.get();
    if let Some(head) = head.filter(|head| head.value.0.0 < LEAST_HEADER_BYTES) {
        let message = "the head of a request needs 8KiB at least";
        mistakes.add(
            Mistake::new(head.place, message).help("write `8KiB` or more; the default is `32KiB`"),
        );
    }
    if let Some(head) = head.filter(|head| head.value.0.0 > MOST_HEADER_BYTES) {
        let message = "the head of a request may have 16MiB at most";
        mistakes.add(
            Mistake::new(head.place, message).help("write `16MiB` or less; the default is `32KiB`"),
        );
    }
    let http2 = raw.http2.get()?;
    Some(Limits {
        max_header_bytes: usize::try_from(head?.value.0.0).unwrap_or(usize::MAX),
        max_headers: raw.max_headers.value()?.0,
        header_timeout: raw.header_timeout.value()?.0,
        handshake_timeout: raw.handshake_timeout.value()?.0,
        idle_timeout: raw.idle_timeout.value()?.0,
        max_connections: raw.max_connections.value()?.0,
        max_streams: http2.max_streams.value()?.0,
        max_resets: http2.max_resets.value()?.0,
    })
}

/// One thread for each processor that this process may use.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
