//! Listening, and dealing connections out to the workers.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::Semaphore;

use super::worker::Inbox;
use super::{Listen, Peer};
use crate::stop::Stop;

/// Connections that the kernel keeps for us while all workers are busy.
const BACKLOG: i32 = 4096;
/// Pause after a failed accept: it fails when file descriptors are short, and trying at once would spin.
const PAUSE: Duration = Duration::from_millis(50);

/// A bound socket that does not accept yet.
pub struct Listener {
    socket: TcpListener,
    /// Whether its connections start with a TLS handshake.
    pub tls: bool,
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

/// Binds one listener.
///
/// # Errors
///
/// When the address is taken or not ours.
pub fn bind(listen: Listen) -> Result<Listener, BindError> {
    let socket = listening_socket(listen.address).map_err(|source| BindError {
        address: listen.address,
        source,
    })?;
    Ok(Listener {
        socket,
        tls: listen.tls,
    })
}

fn listening_socket(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Listener {
    /// The address it is bound to, with the port the system chose.
    ///
    /// # Errors
    ///
    /// When the socket is broken.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until the drain, at most as many at once as `places` has permits.
    pub(super) async fn accept_into(
        self,
        inboxes: Vec<Inbox>,
        places: Arc<Semaphore>,
        stop: Stop,
    ) -> io::Result<()> {
        let tls = self.tls;
        let socket = tokio::net::TcpListener::from_std(self.socket)?;
        loop {
            // First a place, then a connection: who finds none waits in the kernel's queue.
            let place = tokio::select! {
                () = stop.draining() => break,
                place = Arc::clone(&places).acquire_owned() => place.ok(),
            };
            let accepted = tokio::select! {
                () = stop.draining() => break,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    // As a plain socket again: the worker's runtime will watch it, not ours.
                    if let Ok(stream) = stream.into_std() {
                        deal(&inboxes, stream, Peer::new(address, tls, place));
                    }
                }
                Err(error) if is_gone(&error) => {}
                Err(error) => {
                    tracing::warn!(error = %error, "accept failed");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        // Whoever is in the queue already was told that the connection stands: serve them.
        let socket = socket.into_std()?;
        loop {
            match socket.accept() {
                Ok((stream, address)) => deal(&inboxes, stream, Peer::new(address, tls, None)),
                Err(error) if is_gone(&error) => {}
                Err(_would_block) => break,
            }
        }
        Ok(())
    }
}

/// The client gave up before we came: nothing to complain about.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Gives the connection to the worker that has the fewest.
fn deal(inboxes: &[Inbox], stream: TcpStream, peer: Peer) {
    let nonblocking = stream.set_nonblocking(true);
    if let (Some(inbox), Ok(())) = (inboxes.iter().min_by_key(|inbox| inbox.load()), nonblocking) {
        inbox.send(stream, peer);
    }
}
