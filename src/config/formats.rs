//! The small languages inside strings: URLs, methods, volumes, signals, restart policies. Each says what is wrong as a fragment.

use rustix::process::Signal;

/// Whether a URL asks for TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

/// Checks an `http` or `https` URL (RFC 3986, as far as a probe needs it).
pub(super) fn url(text: &str) -> Result<Scheme, &'static str> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("a URL holds no blanks");
    }
    let (scheme, rest) = text.split_once("://").ok_or("it must begin with http:// or https://")?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err("it must begin with http:// or https://"),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_and_port = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match host_and_port.strip_prefix('[') {
        Some(rest) => {
            let (ip, after) = rest.split_once(']').ok_or("the `[` of the host is not closed")?;
            ip.parse::<std::net::Ipv6Addr>().map_err(|_| "what stands in brackets must be an IPv6 address")?;
            (ip, if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or("a port begins with `:`")?) })
        }
        None => match host_and_port.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host_and_port, None),
        },
    };
    if host.is_empty() {
        return Err("it names no host");
    }
    match port {
        Some(port) if !port.bytes().all(|b| b.is_ascii_digit()) || port.parse::<u16>().is_ok_and(|port| port == 0) => {
            Err("its port must be a number from 1 to 65535")
        }
        Some(port) if port.parse::<u16>().is_err() => Err("its port must be a number from 1 to 65535"),
        Some(_) | None => Ok(scheme),
    }
}

/// The method in capitals, if it is a token (RFC 9110, section 5.6.2).
pub(super) fn method(text: &str) -> Option<String> {
    let is_token =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    is_token.then(|| text.to_ascii_uppercase())
}

/// Checks `host:container[:options]`.
pub(super) fn volume(text: &str) -> Result<(), &'static str> {
    let mut parts = text.split(':');
    let (Some(host), Some(container)) = (parts.next(), parts.next()) else {
        return Err("it needs a place on the host and one in the container");
    };
    let options = parts.next();
    if parts.next().is_some() {
        return Err("it has more than three parts");
    }
    let mut bytes = host.bytes();
    let is_name = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if !host.starts_with('/') && !is_name {
        return Err("the host's side must be an absolute path or the name of a volume");
    }
    if !container.starts_with('/') {
        return Err("the container's side must be an absolute path");
    }
    if options.is_some_and(str::is_empty) {
        return Err("nothing stands behind the second `:`");
    }
    Ok(())
}

/// Docker's values of `--restart`.
pub(super) const RESTART_POLICIES: [&str; 4] = ["no", "always", "unless-stopped", "on-failure"];

/// Checks one of [`RESTART_POLICIES`], or `on-failure:N`.
pub(super) fn is_restart_policy(text: &str) -> bool {
    let times = text.strip_prefix("on-failure:");
    RESTART_POLICIES.contains(&text) || times.is_some_and(|times| times.parse::<u32>().is_ok())
}

/// The signals that can ask for a stop. SIGKILL and SIGSTOP are not among them: the first is what `--force` is for, the second stops
/// nothing.
const STOP_SIGNALS: [(&str, Signal); 10] = [
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("ABRT", Signal::ABORT),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("PIPE", Signal::PIPE),
    ("ALRM", Signal::ALARM),
    ("TERM", Signal::TERM),
    ("WINCH", Signal::WINCH),
];

/// The names among which a misspelt one is looked for.
pub(super) fn stop_signal_names() -> impl Iterator<Item = &'static str> {
    STOP_SIGNALS.iter().map(|(name, _)| *name)
}

/// The number of `SIGTERM`, `TERM` or `15`.
pub(super) fn stop_signal(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return is_stop_signal(number).then_some(i32::try_from(number).ok()?);
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    STOP_SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, signal)| signal.as_raw())
}

/// Whether the number can ask for a stop; real-time signals can (signal(7): 34 to 64).
pub(super) fn is_stop_signal(number: i64) -> bool {
    (1..=64).contains(&number)
        && ![Signal::KILL, Signal::STOP].iter().any(|signal| i64::from(signal.as_raw()) == number)
}

/// The default stop signal.
pub(super) fn default_stop_signal() -> i32 {
    Signal::TERM.as_raw()
}

/// Whether `text` has `number` as a whole number of its own, as `--port=8080` has 8080 and `80801` has not.
pub(super) fn mentions_number(text: &str, number: u16) -> bool {
    let digits = number.to_string();
    text.match_indices(&digits).any(|(at, _)| {
        let before = text[..at].bytes().next_back();
        let after = text[at + digits.len()..].bytes().next();
        !before.is_some_and(|b| b.is_ascii_digit()) && !after.is_some_and(|b| b.is_ascii_digit())
    })
}

/// The lowest port that a number on its own is taken for; smaller ones are counts, levels and versions.
const LOWEST_LIKELY_PORT: u16 = 80;

/// Whether `text` has a number of its own that a port could be.
pub(super) fn may_name_a_port(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit())
        .any(|digits| digits.parse::<u16>().is_ok_and(|number| number >= LOWEST_LIKELY_PORT))
}

#[cfg(test)]
mod tests {
    use super::{
        Scheme, is_restart_policy, is_stop_signal, may_name_a_port, mentions_number, method, stop_signal, url, volume,
    };

    #[test]
    fn urls_of_probes_are_told_from_everything_else() {
        for text in
            ["http://localhost:9090/health", "http://[::1]:80/", "http://user:pw@host/", "HTTP://h?q", "http://h:"]
        {
            // An empty port is allowed by RFC 3986, but no probe can use it.
            assert_eq!(url(text).is_ok(), !text.ends_with(':'), "{text}");
        }
        assert_eq!(url("https://example.com"), Ok(Scheme::Https));
        for text in [
            "",
            "localhost:9090",
            "ftp://x/",
            "http://",
            "http:///x",
            "http://h:0/",
            "http://h:99999/",
            "http://h:x/",
            "http://a b/",
            "http://[::1",
            "http://[x]/",
        ] {
            assert!(url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn methods_are_tokens_in_capitals() {
        assert_eq!(method("head").as_deref(), Some("HEAD"));
        assert_eq!((method(""), method("GET /"), method("G\r\nX")), (None, None, None));
    }

    #[test]
    fn volumes_have_two_or_three_parts() {
        for text in ["/a/Corefile:/Corefile:ro", "data:/var/lib", "/a:/b:rw,z"] {
            assert_eq!(volume(text), Ok(()), "{text}");
        }
        for text in ["", "/a", "/a:", "/a:b", ":/b", "./a:/b", "/a:/b:", "/a:/b:ro:x"] {
            assert!(volume(text).is_err(), "{text}");
        }
    }

    #[test]
    fn signals_have_names_and_numbers() {
        assert_eq!((stop_signal("SIGTERM"), stop_signal("term"), stop_signal("15")), (Some(15), Some(15), Some(15)));
        assert_eq!(
            (stop_signal("SIGKILL"), stop_signal("9"), stop_signal("SIGFOO"), stop_signal("0")),
            (None, None, None, None)
        );
        assert!(is_stop_signal(34) && !is_stop_signal(65));
    }

    #[test]
    fn restart_policies_are_those_of_docker() {
        assert!(is_restart_policy("on-failure:5") && is_restart_policy("unless-stopped") && is_restart_policy("no"));
        assert!(!is_restart_policy("on-failure:") && !is_restart_policy("never"));
    }

    #[test]
    fn a_number_is_found_only_as_a_whole() {
        assert!(
            mentions_number("--port=8080", 8080) && mentions_number("8080", 8080) && mentions_number("1,8080;x", 8080)
        );
        assert!(!mentions_number("18080", 8080) && !mentions_number("80801 80", 8080));
    }

    #[test]
    fn a_number_is_a_likely_port_or_a_count() {
        for text in ["--port=8080", "127.0.0.1:80", "8080", "-p15432"] {
            assert!(may_name_a_port(text), "{text}");
        }
        for text in ["", "daemon off;", "--workers=4", "v15", "99999", "20261122"] {
            assert!(!may_name_a_port(text), "{text}");
        }
    }
}
