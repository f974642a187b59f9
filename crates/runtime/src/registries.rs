//! Where a machine's registries are, as its npm and pip say: the only hosts that preparing a package reaches.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

use bailiwick_capability::{Capability, Granted, Kind, NetScope, Scope};
use bailiwick_wall::not_public;
use serde_json::Value;

use crate::settings::Settings;

/// Addresses by name, for a table of names.
type Hosts = BTreeMap<String, Vec<IpAddr>>;

/// Variables that name a proxy.
const PROXIES: [&str; 3] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"];
/// Variables that name files or folders which a tool reads.
const FILES: [&str; 9] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "PIP_CONFIG_FILE",
    "PIP_FIND_LINKS",
];
/// Bound on the addresses of one name.
const MAX_ADDRESSES: usize = 16;

/// What a tool has to reach, and which local files its configuration names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    scopes: BTreeSet<NetScope>,
    pub(crate) files: BTreeSet<PathBuf>,
}

impl Reach {
    /// As `npm config list --json` tells it.
    pub(crate) fn of_npm(json: &str, settings: &Settings) -> Result<Self, String> {
        let config: BTreeMap<String, Value> = serde_json::from_str(json)
            .map_err(|error| format!("npm's configuration is not understood: {error}"))?;
        let mut reach = Self::default();
        for (key, value) in &config {
            let Some(value) = value.as_str() else {
                continue;
            };
            if key == "registry" || key.ends_with(":registry") {
                reach.add_url(value)?;
            } else if ["proxy", "https-proxy"].contains(&key.as_str()) {
                reach.add_proxy(value)?;
            } else if key == "cafile" {
                reach.files.insert(PathBuf::from(value));
            }
        }
        reach.add_environment(settings)?;
        Ok(reach)
    }

    /// As `pip config list` tells it; `own` are the places that pip uses where none are configured, a line each.
    pub(crate) fn of_pip(list: &str, own: &str, settings: &Settings) -> Result<Self, String> {
        let mut reach = Self::default();
        let (mut has_index, mut no_index) = (false, false);
        for (key, value) in list.lines().filter_map(|line| line.split_once('=')) {
            let key = key.rsplit('.').next().unwrap_or_default();
            let value = value.trim().trim_matches(['\'', '"']).replace("\\n", " ");
            match key {
                "index-url" | "extra-index-url" => {
                    has_index |= key == "index-url";
                    for url in value.split_whitespace() {
                        reach.add_url(url)?;
                    }
                }
                "find-links" => reach.add_places(&value)?,
                "proxy" => reach.add_proxy(&value)?,
                "cert" | "client-cert" => {
                    reach.files.insert(PathBuf::from(value));
                }
                "no-index" => no_index |= !["0", "false", "no", "off"].contains(&value.as_str()),
                _ => {}
            }
        }
        if no_index {
            reach.scopes.clear();
        } else if !has_index {
            for url in own.lines() {
                reach.add_url(url)?;
            }
            if reach.scopes.is_empty() {
                return Err("pip does not tell where its own index is: set `index-url`".to_owned());
            }
        }
        reach.add_environment(settings)?;
        Ok(reach)
    }

    fn add_environment(&mut self, settings: &Settings) -> Result<(), String> {
        for (name, value) in &settings.tool_env {
            let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else {
                continue;
            };
            if PROXIES.contains(&name.to_ascii_uppercase().as_str()) && !value.is_empty() {
                self.add_proxy(value)?;
            }
            if name == "PIP_FIND_LINKS" {
                self.add_places(value)?;
            } else if FILES.contains(&name) {
                self.files.insert(PathBuf::from(value));
            }
        }
        Ok(())
    }

    /// Local folders, and addresses of pages.
    fn add_places(&mut self, places: &str) -> Result<(), String> {
        for place in places.split_whitespace() {
            match place.strip_prefix("file://") {
                Some(path) => drop(self.files.insert(PathBuf::from(path))),
                None if place.contains("://") => self.add_url(place)?,
                None => drop(self.files.insert(PathBuf::from(place))),
            }
        }
        Ok(())
    }

    fn add_url(&mut self, url: &str) -> Result<(), String> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or("a registry's address has no scheme")?;
        if !["http", "https"].contains(&scheme) {
            return Err(format!(
                "registries are reached by https or http, not by `{scheme}`"
            ));
        }
        self.add(scheme, authority(rest))
    }

    /// A proxy is a host and a port: what is said to it is its own affair.
    fn add_proxy(&mut self, url: &str) -> Result<(), String> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let host = authority(rest);
        let port = match scheme {
            "https" => ":443",
            _ => ":80",
        };
        let named = host.rsplit_once(':').is_some_and(|(_, port)| {
            !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
        });
        let port = if named { "" } else { port };
        self.add("tcp", &format!("{host}{port}"))
    }

    fn add(&mut self, scheme: &str, host: &str) -> Result<(), String> {
        let scope = NetScope::parse(&format!("{scheme}://{host}"))
            .map_err(|error| format!("a registry or proxy of this machine: {error}"))?;
        self.scopes.insert(scope);
        Ok(())
    }

    /// The atoms. A name whose addresses are not public ones is granted by these, and named in the answer's
    /// second part: a wall does not let a name lead into the machine's own network, but the person who
    /// configured the registry meant it.
    pub(crate) fn atoms(&self) -> Result<(Vec<Granted>, Hosts), String> {
        let (mut atoms, mut hosts) = (Vec::new(), BTreeMap::new());
        for scope in &self.scopes {
            let name = scope.host().to_string();
            let literal = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
            let found = if literal || name == "localhost" {
                Vec::new()
            } else {
                addresses(&name, scope.port())
            };
            if found.iter().all(|address| not_public(*address).is_none()) {
                atoms.push(atom(scope.clone())?);
                continue;
            }
            for address in &found {
                let host = match address {
                    IpAddr::V4(address) => address.to_string(),
                    IpAddr::V6(address) => format!("[{address}]"),
                };
                let by_address = NetScope::parse(&format!("tcp://{host}:{}", scope.port()))
                    .map_err(|error| error.to_string())?;
                atoms.push(atom(by_address)?);
            }
            hosts.insert(name, found);
        }
        Ok((atoms, hosts))
    }
}

/// Host and port of an address, without user, path and what follows.
fn authority(rest: &str) -> &str {
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    host.rsplit_once('@').map_or(host, |(_, host)| host)
}

fn atom(scope: NetScope) -> Result<Granted, String> {
    Capability::new(Kind::NetworkAccess, Scope::Net(scope))
        .map(Granted::whole)
        .map_err(|error| error.to_string())
}

/// What a name leads to on this machine; nothing where it leads nowhere.
fn addresses(name: &str, port: u16) -> Vec<IpAddr> {
    let found = (name, port).to_socket_addrs().into_iter().flatten();
    let mut found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    found.sort();
    found.dedup();
    found.truncate(MAX_ADDRESSES);
    found
}

/// Existing files among `candidates`.
pub(crate) fn existing(candidates: impl IntoIterator<Item = PathBuf>) -> Vec<PathBuf> {
    candidates
        .into_iter()
        .filter(|path| path.is_absolute() && path.exists() && path != Path::new("/"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(reach: &Reach) -> Vec<String> {
        let mut all: Vec<String> = reach.scopes.iter().map(ToString::to_string).collect();
        all.sort();
        all
    }

    #[test]
    fn npm_says_where_its_registries_are() {
        let json = r#"{"registry":"https://user:canary@npm.example.com:8443/path/","@s:registry":"http://other.example.com/",
            "https-proxy":"http://proxy.example.com:3128","proxy":null,"cafile":"/etc/ca.pem","yes":false}"#;
        let reach = Reach::of_npm(json, &Settings::new("/x")).unwrap();
        assert_eq!(
            scopes(&reach),
            [
                "http://other.example.com",
                "https://npm.example.com:8443",
                "tcp://proxy.example.com:3128"
            ]
        );
        assert!(reach.files.contains(Path::new("/etc/ca.pem")));
        assert!(Reach::of_npm("[]", &Settings::new("/x")).is_err());
        assert!(Reach::of_npm(r#"{"registry":"file:///x"}"#, &Settings::new("/x")).is_err());
    }

    #[test]
    fn pip_says_where_its_indexes_are() {
        const OWN: &str = "https://own.example.com/simple\nhttps://files.example.com\n";
        let of = |list: &str| {
            let reach = Reach::of_pip(list, OWN, &Settings::new("/x")).unwrap();
            (scopes(&reach).join(" "), reach.files)
        };
        assert_eq!(
            of("").0,
            "https://files.example.com https://own.example.com"
        );
        assert!(Reach::of_pip("", "", &Settings::new("/x")).is_err());
        let list = "global.index-url='https://a.example.com/simple'\n\
            install.extra-index-url='https://b.example.com/x\\nhttps://u:p@c.example.com/y'\n\
            :env:.find-links='/opt/wheels https://d.example.com/l'\nglobal.proxy='proxy.example.com'\n";
        let (scopes, files) = of(list);
        assert_eq!(
            scopes,
            "https://a.example.com https://b.example.com https://c.example.com https://d.example.com tcp://proxy.example.com:80"
        );
        assert!(files.contains(Path::new("/opt/wheels")));
        assert_eq!(of(":env:.no-index='1'\n").0, "");
    }

    #[test]
    fn a_registry_of_the_machines_own_network_is_granted_by_address() {
        let json = |url: &str| format!(r#"{{"registry":"{url}"}}"#);
        let atoms = |url: &str| {
            let reach = Reach::of_npm(&json(url), &Settings::new("/x")).unwrap();
            let (atoms, hosts) = reach.atoms().unwrap();
            (
                atoms.iter().map(ToString::to_string).collect::<Vec<_>>(),
                hosts,
            )
        };
        let (by_literal, hosts) = atoms("http://127.0.0.1:4873/");
        assert_eq!(by_literal, ["network_access:http://127.0.0.1:4873"]);
        assert!(hosts.is_empty());
        let (unknown, _) = atoms("https://nowhere.invalid/");
        assert_eq!(unknown, ["network_access:https://nowhere.invalid"]);
    }
}
