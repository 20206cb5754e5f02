//! A Kubernetes API server that is none: plain HTTP on loopback, with the state, the watches, the rollouts and the refusals of a real one.
//! What it refuses it refuses with a recorded answer; its Deployments and pods are recorded ones with other names and counts.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// From one look of the controllers to the next.
const TICK: Duration = Duration::from_millis(5);

/// How the pods of the double are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Ready after a moment, gone a moment after they are told to end.
    Well,
    /// They never become ready.
    NeverReady,
    /// They do not end by themselves.
    Stubborn,
    /// Their container dies again and again.
    CrashLoop,
    /// Their image does not exist.
    MissingImage,
    /// No node takes them.
    Unschedulable,
}

/// What an injected fault does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Answers with this recording.
    Recorded(&'static str),
    /// Takes the request and says nothing.
    Hang,
    /// Closes the connection without an answer.
    Close,
    /// Opens a watch that never says a word, not even a bookmark.
    SilentWatch,
}

struct Injected {
    method: &'static str,
    part: String,
    fault: Fault,
    left: usize,
}

struct Pod {
    object: Value,
    born: Instant,
    leaving: Option<Instant>,
    /// Lines with their moments, of the run that is on.
    log: Vec<(jiff::Timestamp, String)>,
}

#[derive(Default)]
struct World {
    version: u64,
    /// Versions before this are forgotten.
    forgotten: u64,
    deployments: BTreeMap<(String, String), Value>,
    pods: BTreeMap<(String, String), Pod>,
    others: BTreeMap<String, Value>,
    events: Vec<(u64, &'static str, String, Value)>,
    faults: Vec<Injected>,
    requests: Vec<String>,
    denied: Vec<String>,
    tokens: Option<Vec<String>>,
    behaviour: Option<Behaviour>,
    /// Who wrote each Deployment's count last, and how.
    counted_by: BTreeMap<(String, String), (String, &'static str)>,
    connections: Vec<TcpStream>,
    n_made: u64,
    is_down: bool,
    is_frozen: bool,
    is_over: bool,
}

struct Inner {
    world: Mutex<World>,
    changed: Condvar,
}

/// The double. What waits on it ends with it.
pub(crate) struct Double {
    inner: Arc<Inner>,
    port: u16,
}

/// A recorded exchange.
pub(crate) fn recorded(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/kubernetes/{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn now() -> String {
    jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap().to_string()
}

impl Double {
    /// With an empty cluster that has these namespaces.
    pub(crate) fn new(namespaces: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let world = World { version: 1000, behaviour: Some(Behaviour::Well), ..World::default() };
        let inner = Arc::new(Inner { world: Mutex::new(world), changed: Condvar::new() });
        for name in namespaces {
            let object = json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}, "status": {"phase": "Active"}});
            inner.world.lock().unwrap().others.insert(format!("/api/v1/namespaces/{name}"), object);
        }
        let double = Self { inner, port };
        double.serve(listener);
        let inner = Arc::clone(&double.inner);
        std::thread::spawn(move || {
            while !inner.control() {
                std::thread::sleep(TICK);
            }
        });
        double
    }

    fn serve(&self, listener: TcpListener) {
        let inner = Arc::clone(&self.inner);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let mut world = inner.world.lock().unwrap();
                if world.is_over || world.is_down {
                    return;
                }
                world.connections.push(stream.try_clone().unwrap());
                drop(world);
                let inner = Arc::clone(&inner);
                std::thread::spawn(move || {
                    // A client that goes is no failure.
                    let _gone = inner.converse(stream);
                });
            }
        });
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.inner.world.lock().unwrap()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn server(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A kubeconfig that leads here, with these lines for its user.
    pub(crate) fn kubeconfig(&self, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: kind-double\nclusters:\n- name: double\n  cluster: {{server: {:?}}}\n\
             contexts:\n- name: kind-double\n  context: {{cluster: double, user: me}}\nusers:\n- name: me\n  user:\n{user}\n",
            self.server()
        )
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.world().behaviour = Some(behaviour);
    }

    /// The controllers do nothing any more, or go on.
    pub(crate) fn freeze(&self, is_frozen: bool) {
        self.world().is_frozen = is_frozen;
    }

    /// Only these tokens are accepted.
    pub(crate) fn accept(&self, tokens: &[&str]) {
        self.world().tokens = Some(tokens.iter().map(|it| (*it).to_owned()).collect());
    }

    /// Reviews of access are answered with no for this verb, `patch/scale` for one of a part.
    pub(crate) fn deny(&self, verb: &str) {
        self.world().denied.push(verb.to_owned());
    }

    /// The next `times` requests of this method whose target has this part meet a fault.
    pub(crate) fn inject(&self, method: &'static str, part: &str, fault: Fault, times: usize) {
        self.world().faults.push(Injected { method, part: part.to_owned(), fault, left: times });
    }

    pub(crate) fn heal(&self) {
        self.world().faults.clear();
    }

    /// All requests so far, as `METHOD target`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.world().requests.clone()
    }

    pub(crate) fn deployment(&self, namespace: &str, name: &str) -> Option<Value> {
        self.world().deployments.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    pub(crate) fn replicas(&self, namespace: &str, name: &str) -> Option<u64> {
        self.deployment(namespace, name).map(|it| it["spec"]["replicas"].as_u64().unwrap_or(1))
    }

    pub(crate) fn object(&self, path: &str) -> Option<Value> {
        self.world().others.get(path).cloned()
    }

    /// The names of the pods that are there.
    pub(crate) fn pods(&self) -> Vec<String> {
        self.world().pods.keys().map(|(_, name)| name.clone()).collect()
    }

    /// Somebody else scales, like `kubectl scale`.
    pub(crate) fn scale(&self, namespace: &str, name: &str, count: u64) {
        let key = (namespace.to_owned(), name.to_owned());
        let mut world = self.world();
        world.counted_by.insert(key.clone(), ("kubectl".to_owned(), "Update"));
        world.change(&key, |it| it["spec"]["replicas"] = count.into());
        self.inner.changed.notify_all();
    }

    /// The pods of the cluster print a line.
    pub(crate) fn print(&self, pod: &str, line: &str) {
        let mut world = self.world();
        let found = world.pods.iter_mut().find(|((_, name), _)| name == pod).unwrap().1;
        found.log.push((jiff::Timestamp::now(), line.to_owned()));
        self.inner.changed.notify_all();
    }

    /// A pod's container ends and is started again.
    pub(crate) fn restart_container(&self, pod: &str) {
        let mut world = self.world();
        let key = world.pods.keys().find(|(_, name)| name == pod).unwrap().clone();
        world.n_made += 1;
        let id = format!("containerd://run-{}", world.n_made);
        let found = world.pods.get_mut(&key).unwrap();
        found.log.clear();
        let status = &mut found.object["status"]["containerStatuses"][0];
        status["restartCount"] = (status["restartCount"].as_u64().unwrap_or(0) + 1).into();
        status["containerID"] = id.into();
        status["state"] = json!({"running": {"startedAt": now()}});
        let object = found.object.clone();
        world.tell("pods", "MODIFIED", &key.0, object, Some(&key));
        self.inner.changed.notify_all();
    }

    /// The server goes away with all its connections.
    pub(crate) fn stop(&self) {
        let mut world = self.world();
        world.is_down = true;
        world.hang_up();
        drop(world);
        self.inner.changed.notify_all();
        // The listener wakes up and ends.
        let _refused = TcpStream::connect(("127.0.0.1", self.port));
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            std::thread::sleep(TICK);
        }
    }

    /// It comes back, and has forgotten every earlier version, as real ones have.
    pub(crate) fn start(&self) {
        {
            let mut world = self.world();
            world.is_down = false;
            world.version += 100;
            world.forgotten = world.version;
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        let listener = loop {
            match TcpListener::bind(("127.0.0.1", self.port)) {
                Ok(listener) => break listener,
                Err(error) => assert!(Instant::now() < deadline, "the port is taken: {error}"),
            }
            std::thread::sleep(TICK);
        };
        self.serve(listener);
    }

    /// All open connections break.
    pub(crate) fn break_connections(&self) {
        self.world().hang_up();
        self.inner.changed.notify_all();
    }

    /// Every version so far is forgotten: a watch that goes on from one gets 410.
    pub(crate) fn forget(&self) {
        let mut world = self.world();
        world.version += 1;
        world.forgotten = world.version;
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        {
            let mut world = self.inner.world.lock().unwrap();
            world.is_over = true;
            world.hang_up();
        }
        self.inner.changed.notify_all();
        let _woken = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl World {
    fn hang_up(&mut self) {
        for connection in self.connections.drain(..) {
            let _gone = connection.shutdown(Shutdown::Both);
        }
    }

    /// Gives an object its version and tells the watches. `at` is the pod to write it back to.
    fn tell(
        &mut self,
        collection: &'static str,
        kind: &str,
        namespace: &str,
        mut object: Value,
        at: Option<&(String, String)>,
    ) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        match (collection, at) {
            ("pods", Some(key)) => {
                if let Some(pod) = self.pods.get_mut(key) {
                    pod.object = object.clone();
                }
            }
            ("deployments", Some(key)) => {
                self.deployments.insert(key.clone(), object.clone());
            }
            _ => {}
        }
        self.events.push((self.version, collection, namespace.to_owned(), json!({"type": kind, "object": object})));
    }

    /// Changes a specification: a new generation when it is another one.
    fn change(&mut self, key: &(String, String), change: impl FnOnce(&mut Value)) {
        let Some(mut object) = self.deployments.get(key).cloned() else { return };
        let (before, whole) = (object["spec"].clone(), object.clone());
        change(&mut object);
        if object["spec"] != before {
            object["metadata"]["generation"] = (object["metadata"]["generation"].as_u64().unwrap_or(0) + 1).into();
        }
        if object != whole {
            self.tell("deployments", "MODIFIED", &key.0.clone(), object, Some(key));
        }
    }

    fn make_pod(&mut self, key: &(String, String), deployment: &Value, hash: &str) {
        let behaviour = self.behaviour.unwrap();
        let from = match behaviour {
            Behaviour::Well | Behaviour::Stubborn => "pods-list-running",
            Behaviour::NeverReady => "pods-list-not-ready",
            Behaviour::CrashLoop => "pods-list-crash-loop",
            Behaviour::MissingImage => "pods-list-image-backoff",
            Behaviour::Unschedulable => "pods-list-unschedulable",
        };
        self.n_made += 1;
        let mut object = recorded(from)["response"]["body"]["items"][0].clone();
        let name = format!("{}-{hash}-{:05}", key.1, self.n_made);
        object["kind"] = "Pod".into();
        object["metadata"] = json!({
            "name": name, "namespace": key.0, "uid": format!("pod-{}", self.n_made), "creationTimestamp": now(),
            "labels": {"app": key.1, "pod-template-hash": hash},
            "ownerReferences": [{"kind": "ReplicaSet", "name": format!("{}-{hash}", key.1), "controller": true}],
        });
        object["spec"]["containers"] = deployment["spec"]["template"]["spec"]["containers"].clone();
        object["status"]["startTime"] = now().into();
        if behaviour == Behaviour::Well || behaviour == Behaviour::Stubborn {
            // It runs, and is not ready yet.
            object["status"]["containerStatuses"][0]["ready"] = false.into();
            set_ready(&mut object, false);
        }
        let container = deployment["spec"]["template"]["spec"]["containers"][0]["name"].clone();
        if let Some(status) = object["status"]["containerStatuses"].get_mut(0) {
            status["name"] = container;
            if status["state"]["running"].is_object() {
                status["state"]["running"]["startedAt"] = now().into();
            }
            if status["containerID"].is_string() {
                status["containerID"] = format!("containerd://run-{}", self.n_made).into();
            }
            if status["lastState"]["terminated"].is_object() {
                status["lastState"]["terminated"]["finishedAt"] = now().into();
            }
        }
        let pod_key = (key.0.clone(), name.clone());
        let log = vec![(jiff::Timestamp::now(), format!("starting {name}"))];
        self.pods.insert(pod_key.clone(), Pod { object: object.clone(), born: Instant::now(), leaving: None, log });
        self.tell("pods", "ADDED", &key.0.clone(), object, Some(&pod_key));
    }

    /// What the controllers and the node do in one look.
    fn control(&mut self) -> bool {
        let before = self.version;
        let keys: Vec<(String, String)> = self.deployments.keys().cloned().collect();
        for key in keys {
            self.control_one(&key);
        }
        let gone: Vec<(String, String)> = self
            .pods
            .iter()
            .filter(|(_, pod)| pod.leaving.is_some_and(|at| Instant::now() >= at))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            let pod = self.pods.remove(&key).unwrap();
            self.tell("pods", "DELETED", &key.0, pod.object, None);
        }
        self.version != before
    }

    fn control_one(&mut self, key: &(String, String)) {
        let deployment = self.deployments[key].clone();
        let wanted = usize::try_from(deployment["spec"]["replicas"].as_u64().unwrap_or(1)).unwrap();
        let hash = hash_of(&deployment["spec"]["template"]);
        let mut own: Vec<(String, String)> = self
            .pods
            .iter()
            .filter(|((namespace, _), pod)| {
                *namespace == key.0 && pod.object["metadata"]["labels"]["app"] == key.1.as_str()
            })
            .map(|(key, _)| key.clone())
            .collect();
        for pod_key in &own {
            let pod = self.pods.get_mut(pod_key).unwrap();
            let is_ready = pod.object["status"]["containerStatuses"][0]["ready"] == true;
            let can_be = matches!(self.behaviour.unwrap(), Behaviour::Well | Behaviour::Stubborn);
            if !is_ready && can_be && pod.leaving.is_none() && pod.born.elapsed() > Duration::from_millis(60) {
                let mut object = pod.object.clone();
                object["status"]["containerStatuses"][0]["ready"] = true.into();
                set_ready(&mut object, true);
                self.tell("pods", "MODIFIED", &key.0, object, Some(pod_key));
            }
        }
        let is_leaving =
            |world: &Self, it: &(String, String)| world.pods[it].object["metadata"]["deletionTimestamp"].is_string();
        own.retain(|it| !is_leaving(self, it));
        let is_new = |it: &(String, String)| it.1.contains(&hash);
        let is_ready = |world: &Self, it: &(String, String)| {
            world.pods[it].object["status"]["containerStatuses"][0]["ready"] == true
        };
        let (new, old): (Vec<_>, Vec<_>) = own.iter().cloned().partition(is_new);
        let n_ready = new.iter().filter(|it| is_ready(self, it)).count();
        if new.len() < wanted && new.len() + old.len() <= wanted {
            self.make_pod(key, &deployment, &hash);
        }
        let n_surplus_old = (old.len() + n_ready).saturating_sub(wanted).min(old.len());
        let n_surplus_new = new.len().saturating_sub(wanted);
        let leave: Vec<(String, String)> =
            old.iter().take(n_surplus_old).chain(new.iter().rev().take(n_surplus_new)).cloned().collect();
        for pod_key in leave {
            let is_stubborn = self.behaviour == Some(Behaviour::Stubborn);
            let pod = self.pods.get_mut(&pod_key).unwrap();
            let grace = if is_stubborn { Duration::from_secs(3600) } else { Duration::from_millis(60) };
            pod.leaving = Some(Instant::now() + grace);
            let mut object = pod.object.clone();
            object["metadata"]["deletionTimestamp"] = now().into();
            self.tell("pods", "MODIFIED", &key.0, object, Some(&pod_key));
        }
        self.write_status(key, wanted, &hash);
    }

    fn write_status(&mut self, key: &(String, String), wanted: usize, hash: &str) {
        let living: Vec<(&(String, String), &Pod)> = self
            .pods
            .iter()
            .filter(|((namespace, _), pod)| {
                *namespace == key.0 && pod.object["metadata"]["labels"]["app"] == key.1.as_str()
            })
            .filter(|(_, pod)| !pod.object["metadata"]["deletionTimestamp"].is_string())
            .collect();
        let n_ready =
            living.iter().filter(|(_, pod)| pod.object["status"]["containerStatuses"][0]["ready"] == true).count();
        let n_updated = living.iter().filter(|(key, _)| key.1.contains(hash)).count();
        let n = living.len();
        let deployment = &self.deployments[key];
        let mut status = json!({"observedGeneration": deployment["metadata"]["generation"], "terminatingReplicas": 0});
        // A count of 0 is left out.
        for (name, count) in [
            ("replicas", n),
            ("updatedReplicas", n_updated),
            ("readyReplicas", n_ready),
            ("availableReplicas", n_ready),
        ] {
            if count > 0 {
                status[name] = count.into();
            }
        }
        let available = if n_ready >= wanted { "True" } else { "False" };
        status["conditions"] = json!([
            {"type": "Available", "status": available},
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
        ]);
        if deployment["status"] != status {
            let mut object = deployment.clone();
            object["status"] = status;
            self.tell("deployments", "MODIFIED", &key.0.clone(), object, Some(key));
        }
    }
}

fn set_ready(object: &mut Value, is_ready: bool) {
    for condition in object["status"]["conditions"].as_array_mut().into_iter().flatten() {
        if condition["type"] == "Ready" || condition["type"] == "ContainersReady" {
            condition["status"] = if is_ready { "True" } else { "False" }.into();
        }
    }
}

fn hash_of(template: &Value) -> String {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:08x}", template.to_string().bytes().fold(0xcbf2_9ce4_8422_2325, mix) as u32)
}

/// What is merged in takes out what is null.
fn merge(into: &mut Value, patch: &Value) {
    match (into.as_object_mut(), patch.as_object()) {
        (Some(fields), Some(changes)) => {
            for (name, change) in changes {
                if change.is_null() {
                    fields.remove(name);
                } else {
                    merge(fields.entry(name.clone()).or_insert(Value::Null), change);
                }
            }
        }
        (None, Some(_)) => {
            *into = json!({});
            merge(into, patch);
        }
        (_, None) => *into = patch.clone(),
    }
}

/// One request.
struct Asked {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    content_type: String,
    token: Option<String>,
    body: Value,
}

/// An answer that comes at once.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn json_answer(status: u16, body: &Value) -> Answer {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Answer { status, headers, body: body.to_string().into_bytes() }
}

fn recorded_answer(name: &str) -> Answer {
    let response = recorded(name)["response"].clone();
    let body = match &response["body"] {
        Value::String(text) => text.clone().into_bytes(),
        json => json.to_string().into_bytes(),
    };
    let headers = response["headers"].as_object().into_iter().flatten();
    let headers = headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    Answer { status: u16::try_from(response["status"].as_u64().unwrap()).unwrap(), headers, body }
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        match (first, more) {
            (b'%', [a, b, more @ ..]) => {
                let hex = std::str::from_utf8(&[*a, *b]).unwrap().to_owned();
                bytes.push(u8::from_str_radix(&hex, 16).unwrap());
                rest = more;
            }
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn read(from: &mut BufReader<TcpStream>) -> std::io::Result<Option<(String, Asked)>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let (mut length, mut content_type, mut token) = (0, String::new(), None);
    loop {
        let mut header = String::new();
        from.read_line(&mut header)?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "content-type" => content_type = value.trim().to_owned(),
            "authorization" => token = value.trim().strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), unescaped(value)));
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let asked = Asked { path: path.to_owned(), query: query.collect(), method, content_type, token, body };
    Ok(Some((target, asked)))
}

fn write(to: &mut TcpStream, answer: &Answer) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    to.write_all(format!("{head}\r\n").as_bytes())?;
    to.write_all(&answer.body)
}

fn open_stream(to: &mut TcpStream, content_type: &str) -> std::io::Result<()> {
    to.write_all(
        format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n").as_bytes(),
    )
}

fn write_chunk(to: &mut TcpStream, text: &str) -> std::io::Result<()> {
    to.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())
}

impl Inner {
    /// Whether it is all over.
    fn control(&self) -> bool {
        let mut world = self.world.lock().unwrap();
        if !world.is_frozen && world.control() {
            self.changed.notify_all();
        }
        world.is_over
    }

    fn converse(&self, mut to: TcpStream) -> std::io::Result<()> {
        to.set_nodelay(true)?;
        let mut from = BufReader::new(to.try_clone()?);
        while let Some((target, asked)) = read(&mut from)? {
            let fault = {
                let mut world = self.world.lock().unwrap();
                world.requests.push(format!("{} {target}", asked.method));
                let found = world
                    .faults
                    .iter_mut()
                    .find(|it| it.left > 0 && it.method == asked.method && target.contains(&it.part));
                found.map(|it| {
                    it.left -= 1;
                    it.fault
                })
            };
            match fault {
                Some(Fault::Recorded(name)) => write(&mut to, &recorded_answer(name))?,
                Some(Fault::Close) => return to.shutdown(Shutdown::Both),
                Some(Fault::Hang) => self.until_over(),
                Some(Fault::SilentWatch) => {
                    open_stream(&mut to, "application/json")?;
                    self.until_over();
                }
                None if self.is_refused(&asked) => write(&mut to, &recorded_answer("auth-401-bad-token"))?,
                None if asked.query.contains_key("watch") => self.watch(&asked, &mut to)?,
                None if asked.path.ends_with("/log") => self.log(&asked, &mut to)?,
                None => {
                    let answer = self.answer(&asked);
                    self.changed.notify_all();
                    write(&mut to, &answer)?;
                }
            }
        }
        Ok(())
    }

    fn until_over(&self) {
        let world = self.world.lock().unwrap();
        drop(self.changed.wait_while(world, |world| !world.is_over && !world.is_down).unwrap());
    }

    fn is_refused(&self, asked: &Asked) -> bool {
        let world = self.world.lock().unwrap();
        let is_known = |tokens: &Vec<String>| asked.token.as_ref().is_some_and(|token| tokens.contains(token));
        world.tokens.as_ref().is_some_and(|tokens| !is_known(tokens))
    }

    fn watch(&self, asked: &Asked, to: &mut TcpStream) -> std::io::Result<()> {
        let collection = if asked.path.ends_with("/pods") { "pods" } else { "deployments" };
        let namespace = asked.path.split('/').rev().nth(1).unwrap().to_owned();
        let mut version: u64 = asked.query["resourceVersion"].parse().unwrap();
        open_stream(to, "application/json")?;
        if version < self.world.lock().unwrap().forgotten {
            let lines = recorded("watch-rv-ancient")["response"]["lines"].clone();
            write_chunk(to, &format!("{}\n", lines[0]["json"]))?;
            return write_chunk(to, "");
        }
        let seconds = asked.query.get("timeoutSeconds").map_or(3600, |it| it.parse().unwrap());
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut world = self.world.lock().unwrap();
        loop {
            if world.is_over || world.is_down {
                return Ok(());
            }
            let news: Vec<String> = world
                .events
                .iter()
                .filter(|(at, kind, space, _)| *at > version && *kind == collection && *space == namespace)
                .map(|(_, _, _, event)| format!("{event}\n"))
                .collect();
            version = version.max(world.version);
            drop(world);
            for line in news {
                // Torn, as lines are.
                let (left, right) = line.split_at(line.len() / 2);
                write_chunk(to, left)?;
                write_chunk(to, right)?;
            }
            world = self.world.lock().unwrap();
            if Instant::now() >= end {
                drop(world);
                let mut bookmark = recorded("watch-bookmark")["response"]["lines"][1]["json"].clone();
                bookmark["object"]["metadata"]["resourceVersion"] = version.to_string().into();
                write_chunk(to, &format!("{bookmark}\n"))?;
                return write_chunk(to, "");
            }
            let has_news = |world: &World| world.events.last().is_some_and(|(at, ..)| *at > version);
            let left = end.saturating_duration_since(Instant::now());
            world = self
                .changed
                .wait_timeout_while(world, left, |world| !world.is_over && !world.is_down && !has_news(world))
                .unwrap()
                .0;
        }
    }

    fn log(&self, asked: &Asked, to: &mut TcpStream) -> std::io::Result<()> {
        let mut words = asked.path.split('/').rev().skip(1);
        let name = words.next().unwrap().to_owned();
        let namespace = words.nth(1).unwrap().to_owned();
        let key = (namespace, name);
        let mut world = self.world.lock().unwrap();
        let Some(pod) = world.pods.get(&key) else {
            drop(world);
            return write(to, &recorded_answer("deployment-missing"));
        };
        if !pod.object["status"]["containerStatuses"][0]["containerID"].is_string() {
            drop(world);
            return write(to, &recorded_answer("logs-container-creating"));
        }
        let run = pod.object["status"]["containerStatuses"][0]["containerID"].clone();
        // The fraction gets lost on the way.
        let since = asked.query.get("sinceTime").map(|it| it.parse::<jiff::Timestamp>().unwrap().as_second());
        let tail = asked.query.get("tailLines").map(|it| it.parse::<usize>().unwrap());
        let mut n_sent = 0;
        let mut first = true;
        let follows = asked.query.contains_key("follow");
        open_stream(to, "text/plain")?;
        loop {
            let pod =
                world.pods.get(&key).filter(|pod| pod.object["status"]["containerStatuses"][0]["containerID"] == run);
            let is_over = pod.is_none() || !follows || world.is_over || world.is_down;
            let lines: Vec<(jiff::Timestamp, String)> = pod.map(|it| it.log.clone()).unwrap_or_default();
            drop(world);
            if first {
                n_sent = tail.map_or(0, |tail| lines.len().saturating_sub(tail));
                first = false;
            }
            for (at, text) in lines.iter().skip(n_sent) {
                n_sent += 1;
                if since.is_none_or(|since| at.as_second() >= since) {
                    write_chunk(to, &format!("{at} {text}\n"))?;
                }
            }
            if is_over {
                return write_chunk(to, "");
            }
            world = self.world.lock().unwrap();
            let is_quiet = |world: &mut World| {
                let same = world.pods.get(&key).is_some_and(|pod| {
                    pod.log.len() == n_sent && pod.object["status"]["containerStatuses"][0]["containerID"] == run
                });
                !world.is_over && !world.is_down && same
            };
            world = self.changed.wait_while(world, is_quiet).unwrap();
        }
    }

    fn answer(&self, asked: &Asked) -> Answer {
        let mut world = self.world.lock().unwrap();
        let words: Vec<&str> = asked.path.trim_start_matches('/').split('/').collect();
        match (asked.method.as_str(), words.as_slice()) {
            (_, ["version"]) => json_answer(200, &json!({"major": "1", "minor": "36", "gitVersion": "v1.36.2"})),
            (_, ["api", "v1"]) => recorded_answer("discovery-core-v1"),
            (_, ["apis", "apps", "v1"]) => recorded_answer("discovery-apps-v1"),
            ("POST", ["apis", "authorization.k8s.io", ..]) => {
                let attributes = &asked.body["spec"]["resourceAttributes"];
                let word = |name: &str| attributes[name].as_str().unwrap_or_default();
                let verb = [word("verb"), word("subresource")].join("/").trim_end_matches('/').to_owned();
                let name = if world.denied.contains(&verb) { "access-review-denied" } else { "access-review-allowed" };
                recorded_answer(name)
            }
            ("GET", [.., "namespaces", namespace, "deployments"]) => {
                let items: Vec<Value> =
                    world.deployments.iter().filter(|(key, _)| key.0 == *namespace).map(|(_, it)| it.clone()).collect();
                world.list("DeploymentList", items)
            }
            ("GET", [.., "namespaces", namespace, "pods"]) => {
                let items: Vec<Value> =
                    world.pods.iter().filter(|(key, _)| key.0 == *namespace).map(|(_, it)| it.object.clone()).collect();
                world.list("PodList", items)
            }
            ("GET", ["apis", "apps", "v1", "namespaces", namespace, "deployments", name]) => {
                match world.deployments.get(&((*namespace).to_owned(), (*name).to_owned())) {
                    Some(found) => json_answer(200, found),
                    None => recorded_answer("deployment-missing"),
                }
            }
            ("PATCH", ["apis", "apps", "v1", "namespaces", namespace, "deployments", name]) => {
                world.patch_deployment(&((*namespace).to_owned(), (*name).to_owned()), asked)
            }
            ("PATCH", ["apis", "apps", "v1", "namespaces", namespace, "deployments", name, "scale"]) => {
                world.patch_scale(&((*namespace).to_owned(), (*name).to_owned()), asked)
            }
            ("DELETE", [.., "namespaces", namespace, "pods", name]) => {
                match world.pods.get_mut(&((*namespace).to_owned(), (*name).to_owned())) {
                    Some(pod) if pod.object["metadata"]["uid"] != asked.body["preconditions"]["uid"] => {
                        recorded_answer("delete-precondition")
                    }
                    Some(pod) => {
                        pod.leaving = Some(Instant::now() + Duration::from_millis(30));
                        json_answer(200, &pod.object)
                    }
                    None => recorded_answer("deployment-missing"),
                }
            }
            ("GET", ["api", "v1", ..]) => match world.others.get(&asked.path) {
                Some(found) => json_answer(200, found),
                None => recorded_answer("deployment-missing"),
            },
            ("PATCH", ["api", "v1", rest @ ..]) => {
                if let ["namespaces", namespace, _, _] = rest
                    && !world.others.contains_key(&format!("/api/v1/namespaces/{namespace}"))
                {
                    return recorded_answer("namespace-missing-apply-deployment");
                }
                let is_new = world.others.insert(asked.path.clone(), asked.body.clone()).is_none();
                json_answer(if is_new { 201 } else { 200 }, &asked.body)
            }
            _ => recorded_answer("apply-unknown-kind"),
        }
    }
}

impl World {
    fn list(&self, kind: &str, items: Vec<Value>) -> Answer {
        let version = self.version.to_string();
        json_answer(200, &json!({"kind": kind, "metadata": {"resourceVersion": version}, "items": items}))
    }

    fn patch_deployment(&mut self, key: &(String, String), asked: &Asked) -> Answer {
        let manager = asked.query.get("fieldManager").cloned().unwrap_or_default();
        let is_apply = asked.content_type == "application/apply-patch+yaml";
        if !self.others.contains_key(&format!("/api/v1/namespaces/{}", key.0)) {
            return recorded_answer("namespace-missing-apply-deployment");
        }
        let count = asked.body.pointer("/spec/replicas").cloned();
        let Some(known) = self.deployments.get(key).cloned() else {
            if !is_apply {
                return recorded_answer("deployment-missing");
            }
            self.n_made += 1;
            let mut object = recorded("apply-create-deployment")["response"]["body"].clone();
            object["metadata"] = json!({"name": key.1, "namespace": key.0, "uid": format!("deployment-{}", self.n_made), "generation": 1, "creationTimestamp": now()});
            object["spec"] = asked.body["spec"].clone();
            if count.is_none() {
                object["spec"]["replicas"] = 1.into();
            }
            object["status"] = json!({});
            self.note_manager(key, &mut object, &manager, is_apply, count.is_some());
            self.tell("deployments", "ADDED", &key.0.clone(), object, Some(key));
            return json_answer(201, &self.deployments[key]);
        };
        let wants_version = asked.body.pointer("/metadata/resourceVersion");
        if wants_version.is_some_and(|version| *version != known["metadata"]["resourceVersion"]) {
            return recorded_answer("stop-with-annotation-stale");
        }
        let writer = self.counted_by.get(key).cloned().unwrap_or_default();
        let changes_count = count.as_ref().is_some_and(|count| *count != known["spec"]["replicas"]);
        let is_forced = asked.query.get("force").is_some_and(|it| it == "true");
        if is_apply && changes_count && !is_forced && writer != (manager.clone(), "Apply") {
            let mut answer = recorded_answer("apply-over-scaled-no-force");
            let text = String::from_utf8(answer.body).unwrap().replace("provisioning-tui", &writer.0);
            answer.body = text.into_bytes();
            return answer;
        }
        let body = asked.body.clone();
        self.change(key, |object| {
            let version = object["metadata"]["resourceVersion"].clone();
            merge(object, &body);
            object["metadata"]["resourceVersion"] = version;
        });
        let mut object = self.deployments[key].clone();
        self.note_manager(key, &mut object, &manager, is_apply, changes_count || is_apply && count.is_some());
        self.deployments.insert(key.clone(), object);
        json_answer(200, &self.deployments[key])
    }

    fn patch_scale(&mut self, key: &(String, String), asked: &Asked) -> Answer {
        let Some(known) = self.deployments.get(key) else { return recorded_answer("deployment-missing") };
        let wants_version = asked.body.pointer("/metadata/resourceVersion");
        if wants_version.is_some_and(|version| *version != known["metadata"]["resourceVersion"]) {
            return recorded_answer("stop-with-annotation-stale");
        }
        let count = asked.body["spec"]["replicas"].clone();
        let manager = asked.query.get("fieldManager").cloned().unwrap_or_default();
        self.counted_by.insert(key.clone(), (manager, "Update"));
        self.change(key, |object| object["spec"]["replicas"] = count.clone());
        // As recorded: a count of 0 is left out of a Scale.
        let spec = if count == 0 { json!({}) } else { json!({ "replicas": count }) };
        let metadata = &self.deployments[key]["metadata"];
        let metadata = json!({"name": key.1, "namespace": key.0, "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]});
        json_answer(200, &json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec}))
    }

    fn note_manager(
        &mut self,
        key: &(String, String),
        object: &mut Value,
        manager: &str,
        is_apply: bool,
        has_count: bool,
    ) {
        let operation = if is_apply { "Apply" } else { "Update" };
        if has_count {
            self.counted_by.insert(key.clone(), (manager.to_owned(), operation));
        }
        if is_apply {
            let fields = if has_count { json!({"f:spec": {"f:replicas": {}}}) } else { json!({"f:spec": {}}) };
            object["metadata"]["managedFields"] =
                json!([{"manager": manager, "operation": "Apply", "fieldsV1": fields}]);
        }
    }
}
