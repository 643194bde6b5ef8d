//! A plain HTTP/1.1 client that sends the bytes it is told to and reads what comes, framing and all.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No answer on loopback takes longer, unless something is wrong.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Anything that bytes go through: TCP, or TLS over it.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// One connection.
pub(crate) struct Wire {
    socket: BufReader<Box<dyn Socket>>,
}

/// One response, its interim ones before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) version: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// Responses with a status of 1xx that came first.
    pub(crate) interim: Vec<Self>,
}

/// How the body of a response ends (RFC 9112, section 6.3).
enum Framing {
    None,
    Length(usize),
    Chunked,
    Close,
}

impl Wire {
    /// Connects to `address` without TLS.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.expect("a connection");
        socket.set_nodelay(true).expect("TCP_NODELAY");
        Self::over(socket)
    }

    /// Speaks over `socket`.
    pub(crate) fn over(socket: impl Socket + 'static) -> Self {
        Self {
            socket: BufReader::new(Box::new(socket)),
        }
    }

    /// Sends `bytes` as they are.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.expect("the peer reads");
    }

    /// Sends `bytes`, which the peer may refuse to read.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let write = async {
            self.socket.write_all(bytes.as_ref()).await?;
            self.socket.flush().await
        };
        timeout(DEADLINE, write).await.map_err(io::Error::from)?
    }

    /// Reads a whole response to a request that was not HEAD.
    pub(crate) async fn reply(&mut self) -> Reply {
        self.try_reply(false).await.expect("a response")
    }

    /// Reads a whole response to a HEAD request.
    pub(crate) async fn reply_to_head(&mut self) -> Reply {
        self.try_reply(true).await.expect("a response")
    }

    /// Reads a whole response, if one comes.
    pub(crate) async fn try_reply(&mut self, to_head: bool) -> io::Result<Reply> {
        timeout(DEADLINE, async {
            let mut interim = Vec::new();
            loop {
                let mut reply = self.head().await?;
                if (100..200).contains(&reply.status) && reply.status != 101 {
                    interim.push(reply);
                    continue;
                }
                reply.interim = interim;
                self.body(&mut reply, to_head).await?;
                return Ok(reply);
            }
        })
        .await
        .map_err(io::Error::from)?
    }

    /// Reads a response's head alone; its body is still to be read.
    pub(crate) async fn reply_head(&mut self) -> Reply {
        timeout(DEADLINE, self.head())
            .await
            .expect("in time")
            .expect("a head")
    }

    /// Reads one line, without its end.
    pub(crate) async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        timeout(DEADLINE, self.socket.read_until(b'\n', &mut line))
            .await
            .map_err(io::Error::from)??;
        if !line.ends_with(b"\n") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(&line);
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Reads exactly `count` bytes.
    pub(crate) async fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        timeout(DEADLINE, self.socket.read_exact(&mut bytes))
            .await
            .map_err(io::Error::from)??;
        Ok(bytes)
    }

    /// Reads what has come, at most 64 KiB; nothing at the end.
    pub(crate) async fn some(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 64 * 1024];
        let count = timeout(DEADLINE, self.socket.read(&mut bytes))
            .await
            .map_err(io::Error::from)??;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Waits for the peer to close, and says whether it did without sending anything more.
    pub(crate) async fn is_closed(&mut self) -> bool {
        match self.some().await {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() != io::ErrorKind::TimedOut,
        }
    }

    async fn head(&mut self) -> io::Result<Reply> {
        let start = self.line().await?;
        let mut words = start.splitn(3, ' ');
        let version = words.next().unwrap_or_default().to_owned();
        let status = words.next().and_then(|text| text.parse().ok());
        let status =
            status.ok_or_else(|| io::Error::other(format!("not a status line: {start:?}")))?;
        Ok(Reply {
            version,
            status,
            headers: self.fields().await?,
            ..Reply::default()
        })
    }

    async fn fields(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    async fn body(&mut self, reply: &mut Reply, to_head: bool) -> io::Result<()> {
        match reply.framing(to_head) {
            Framing::None => {}
            Framing::Length(length) => reply.body = self.take(length).await?,
            Framing::Chunked => {
                while let Some(chunk) = self.chunk().await? {
                    reply.body.extend(chunk);
                }
                reply.trailers = self.fields().await?;
            }
            Framing::Close => {
                self.socket.read_to_end(&mut reply.body).await?;
            }
        }
        Ok(())
    }

    /// Reads one chunk; `None` is the last one, before the trailers.
    pub(crate) async fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let size = self.line().await?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)
            .map_err(io::Error::other)?;
        if size == 0 {
            return Ok(None);
        }
        let data = self.take(size).await?;
        self.line().await?;
        Ok(Some(data))
    }
}

impl Reply {
    /// The value of `name`, which must not come twice.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let values = self.header_all(name);
        assert!(
            values.len() < 2,
            "{name} came {} times: {self:?}",
            values.len()
        );
        values.first().copied()
    }

    /// Every value of `name`.
    pub(crate) fn header_all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn framing(&self, to_head: bool) -> Framing {
        if to_head || matches!(self.status, 101 | 204 | 304) {
            return Framing::None;
        }
        if self
            .header_all("transfer-encoding")
            .iter()
            .any(|v| v.eq_ignore_ascii_case("chunked"))
        {
            return Framing::Chunked;
        }
        match self.header("content-length").map(str::parse) {
            Some(Ok(length)) => Framing::Length(length),
            Some(Err(_)) => unreachable!("a Content-Length that is no number: {self:?}"),
            None => Framing::Close,
        }
    }
}
