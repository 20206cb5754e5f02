//! A server that a service elsewhere could be: plain or behind TLS, with certificates of every kind, and answers of every kind.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Once};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

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

/// What is odd about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oddity {
    Nothing,
    Expired,
    NotYetValid,
    AnotherHost,
    SelfSigned,
}

/// An authority of a test, and servers that it vouches for.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| drop(ring::default_provider().install_default()));
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "authority of a test");
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// What a server of that kind has to show.
    pub(crate) fn server(&self, oddity: Oddity) -> ServerConfig {
        let host = if oddity == Oddity::AnotherHost { "another.example" } else { "localhost" };
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        match oddity {
            Oddity::Expired => {
                params.not_before = date_time_ymd(2019, 1, 1);
                params.not_after = date_time_ymd(2020, 1, 1);
            }
            Oddity::NotYetValid => params.not_before = date_time_ymd(2500, 1, 1),
            Oddity::Nothing | Oddity::AnotherHost | Oddity::SelfSigned => {}
        }
        let key = KeyPair::generate().unwrap();
        let certificate = match oddity {
            Oddity::SelfSigned => params.self_signed(&key).unwrap(),
            Oddity::Nothing | Oddity::Expired | Oddity::NotYetValid | Oddity::AnotherHost => {
                params.signed_by(&key, &self.issuer).unwrap()
            }
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap()
    }
}
