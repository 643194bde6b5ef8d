//! A plain round-robin load balancer for TCP, such as stands before several replicas.
//!
//! A new connection goes to the next replica that takes it. One that refuses, or says nothing for too long, is left out
//! for a while. A connection ends when its replica ends it, or dies.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, timeout};

use super::net::{Listening, Reserved};

/// How long a replica may keep a new connection waiting for the first byte.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long one is left out.
const LEFT_OUT: Duration = Duration::from_secs(2);

/// The balancer, until it is dropped.
pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    replicas: Arc<Replicas>,
    _listening: Listening,
}

#[derive(Default)]
struct Replicas(Mutex<Turns>);

#[derive(Default)]
struct Turns {
    replicas: Vec<Replica>,
    next: usize,
}

struct Replica {
    address: SocketAddr,
    left_out_until: Option<Instant>,
}

impl Balancer {
    /// Begins with no replica; connections are closed.
    pub(crate) fn start() -> Self {
        let listener = Reserved::any().listen();
        let replicas = Arc::new(Replicas::default());
        let shared = Arc::clone(&replicas);
        let listening =
            Listening::start(listener, move |stream| serve(Arc::clone(&shared), stream));
        Self {
            address: listening.address,
            replicas,
            _listening: listening,
        }
    }

    /// Replaces the replicas.
    pub(crate) fn send_to(&self, addresses: impl Iterator<Item = SocketAddr>) {
        let replicas = addresses.map(|address| Replica {
            address,
            left_out_until: None,
        });
        self.replicas
            .change(|turns| turns.replicas = replicas.collect());
    }
}

impl Replicas {
    fn change<T>(&self, change: impl FnOnce(&mut Turns) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The replicas to try, in this order: those left out last.
    fn in_turn(&self) -> Vec<SocketAddr> {
        self.change(|turns| {
            turns.next = turns.next.wrapping_add(1);
            let count = turns.replicas.len();
            let from_next = (0..count).map(|at| &turns.replicas[(turns.next + at) % count]);
            let now = Instant::now();
            let (out, good): (Vec<&Replica>, Vec<&Replica>) =
                from_next.partition(|one| one.left_out_until.is_some_and(|until| until > now));
            good.iter().chain(&out).map(|one| one.address).collect()
        })
    }

    fn leave_out(&self, address: SocketAddr) {
        self.change(|turns| {
            for one in &mut turns.replicas {
                if one.address == address {
                    one.left_out_until = Some(Instant::now() + LEFT_OUT);
                }
            }
        });
    }
}

async fn serve(replicas: Arc<Replicas>, client: TcpStream) {
    for address in replicas.in_turn() {
        let connected = timeout(PATIENCE, TcpStream::connect(address)).await;
        let Ok(Ok(replica)) = connected else {
            replicas.leave_out(address);
            continue;
        };
        let _ = replica.set_nodelay(true);
        let (from_client, to_client) = client.into_split();
        let (from_replica, to_replica) = replica.into_split();
        let answered = tokio::select! {
            answered = answers(from_replica, to_client) => answered,
            never = requests(from_client, to_replica) => match never {},
        };
        if !answered {
            replicas.leave_out(address);
        }
        return;
    }
}

/// Passes on what the replica says, to its end; `false` when it has never said anything.
async fn answers(mut from_replica: OwnedReadHalf, mut to_client: OwnedWriteHalf) -> bool {
    let mut first = vec![0; 64 * 1024];
    let Ok(Ok(count @ 1..)) = timeout(PATIENCE, from_replica.read(&mut first)).await else {
        return false;
    };
    if to_client.write_all(&first[..count]).await.is_ok() {
        let _ = copy(&mut from_replica, &mut to_client).await;
    }
    true
}

/// Passes on what the client says. The end of it is not the end of the connection: an answer may still come.
async fn requests(
    mut from_client: OwnedReadHalf,
    mut to_replica: OwnedWriteHalf,
) -> std::convert::Infallible {
    let _ = copy(&mut from_client, &mut to_replica).await;
    let _ = to_replica.shutdown().await;
    std::future::pending().await
}
