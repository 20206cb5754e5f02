//! The clients: built late, shared, verifying always.

use std::net::{Ipv4Addr, Ipv6Addr};
#[cfg(feature = "tls")]
use std::{collections::HashMap, path::PathBuf};

use reqwest::header::{CONNECTION, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, Url, redirect};
use tokio::sync::OnceCell;

use super::access::Access;
use super::cause;
use super::request::{Prepared, Refused};
#[cfg(feature = "tls")]
use super::{access::Means, trust};
use crate::model::is_loopback_url;

/// One client without certificates, and those that verify, each built when first needed and shared by all requests.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    plain: OnceCell<Client>,
    #[cfg(feature = "tls")]
    verifying: OnceCell<Client>,
    /// For services elsewhere: through the proxy that the environment names, if it does.
    #[cfg(feature = "tls")]
    travelling: OnceCell<Client>,
    /// Those that trust one authority alone, by its file, with what the file held.
    #[cfg(feature = "tls")]
    pinned: tokio::sync::Mutex<HashMap<(PathBuf, Way), Pinned>>,
}

/// What a file of authorities held, and the client that trusts them alone.
#[cfg(feature = "tls")]
type Pinned = (Vec<u8>, Client);

/// How requests travel.
#[cfg(feature = "tls")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    /// Nobody is between us and the service.
    Straight,
    /// The proxy of the environment, where it names one for that host.
    ByProxy,
}

impl Clients {
    /// Everything a request to `url` needs, with the token read anew. May take a moment the first time, which is not the service's.
    ///
    /// # Errors
    /// When it must not be sent, or cannot: the token's or the authority's file is not as it has to be.
    pub(crate) async fn prepare(&self, url: Url, access: &Access) -> Result<Prepared, Refused> {
        let means = access.for_url(&url);
        let client = match (url.scheme(), means) {
            #[cfg(feature = "tls")]
            ("https", Some(means)) => self.for_means(&url, means).await?,
            #[cfg(feature = "tls")]
            ("http", Some(_)) if !is_loopback_url(url.as_str()) => self.travelling().await?,
            #[cfg(feature = "tls")]
            ("https", None) => self.verifying().await?,
            #[cfg(not(feature = "tls"))]
            ("https", _) => return Err(Refused::because("https needs a build with the `tls` feature")),
            _ => self.plain.get_or_try_init(|| async { plain_client() }).await?.clone(),
        };
        let token_path = means.and_then(|means| means.token_path.clone());
        if token_path.is_some() && url.scheme() != "https" && !is_loopback_url(url.as_str()) {
            return Err(Refused {
                message: "a token is only sent over https, or within this machine".to_owned(),
                remedy: Some("use an https:// endpoint, or leave `auth_token_path` out".to_owned()),
            });
        }
        Prepared::new(client, url, token_path).await
    }

    #[cfg(feature = "tls")]
    async fn verifying(&self) -> Result<Client, Refused> {
        self.verifying.get_or_try_init(|| with_system_roots(Way::Straight)).await.cloned()
    }

    #[cfg(feature = "tls")]
    async fn travelling(&self) -> Result<Client, Refused> {
        self.travelling.get_or_try_init(|| with_system_roots(Way::ByProxy)).await.cloned()
    }

    #[cfg(feature = "tls")]
    async fn for_means(&self, url: &Url, means: &Means) -> Result<Client, Refused> {
        let way = if is_loopback_url(url.as_str()) { Way::Straight } else { Way::ByProxy };
        let Some(path) = means.ca_path.clone() else {
            return match way {
                Way::Straight => self.verifying().await,
                Way::ByProxy => self.travelling().await,
            };
        };
        let read = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || trust::read(&path)).await.map_err(|_| Refused::unfinished())?
        };
        let bytes = read?;
        let mut pinned = self.pinned.lock().await;
        let key = (path, way);
        if let Some((known, client)) = pinned.get(&key)
            && *known == bytes
        {
            return Ok(client.clone());
        }
        install_tls();
        let certificates = trust::certificates(&bytes, &key.0)?;
        let client = build(builder(way).tls_certs_only(certificates))?;
        pinned.insert(key, (bytes, client.clone()));
        Ok(client)
    }
}

#[cfg(feature = "tls")]
async fn with_system_roots(way: Way) -> Result<Client, Refused> {
    let build = move || {
        install_tls();
        build(builder(way))
    };
    // Loading the system's roots takes up to 60 ms of reading and parsing: not on a thread that others wait for.
    tokio::task::spawn_blocking(build).await.map_err(|_| Refused::unfinished())?
}

/// What all clients have in common: nothing is kept, nothing is followed.
fn common() -> ClientBuilder {
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    ClientBuilder::new()
        .default_headers(headers)
        .user_agent(concat!("provisioning-health/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        .pool_max_idle_per_host(0)
        // Both loopback addresses whatever the resolver says (R156), and no thread to ask it. Port 0 stands for that of the URL.
        .resolve_to_addrs("localhost", &[(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()])
}

#[cfg(feature = "tls")]
fn builder(way: Way) -> ClientBuilder {
    match way {
        Way::Straight => common().no_proxy(),
        Way::ByProxy => common(),
    }
}

#[cfg(feature = "tls")]
fn plain_client() -> Result<Client, Refused> {
    install_tls();
    build(builder(Way::Straight).tls_certs_only([]))
}

#[cfg(not(feature = "tls"))]
fn plain_client() -> Result<Client, Refused> {
    build(common().no_proxy())
}

fn build(builder: ClientBuilder) -> Result<Client, Refused> {
    builder
        .build()
        .map_err(|error| Refused::because(format!("cannot prepare HTTP requests: {}", cause::innermost(&error))))
}

/// reqwest and others panic without a provider. Whoever is second finds one installed, which is as good.
#[cfg(feature = "tls")]
pub(crate) fn install_tls() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
    }
}
