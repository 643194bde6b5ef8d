//! `tollgate health`: ask a running gate whether it is ready.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::read_config;

/// A probe that takes longer has its answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// 0 ready, 1 not ready or not there, 2 the config is wrong or has no admin listener.
pub(super) fn run(path: &Path, out: &mut dyn Write) -> io::Result<u8> {
    let config = match read_config(path, out)? {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let Some(address) = config.admin.map(|admin| admin.address) else {
        writeln!(
            out,
            "the config switches the admin listener off, so nobody can be asked"
        )?;
        return Ok(2);
    };
    let answer = ask(reachable(address));
    match answer {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => {
            writeln!(out, "ready")?;
            Ok(0)
        }
        Ok(answer) => {
            writeln!(
                out,
                "not ready: {}",
                answer.lines().last().unwrap_or_default()
            )?;
            Ok(1)
        }
        Err(error) => {
            writeln!(out, "no answer from {address}: {error}")?;
            Ok(1)
        }
    }
}

/// An address that means "all interfaces" is asked on the loopback one.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    // The answer is a line or two; whoever sends more is not the one that was asked.
    stream.take(16 << 10).read_to_string(&mut answer)?;
    Ok(answer)
}
