//! Why an engine behind TLS and we don't trust each other, with what to do about it.

use bollard::errors::Error;
use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error as Tls};

use crate::net::cause;

/// `None` where it was something else.
pub(super) fn distrust(error: &Error) -> Option<(String, &'static str)> {
    let doubt = match error {
        // It stands for its cause, and does not name it as one.
        Error::IOError { err } => cause::tls(err),
        other => cause::tls(other),
    }?;
    let (why, remedy) = match doubt {
        Tls::InvalidCertificate(Certificate::UnknownIssuer | Certificate::BadSignature | Certificate::Other(_)) => (
            "its certificate is not signed by the authority in ca.pem".to_owned(),
            "put the certificate of the engine's own authority into ca.pem (DOCKER_CERT_PATH), or correct DOCKER_HOST; never skip the verification",
        ),
        Tls::InvalidCertificate(Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }) => (
            "its certificate is made out to another name".to_owned(),
            "name the engine in DOCKER_HOST as its certificate does",
        ),
        Tls::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
            ("its certificate has expired".to_owned(), "the engine's certificate has to be renewed")
        }
        Tls::InvalidCertificate(Certificate::NotValidYet | Certificate::NotValidYetContext { .. }) => {
            ("its certificate is not valid yet".to_owned(), "compare the clocks of both machines")
        }
        Tls::AlertReceived(
            alert @ (Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateUnknown
            | Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::UnsupportedCertificate
            | Alert::AccessDenied
            | Alert::DecryptError),
        ) => (format!("it does not accept the certificate of this client ({alert:?})"), CLIENT),
        Tls::InvalidMessage(_) => (
            "it speaks no TLS at that port".to_owned(),
            "correct the port in DOCKER_HOST (2376 is usual with TLS), or unset DOCKER_TLS_VERIFY",
        ),
        other => {
            (other.to_string(), "look at ca.pem, cert.pem and key.pem (DOCKER_CERT_PATH); `docker info` must work")
        }
    };
    Some((format!("TLS error: {why}"), remedy))
}

/// What to do when it is our certificate that is doubted.
pub(super) const CLIENT: &str = "cert.pem and key.pem (DOCKER_CERT_PATH) must belong together and be signed by an authority that the engine was told of";
