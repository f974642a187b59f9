//! Where an export goes.

use std::fmt;
use std::path::PathBuf;

use http::Uri;
use http::header::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::error::ExportError;
use crate::format::Format;

/// Where an export goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard output: `-`.
    Stdout,
    /// A file, which grows.
    File(PathBuf),
    /// `http://…` or `https://…`.
    Http(Uri),
    /// `tcp://HOST:PORT`.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// `tls://HOST:PORT`: the same within TLS (RFC 5425).
    Tls {
        /// Name or address, which the certificate must be for.
        host: String,
        /// Port.
        port: u16,
    },
    /// `udp://HOST:PORT`: datagrams (RFC 5426). Nobody says whether one arrives.
    Udp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// `unix:PATH`: datagrams to a local socket, such as `/dev/log`.
    Unix(PathBuf),
}

impl Target {
    /// Reads a target and checks that this format goes there.
    ///
    /// # Errors
    /// [`ExportError::Target`] says what is wrong.
    pub fn parse(text: &str, format: Format) -> Result<Self, ExportError> {
        let wrong = |why: &str| ExportError::Target {
            target: text.to_owned(),
            why: why.to_owned(),
        };
        let target = match text.split_once(':') {
            _ if text == "-" => Self::Stdout,
            _ if text.is_empty() => return Err(wrong("it is empty")),
            Some(("http" | "https", _)) => {
                Self::Http(http(text, format).map_err(|why| wrong(&why))?)
            }
            Some(("unix", path)) if path.starts_with('/') => Self::Unix(PathBuf::from(path)),
            Some(("unix", _)) => {
                return Err(wrong("write the socket's whole path, as in unix:/dev/log"));
            }
            Some((scheme @ ("tcp" | "tls" | "udp"), rest)) => {
                let (host, port) = rest
                    .strip_prefix("//")
                    .and_then(authority)
                    .ok_or_else(|| wrong("write a host and a port, as in tcp://127.0.0.1:601"))?;
                match scheme {
                    "tcp" => Self::Tcp { host, port },
                    "tls" => Self::Tls { host, port },
                    _ => Self::Udp { host, port },
                }
            }
            Some((scheme, rest)) if rest.starts_with("//") => {
                let known = "http, https, tcp, tls, udp, unix, or a file's path";
                return Err(wrong(&format!("`{scheme}` is not known: write {known}")));
            }
            _ => Self::File(PathBuf::from(text)),
        };
        target.takes(format).map_err(wrong)?;
        Ok(target)
    }

    fn takes(&self, format: Format) -> Result<(), &'static str> {
        match (self, format) {
            (Self::Stdout | Self::File(_), _)
            | (Self::Http(_), Format::Otlp | Format::Ocsf)
            | (Self::Tcp { .. } | Self::Tls { .. }, Format::Ocsf | Format::Syslog | Format::Cef)
            | (Self::Udp { .. } | Self::Unix(_), Format::Syslog | Format::Cef) => Ok(()),
            (_, Format::Otlp) => Err("otlp goes to http, https or a file"),
            (_, Format::Ocsf) => Err("ocsf goes to http, https, tcp, tls or a file"),
            (Self::Http(_), _) => Err("syslog and cef go to tcp, tls, udp, unix or a file"),
        }
    }

    /// Whether nobody on the way can read what is sent: TLS, or never off this machine.
    #[must_use]
    pub fn is_private(&self) -> bool {
        match self {
            Self::Http(uri) => {
                uri.scheme_str() == Some("https") || uri.host().is_some_and(is_loopback)
            }
            Self::Tcp { host, .. } | Self::Udp { host, .. } => is_loopback(host),
            Self::Stdout | Self::File(_) | Self::Tls { .. } | Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |host: &str| {
            if host.contains(':') {
                format!("[{host}]")
            } else {
                host.to_owned()
            }
        };
        match self {
            Self::Stdout => f.write_str("-"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Http(uri) => write!(f, "{uri}"),
            Self::Tcp { host: name, port } => write!(f, "tcp://{}:{port}", host(name)),
            Self::Tls { host: name, port } => write!(f, "tls://{}:{port}", host(name)),
            Self::Udp { host: name, port } => write!(f, "udp://{}:{port}", host(name)),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn authority(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|host| host.contains(':'))?,
        None if host.contains(':') => return None,
        None => host,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '%' | '_');
    (!host.is_empty() && host.chars().all(plain)).then_some(())?;
    Some((host.to_owned(), port.parse().ok()?))
}

fn http(text: &str, format: Format) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
    let authority = uri.authority().ok_or("it names no host")?;
    if authority.as_str().contains('@') {
        return Err("a password does not belong into an address: use `headers`".to_owned());
    }
    if format != Format::Otlp || uri.path() != "/" || uri.query().is_some() {
        return Ok(uri);
    }
    // The path that OTLP over HTTP prescribes.
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/v1/logs"));
    Uri::from_parts(parts).map_err(|error| error.to_string())
}

/// A header of requests, such as one with a token. Its value is never shown.
#[derive(Clone)]
pub struct Header {
    pub(crate) name: HeaderName,
    value: Zeroizing<Vec<u8>>,
}

impl Header {
    /// Takes over a header.
    ///
    /// # Errors
    /// [`ExportError::Header`] where it is none, or one that the request sets itself.
    pub fn new(name: &str, value: Zeroizing<Vec<u8>>) -> Result<Self, ExportError> {
        let wrong = |why: &str| ExportError::Header {
            name: name.to_owned(),
            why: why.to_owned(),
        };
        let parsed = HeaderName::try_from(name).map_err(|_| wrong("that is no header's name"))?;
        let ours = [
            "host",
            "content-length",
            "content-type",
            "transfer-encoding",
            "connection",
        ];
        if ours.contains(&parsed.as_str()) {
            return Err(wrong("the request sets it itself"));
        }
        HeaderValue::from_bytes(&value)
            .map_err(|_| wrong("its value holds a control character"))?;
        Ok(Self {
            name: parsed,
            value,
        })
    }

    /// The value, for the request alone.
    pub(crate) fn value(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_bytes(&self.value).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: [secret]", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_back_as_they_are_written() {
        let cases = [
            ("-", Format::Cef),
            ("/var/log/x.json", Format::Ocsf),
            ("out.log", Format::Otlp),
            ("https://otel.example.com/v1/logs", Format::Otlp),
            ("http://127.0.0.1:8080/in?x=1", Format::Ocsf),
            ("tcp://127.0.0.1:601", Format::Syslog),
            ("tcp://[::1]:601", Format::Ocsf),
            ("tls://logs.example.com:6514", Format::Cef),
            ("udp://localhost:514", Format::Syslog),
            ("unix:/dev/log", Format::Syslog),
        ];
        for (text, format) in cases {
            assert_eq!(Target::parse(text, format).unwrap().to_string(), text);
        }
        let bare = Target::parse("http://localhost:4318", Format::Otlp).unwrap();
        assert_eq!(bare.to_string(), "http://localhost:4318/v1/logs");
    }

    #[test]
    fn what_is_no_target_or_not_one_of_the_format_is_refused() {
        let cases = [
            ("", Format::Ocsf),
            ("tcp://", Format::Syslog),
            ("tcp://host", Format::Syslog),
            ("tcp:host:1", Format::Syslog),
            ("tcp://::1:601", Format::Syslog),
            ("tcp://a b:601", Format::Syslog),
            ("tcp://host:99999", Format::Syslog),
            ("ftp://host/x", Format::Ocsf),
            ("unix:dev/log", Format::Syslog),
            ("https://user:password@host/", Format::Otlp),
            ("https:///x", Format::Otlp),
            ("tcp://host:1", Format::Otlp),
            ("https://host/", Format::Cef),
            ("udp://host:1", Format::Ocsf),
        ];
        for (text, format) in cases {
            let error = Target::parse(text, format)
                .err()
                .unwrap_or_else(|| panic!("{text} was taken"));
            assert!(error.to_string().contains("is no target"), "{error}");
        }
    }

    #[test]
    fn l35_a_header_shows_no_value_and_ends_no_line() {
        let header = |value: &str| Header::new("authorization", Zeroizing::new(value.into()));
        assert_eq!(
            format!("{:?}", header("Bearer canary").unwrap()),
            "authorization: [secret]"
        );
        let error = header("a\r\nx-evil: 1").unwrap_err().to_string();
        assert!(!error.contains("evil"), "{error}");
        assert!(Header::new("host", Zeroizing::new(b"x".to_vec())).is_err());
        assert!(Header::new("a b", Zeroizing::new(b"x".to_vec())).is_err());
    }
}
