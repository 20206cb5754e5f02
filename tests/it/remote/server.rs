//! A server that a service elsewhere could be: plain or behind TLS, with certificates of every kind, and answers of every kind.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// What the server does once it has read a request's head.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// An answer without a body.
    Status(u16),
    /// Another place.
    Redirect(String),
    /// Ten gigabytes are promised and one byte comes each tenth of a second.
    Drips,
    /// Bytes without end, as fast as they are taken.
    Floods,
    /// Nothing, for ever.
    Silent,
}

/// Decides by what was asked.
type Answers = Box<dyn Fn(&str) -> Reply + Send>;

/// Lives as long as the value.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    scheme: &'static str,
    requests: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<Answers>>,
    n_sent: Arc<Mutex<u64>>,
    _runtime: Runtime,
}

impl Server {
    pub(crate) fn plain(answers: impl Fn(&str) -> Reply + Send + 'static) -> Self {
        Self::new("127.0.0.1:0".parse().unwrap(), None, answers)
    }

    /// At an address that was used before.
    pub(crate) fn plain_at(address: SocketAddr, answers: impl Fn(&str) -> Reply + Send + 'static) -> Self {
        Self::new(address, None, answers)
    }

    pub(crate) fn tls(config: ServerConfig, answers: impl Fn(&str) -> Reply + Send + 'static) -> Self {
        Self::new("127.0.0.1:0".parse().unwrap(), Some(config), answers)
    }

    fn new(at: SocketAddr, tls: Option<ServerConfig>, answers: impl Fn(&str) -> Reply + Send + 'static) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind(at)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answers: Arc<Mutex<Answers>> = Arc::new(Mutex::new(Box::new(answers)));
        let n_sent = Arc::new(Mutex::new(0));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let shared = (requests.clone(), answers.clone(), n_sent.clone());
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, shared) = (acceptor.clone(), shared.clone());
                tokio::spawn(async move {
                    let (requests, answers, n_sent) = shared;
                    match acceptor {
                        None => converse(stream, &requests, &answers, &n_sent).await,
                        Some(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => converse(stream, &requests, &answers, &n_sent).await,
                            Err(_) => Ok(()),
                        },
                    }
                });
            }
        });
        Self { address, scheme, requests, answers, n_sent, _runtime: runtime }
    }

    /// From now on.
    pub(crate) fn answers(&self, answers: impl Fn(&str) -> Reply + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answers);
    }

    /// The heads of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How many bytes of bodies were taken by the other side.
    pub(crate) fn n_sent(&self) -> u64 {
        *self.n_sent.lock().unwrap()
    }

    /// `https://localhost:4711` and what follows.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.address.port())
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    requests: &Mutex<Vec<String>>,
    answers: &Mutex<Answers>,
    n_sent: &Mutex<u64>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
        if head == [0x16] {
            // A handshake where none is understood.
            return stream.write_all(b"HTTP/1.1 400 X\r\n\r\n").await;
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    requests.lock().unwrap().push(head.clone());
    let reply = (answers.lock().unwrap())(&head);
    let said = match &reply {
        Reply::Status(status) => format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"),
        Reply::Redirect(place) => format!("HTTP/1.1 302 X\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n"),
        Reply::Drips | Reply::Floods => "HTTP/1.1 200 X\r\nContent-Length: 10000000000\r\n\r\n".to_owned(),
        Reply::Silent => String::new(),
    };
    stream.write_all(said.as_bytes()).await?;
    stream.flush().await?;
    match reply {
        Reply::Status(_) | Reply::Redirect(_) => stream.shutdown().await,
        Reply::Silent => stream.read_to_end(&mut Vec::new()).await.map(drop),
        Reply::Drips => loop {
            stream.write_all(b"x").await?;
            stream.flush().await?;
            *n_sent.lock().unwrap() += 1;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        },
        Reply::Floods => loop {
            stream.write_all(&[b'x'; 4096]).await?;
            *n_sent.lock().unwrap() += 4096;
        },
    }
}
