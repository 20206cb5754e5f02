//! What may be used for requests to a service, and where alone it may be used.

use std::path::PathBuf;

use reqwest::Url;

use crate::model::{Deployment, ServiceSpec};

/// The means that the registry gives for one origin: a token to send, an authority to trust. For every other origin there are none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    own: Option<Means>,
}

/// What the registry gives for an origin.
#[derive(Debug, Clone)]
pub(super) struct Means {
    origin: Url,
    pub(super) token_path: Option<PathBuf>,
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "without https nothing is verified"))]
    pub(super) ca_path: Option<PathBuf>,
}

impl Access {
    /// That of a service: a remote one's for the origin of its endpoint, so that its health check there is asked in the same way.
    pub(crate) fn of(spec: &ServiceSpec) -> Self {
        let own = match &spec.deployment {
            Deployment::Remote(remote) => Url::parse(&remote.endpoint).ok().map(|origin| Means {
                origin,
                token_path: remote.auth_token_path.clone(),
                ca_path: remote.ca_path.clone(),
            }),
            Deployment::Binary(_)
            | Deployment::Docker(_)
            | Deployment::DockerCompose(_)
            | Deployment::Kubernetes(_) => None,
        };
        Self { own }
    }

    pub(super) fn for_url(&self, url: &Url) -> Option<&Means> {
        self.own.as_ref().filter(|means| is_same_origin(&means.origin, url))
    }
}

/// Whether scheme, host and port are the same.
pub(crate) fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// A URL as people may see it: a password in it is nobody's business. `as_written` is what stands in the registry.
pub(crate) fn without_credentials(url: &Url, as_written: &str) -> String {
    if url.username().is_empty() && url.password().is_none() {
        return as_written.to_owned();
    }
    let mut shown = url.clone();
    let masked = shown.set_username("***").is_ok() && shown.set_password(None).is_ok();
    if masked { shown.to_string() } else { url.host_str().unwrap_or_default().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::is_same_origin;
    use reqwest::Url;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let endpoint = url("https://auth.example.com/api");
        assert!(is_same_origin(&endpoint, &url("https://AUTH.example.com:443/health?x")));
        for other in
            ["http://auth.example.com/api", "https://auth.example.com:8443/", "https://example.com/", "file:///api"]
        {
            assert!(!is_same_origin(&endpoint, &url(other)), "{other}");
        }
    }
}
