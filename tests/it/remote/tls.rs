//! Whom we believe: the authority that the registry names, or the system's, and nobody else.

use super::server::{Reply, Server};
use super::{Remote, TOKEN, fails, header, home, write};
use crate::support::authority::{Authority, Oddity};

/// A server of that kind, and whether a service at it can be started; nothing may have been asked where it cannot.
#[track_caller]
fn is_refused(oddity: Oddity, words: &[&str]) {
    let authority = Authority::new();
    let server = Server::tls(authority.server(oddity), |_| Reply::Status(200));
    let files = tempfile::tempdir().unwrap();
    let (token, ca) = (files.path().join("token"), files.path().join("ca.pem"));
    write(&token, TOKEN, 0o600);
    write(&ca, &authority.pem(), 0o644);
    let home = home(&Remote { token: Some(token), ca: Some(ca), ..Remote::at(server.url("/")) });
    for line in ["services start auth", "services start auth --force"] {
        fails(&home, line, words);
    }
    assert!(home.must("services list").contains("failed"));
    assert_eq!(server.requests(), Vec::<String>::new(), "nothing is sent to a server that is not believed");
}

#[test]
fn an_authority_of_its_own_is_believed_and_the_token_goes_there() {
    let authority = Authority::new();
    let server = Server::tls(authority.server(Oddity::Nothing), |_| Reply::Status(200));
    let files = tempfile::tempdir().unwrap();
    let (token, ca) = (files.path().join("token"), files.path().join("ca.pem"));
    write(&token, &format!("{TOKEN}\n"), 0o600);
    write(&ca, &authority.pem(), 0o644);
    let check = Some(server.url("/health"));
    let remote = Remote { token: Some(token), ca: Some(ca), check, ..Remote::at(server.url("/api")) };
    let home = home(&remote);
    let told = home.must("services start auth");
    assert!(told.contains(&format!("auth is already running (endpoint {})", server.url("/api"))), "{told}");
    assert!(home.must("services health auth").contains("HTTP health check passed"));
    let requests = server.requests();
    for path in ["GET /api ", "GET /health "] {
        let asked = requests.iter().filter(|request| request.starts_with(path));
        let sent: Vec<_> = asked.map(|request| header(request, "authorization")).collect();
        assert!(!sent.is_empty() && sent.iter().all(|it| *it == Some(&format!("Bearer {TOKEN}"))), "{path} {sent:?}");
    }
}

#[test]
fn an_expired_certificate_is_refused() {
    is_refused(Oddity::Expired, &["TLS error: ", "certificate expired", "has to be renewed"]);
}

#[test]
fn a_certificate_of_the_future_is_refused() {
    is_refused(Oddity::NotYetValid, &["TLS error: ", "not valid yet", "compare the clocks"]);
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    is_refused(Oddity::AnotherHost, &["TLS error: ", "not valid for name", "host name in `endpoint`"]);
}

#[test]
fn a_self_signed_certificate_is_refused() {
    is_refused(Oddity::SelfSigned, &["TLS error: ", "UnknownIssuer", "`ca_path`"]);
}

#[test]
fn without_an_authority_of_its_own_the_systems_decide() {
    let authority = Authority::new();
    let server = Server::tls(authority.server(Oddity::Nothing), |_| Reply::Status(200));
    let home = home(&Remote::at(server.url("/")));
    fails(&home, "services start auth", &["TLS error: ", "`ca_path`"]);
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn a_server_without_tls_is_told_from_one_that_is_not_believed() {
    let server = Server::plain(|_| Reply::Status(200));
    let home = home(&Remote::at(server.url("/").replace("http:", "https:")));
    fails(&home, "services start auth", &["TLS error: ", "speak no TLS"]);
}

#[test]
fn an_authority_that_others_could_have_written_or_that_is_none_is_refused() {
    let authority = Authority::new();
    let server = Server::tls(authority.server(Oddity::Nothing), |_| Reply::Status(200));
    let files = tempfile::tempdir().unwrap();
    let ca = files.path().join("ca.pem");
    let home = home(&Remote { ca: Some(ca.clone()), ..Remote::at(server.url("/")) });
    fails(&home, "services start auth", &["ca.pem does not exist", "`ca_path`"]);
    write(&ca, &authority.pem(), 0o666);
    fails(&home, "services start auth", &["can be changed by other users", "chmod 644"]);
    write(&ca, "no certificate at all", 0o644);
    fails(&home, "services start auth", &["holds no certificate", "PEM"]);
    write(&ca, &authority.pem(), 0o644);
    home.must("services start auth");
}
