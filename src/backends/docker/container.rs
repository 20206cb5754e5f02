//! What a container of ours is made of: its labels, by which alone it is recognized, and everything the registry says of it.

use std::collections::HashMap;
use std::net::IpAddr;

use bollard::models::{ContainerCreateBody, HostConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum};

use crate::backends::containers::Signature;
use crate::model::{DockerSpec, PublishedPort, RestartOnFailure, ServiceId, ServiceSpec};

/// Names the service.
pub(super) const SERVICE_LABEL: &str = "provisioning.service";
/// Names the home whose registry made it: two homes on one engine never touch each other's containers.
pub(super) const HOME_LABEL: &str = "provisioning.home";
/// Changes with what the registry says.
pub(super) const SPEC_LABEL: &str = "provisioning.spec";

/// A number for a text that is the same in every version of this program, unlike the standard library's.
pub(super) fn stable_hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    // FNV-1a, 64 bits; a part's end counts as a byte that no UTF-8 text holds.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.iter().copied().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

/// What the restart policy is: the registry's own words, else what `restart_on_failure` means, so that the engine is the only one that
/// restarts containers that exit (A70).
pub(super) fn restart_policy(spec: &ServiceSpec, docker: &DockerSpec) -> RestartPolicy {
    let named = |name, maximum_retry_count| RestartPolicy { name: Some(name), maximum_retry_count };
    match (docker.restart_policy.as_deref(), spec.startup.restart_on_failure) {
        (Some("always"), _) => named(RestartPolicyNameEnum::ALWAYS, None),
        (Some("unless-stopped"), _) => named(RestartPolicyNameEnum::UNLESS_STOPPED, None),
        (Some(text), _) if text.starts_with("on-failure") => {
            let n = text.split_once(':').and_then(|(_, n)| n.parse().ok());
            named(RestartPolicyNameEnum::ON_FAILURE, n)
        }
        // 0 would mean "without limit" to the engine.
        (None, RestartOnFailure::UpTo { max_restarts }) if max_restarts > 0 => {
            named(RestartPolicyNameEnum::ON_FAILURE, Some(i64::from(max_restarts)))
        }
        (Some(_) | None, _) => named(RestartPolicyNameEnum::NO, None),
    }
}

/// Changes when a container would have to be made anew to be what the registry says.
pub(super) fn spec_hash(spec: &ServiceSpec, docker: &DockerSpec) -> String {
    let policy = restart_policy(spec, docker);
    let policy = format!("{:?} {:?}", policy.name, policy.maximum_retry_count);
    let mut parts: Vec<&[u8]> = vec![docker.image.as_bytes(), policy.as_bytes(), b"ports"];
    parts.extend(docker.ports.iter().map(String::as_bytes));
    parts.push(b"volumes");
    parts.extend(docker.volumes.iter().map(String::as_bytes));
    stable_hash(parts)
}

/// The labels of a service's container.
pub(super) fn labels(id: &ServiceId, home: &str, spec_hash: &str) -> HashMap<String, String> {
    [(SERVICE_LABEL, id.as_str()), (HOME_LABEL, home), (SPEC_LABEL, spec_hash)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// By what its events are recognized.
pub(super) fn signature(id: &ServiceId, docker: &DockerSpec) -> Signature {
    Signature { name: Some(docker.container_name.clone()), labels: vec![(SERVICE_LABEL, id.to_string())] }
}

/// Everything the engine has to know to make it.
pub(super) fn body(spec: &ServiceSpec, docker: &DockerSpec, home: &str) -> ContainerCreateBody {
    let mut exposed = Vec::new();
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in spec.published_ports() {
        for (inside, binding) in bindings_of(&port) {
            if !exposed.contains(&inside) {
                exposed.push(inside.clone());
            }
            bindings.entry(inside).or_default().get_or_insert_default().push(binding);
        }
    }
    ContainerCreateBody {
        image: Some(docker.image.clone()),
        labels: Some(labels(&spec.id, home, &spec_hash(spec, docker))),
        exposed_ports: Some(exposed),
        host_config: Some(HostConfig {
            port_bindings: Some(bindings),
            binds: Some(docker.volumes.clone()),
            restart_policy: Some(restart_policy(spec, docker)),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// The port in the container, as `53/udp`, with where it is bound on this host; one pair for each port of a range.
fn bindings_of(port: &PublishedPort) -> impl Iterator<Item = (String, PortBinding)> + '_ {
    port.container.clone().zip(port.host.clone()).map(|(inside, outside)| {
        let binding =
            PortBinding { host_ip: port.ip.as_ref().map(IpAddr::to_string), host_port: Some(outside.to_string()) };
        (format!("{inside}/{}", port.protocol.as_str()), binding)
    })
}

/// The image with the tag that the engine takes when none is written; without it, a pull would fetch every tag.
pub(super) fn with_tag(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains([':', '@']) { image.to_owned() } else { format!("{image}:latest") }
}

#[cfg(test)]
mod tests {
    use super::{bindings_of, stable_hash, with_tag};
    use crate::model::PublishedPort;

    #[test]
    fn every_port_of_a_range_is_bound_to_its_own() {
        let port = PublishedPort::parse("127.0.0.1:8000-8001:80-81/udp").unwrap();
        let bound: Vec<String> = bindings_of(&port)
            .map(|(inside, at)| format!("{inside} {}:{}", at.host_ip.unwrap(), at.host_port.unwrap()))
            .collect();
        assert_eq!(bound, ["80/udp 127.0.0.1:8000", "81/udp 127.0.0.1:8001"]);
    }

    #[test]
    fn the_hash_is_the_same_for_ever_and_knows_where_a_part_ends() {
        assert_eq!(stable_hash([&b""[..]; 0]), "cbf29ce484222325");
        assert_ne!(stable_hash([&b"ab"[..], b"c"]), stable_hash([&b"a"[..], b"bc"]));
    }

    #[test]
    fn an_image_without_a_tag_means_the_latest() {
        assert_eq!(with_tag("a"), "a:latest");
        assert_eq!(with_tag("localhost:5000/a"), "localhost:5000/a:latest");
        assert_eq!(with_tag("a:1"), "a:1");
        assert_eq!(with_tag("a@sha256:00"), "a@sha256:00");
    }
}
