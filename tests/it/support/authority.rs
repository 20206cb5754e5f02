//! An authority of a test, and the certificates that it makes: good ones, and each kind that nobody should believe.

use std::sync::{Arc, Once};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// What is odd about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oddity {
    Nothing,
    Expired,
    NotYetValid,
    AnotherHost,
    SelfSigned,
}

/// An authority of a test, and servers and clients that it vouches for.
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
        let (certificate, key) = self.certify_server(oddity);
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap()
    }

    /// The same for one that lets in nobody but clients with a certificate of this authority.
    pub(crate) fn server_for_clients(&self, oddity: Oddity) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let (certificate, key) = self.certify_server(oddity);
        ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(vec![certificate], key).unwrap()
    }

    /// What a client has to show: its certificate and its key, as PEM.
    pub(crate) fn client(&self) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn certify_server(&self, oddity: Oddity) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
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
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

/// Who is behind TLS.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    #[cfg(feature = "docker")]
    Socket(&'static str),
    #[cfg(feature = "kubernetes")]
    Tcp(u16),
}

/// A TLS server before somebody who speaks none. Lives as long as the value.
pub(crate) struct Front {
    pub(crate) port: u16,
    _serving: JoinSet<()>,
}

impl Front {
    pub(crate) async fn new(config: ServerConfig, target: Target) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                open.spawn(async move {
                    match acceptor.accept(stream).into_fallible().await {
                        // A client that goes is no failure.
                        Ok(near) => drop(pass_on(near, target).await),
                        // What was said last has to arrive: a socket that is closed with something unread takes it back.
                        Err((_, mut stream)) => drop(stream.read_to_end(&mut Vec::new()).await),
                    }
                });
            }
        });
        Self { port, _serving: serving }
    }
}

async fn pass_on(mut near: impl AsyncRead + AsyncWrite + Unpin, target: Target) -> std::io::Result<()> {
    match target {
        #[cfg(feature = "docker")]
        Target::Socket(path) => copy_bidirectional(&mut near, &mut UnixStream::connect(path).await?).await.map(drop),
        #[cfg(feature = "kubernetes")]
        Target::Tcp(port) => {
            copy_bidirectional(&mut near, &mut TcpStream::connect(("127.0.0.1", port)).await?).await.map(drop)
        }
    }
}
