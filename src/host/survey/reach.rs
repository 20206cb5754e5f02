//! Whether the platforms that services ask for are there: facts, no more; nothing is sent.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::preflight::Reach;

/// Where the Docker engine listens unless `DOCKER_HOST` says otherwise.
const DOCKER_SOCKET: &str = "unix:///var/run/docker.sock";

/// How long a connection to another machine may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What every pod has that may speak to its own cluster.
const IN_CLUSTER: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

pub(super) fn docker(docker_host: Option<&OsStr>) -> Reach {
    let address = docker_host.filter(|set| !set.is_empty()).map(OsStr::to_string_lossy);
    let address = address.as_deref().unwrap_or(DOCKER_SOCKET);
    let connected = if let Some(path) = address.strip_prefix("unix://") {
        UnixStream::connect(path).map(drop)
    } else if let Some(host) = address
        .strip_prefix("tcp://")
        .or_else(|| address.strip_prefix("http://"))
        .or_else(|| address.strip_prefix("https://"))
    {
        let host = host.trim_end_matches('/');
        host.to_socket_addrs().and_then(|mut found| {
            let first = found.next().ok_or_else(|| std::io::Error::other("its name has no address"))?;
            TcpStream::connect_timeout(&first, PATIENCE).map(drop)
        })
    } else if address.starts_with("ssh://") {
        return Reach::Absent(format!("DOCKER_HOST is {address}: forward its socket with ssh -L, and name that one"));
    } else {
        return Reach::Absent(format!("DOCKER_HOST is {address}, which is neither unix:// nor tcp://"));
    };
    match connected {
        Ok(()) => Reach::Answers(address.to_owned()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Reach::Forbidden(format!("{address}: {error}")),
        Err(error) => Reach::Absent(format!("{address}: {error}")),
    }
}

pub(super) fn kubernetes(kubeconfig: Option<&OsStr>, home: Option<&Path>) -> Reach {
    let named: Vec<PathBuf> = match kubeconfig.filter(|set| !set.is_empty()) {
        Some(set) => std::env::split_paths(set).filter(|path| !path.as_os_str().is_empty()).collect(),
        None => home.map(|home| home.join(".kube/config")).into_iter().collect(),
    };
    let mut absent = Vec::new();
    for path in named {
        match std::fs::File::open(&path) {
            Ok(_) => return Reach::Answers(path.display().to_string()),
            Err(error) if error.kind() == ErrorKind::NotFound => absent.push(path.display().to_string()),
            Err(error) => return Reach::Forbidden(format!("{}: {error}", path.display())),
        }
    }
    if Path::new(IN_CLUSTER).exists() {
        return Reach::Answers("the cluster this runs in".to_owned());
    }
    Reach::Absent(format!("not found: {}", absent.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::{docker, kubernetes};
    use crate::preflight::Reach;

    #[test]
    fn a_docker_engine_is_there_when_its_socket_takes_a_connection() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("docker.sock");
        let address = format!("unix://{}", path.display());
        assert!(matches!(docker(Some(OsStr::new(&address))), Reach::Absent(_)));
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(docker(Some(OsStr::new(&address))), Reach::Answers(address.clone()));
        // A socket that its daemon left behind.
        drop(listener);
        assert!(matches!(docker(Some(OsStr::new(&address))), Reach::Absent(_)));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        assert_eq!(docker(Some(OsStr::new(&address))), Reach::Answers(address.clone()));
        assert!(matches!(docker(Some(OsStr::new("ssh://x"))), Reach::Absent(_)));
    }

    #[test]
    fn a_kubeconfig_is_looked_for_where_kubectl_looks() {
        let home = tempfile::tempdir().unwrap();
        let missing = home.path().join("missing");
        assert!(matches!(kubernetes(None, Some(home.path())), Reach::Absent(_)));
        std::fs::create_dir(home.path().join(".kube")).unwrap();
        let file = home.path().join(".kube/config");
        std::fs::write(&file, "").unwrap();
        let found = Reach::Answers(file.display().to_string());
        assert_eq!(kubernetes(None, Some(home.path())), found);
        assert!(matches!(kubernetes(Some(missing.as_os_str()), Some(home.path())), Reach::Absent(_)));
        let both = std::env::join_paths([&missing, &file]).unwrap();
        assert_eq!(kubernetes(Some(&both), None), found);
    }
}
