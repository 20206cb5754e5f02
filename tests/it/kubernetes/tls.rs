//! A cluster behind TLS: whom we believe, with words for each doubt.

use provisioning::engine::ports::{Backend as _, BackendError, ErrorKind};
use provisioning::model::StartHow;

use super::Platform;
use crate::support::authority::{Authority, Front, Oddity, Target};

/// What a start says of a cluster whose certificate is odd, when this authority is believed.
async fn start_at(oddity: Oddity, authority: &Authority, believed: &Authority) -> (Platform, Option<BackendError>) {
    let platform = Platform::new();
    let front = Front::new(authority.server(oddity), Target::Tcp(platform.double.port())).await;
    platform.write("ca.pem", &believed.pem());
    let plain = platform.double.kubeconfig("    token: secret-token");
    let cluster = format!(
        "server: \"https://localhost:{}\", certificate-authority: {:?}",
        front.port,
        platform.path("ca.pem").display().to_string()
    );
    platform.write("kubeconfig", &plain.replace(&format!("server: {:?}", platform.double.server()), &cluster));
    let started = platform.backend().start(&platform.spec(), StartHow::AsItIs).await;
    (platform, started.err())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_whose_authority_the_kubeconfig_names_is_used() {
    let authority = Authority::new();
    let (platform, error) = start_at(Oddity::Nothing, &authority, &authority).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(platform.double.replicas(super::NAMESPACE, "web"), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_not_believed_is_told_nothing_and_each_doubt_has_its_words() {
    let authority = Authority::new();
    for (oddity, words, remedy) in [
        (Oddity::SelfSigned, "signed by an authority that the kubeconfig does not name", "never skip the verification"),
        (Oddity::AnotherHost, "its certificate is made out to another name", "set `tls-server-name`"),
        (Oddity::Expired, "its certificate has expired", "have to be renewed"),
        (Oddity::NotYetValid, "its certificate is not valid yet", "compare the clocks"),
    ] {
        let (platform, error) = start_at(oddity, &authority, &authority).await;
        let error = error.expect("refused");
        assert_eq!(error.kind, ErrorKind::Transient, "{error:?}");
        assert!(error.message.contains("cannot be trusted") && error.message.contains(words), "{oddity:?}: {error:?}");
        assert!(error.remedy.as_deref().is_some_and(|it| it.contains(remedy)), "{oddity:?}: {error:?}");
        assert_eq!(platform.double.requests(), Vec::<String>::new(), "no token goes to whom one does not believe");
    }
    // A cluster that was made anew has an authority of the same name.
    let (platform, error) = start_at(Oddity::Nothing, &authority, &Authority::new()).await;
    let error = error.expect("refused");
    assert!(error.message.contains("signed by an authority that the kubeconfig does not name"), "{error:?}");
    assert_eq!(platform.double.requests(), Vec::<String>::new());
}
