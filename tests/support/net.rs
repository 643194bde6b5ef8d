//! A listener on loopback that can go away and come back on the same port.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Accepts connections until it is dropped or stopped.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// A port that is ours, on which nobody listens: to connect there is refused.
pub(crate) struct Reserved {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Reserved {
    /// Takes `address`; port 0 lets the system choose.
    pub(crate) fn take(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("SO_REUSEADDR");
        socket.bind(address).expect("a free port");
        let address = socket.local_addr().expect("a bound address");
        Self { socket, address }
    }

    /// Takes any free port.
    pub(crate) fn any() -> Self {
        Self::take((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// The address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to listen.
    pub(crate) fn listen(self) -> TcpListener {
        self.socket.listen(1024).expect("a listener")
    }
}

impl Listening {
    /// Gives each connection of `listener` to `handle`, in a task of its own.
    pub(crate) fn start<F, C>(listener: TcpListener, handle: F) -> Self
    where
        F: Fn(TcpStream) -> C + Send + 'static,
        C: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().expect("a bound address");
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let (connections, stopped) = (tasks.clone(), stop.clone());
        tasks.spawn(async move {
            while let Some(Ok((stream, _))) = stopped.run_until_cancelled(listener.accept()).await {
                let _ = stream.set_nodelay(true);
                connections.spawn(stopped.clone().run_until_cancelled_owned(handle(stream)));
            }
        });
        Self {
            address,
            stop,
            tasks,
        }
    }

    /// Cuts every connection and gives the port up, but keeps it reserved.
    pub(crate) async fn stop(&self) -> Reserved {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        Reserved::take(self.address)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
