//! Header fields that belong to one connection, or that lead past the wall, are not passed on.

use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue,
    IF_RANGE, RANGE, TE,
};

/// Fields of one connection (RFC 9110 §7.6.1), and those by which each side speaks to its proxy.
const OF_ONE_CONNECTION: &[&str] = &[
    "connection",
    "transfer-encoding",
    "upgrade",
    "te",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "http2-settings",
];

/// Whether `Connection` names `option`.
pub(super) fn connection_names(fields: &HeaderMap, option: &str) -> bool {
    options(fields).any(|named| named.eq_ignore_ascii_case(option))
}

fn options(fields: &HeaderMap) -> impl Iterator<Item = &str> {
    fields
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn drop_of_one_connection(fields: &mut HeaderMap) {
    let named: Vec<HeaderName> = options(fields)
        .filter_map(|option| option.parse().ok())
        .collect();
    for name in named {
        fields.remove(name);
    }
    for name in OF_ONE_CONNECTION {
        fields.remove(*name);
    }
}

/// Leaves of a request what is for the destination. How it is framed is written anew.
pub(super) fn clean_request(fields: &mut HeaderMap) {
    let trailers = fields
        .get_all(TE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.trim().eq_ignore_ascii_case("trailers"));
    drop_of_one_connection(fields);
    fields.remove(CONTENT_LENGTH);
    fields.remove(HOST);
    if trailers {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Asks for an answer that can be searched: not packed, and whole, because parts of a secret in answers of
/// their own would not be found.
pub(super) fn ask_for_plain(fields: &mut HeaderMap) {
    fields.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    fields.remove(RANGE);
    fields.remove(IF_RANGE);
}

/// Leaves of an answer what is for the plugin. `Alt-Svc` (RFC 7838) would lead to other hosts and ports.
pub(super) fn clean_answer(fields: &mut HeaderMap) {
    drop_of_one_connection(fields);
    fields.remove("alt-svc");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_one_connection_stays_there() {
        let mut fields = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, X-Mine"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("te", "gzip, trailers"),
            ("proxy-authorization", "Basic eA=="),
            ("content-length", "5"),
            ("host", "a"),
            ("x-other", "2"),
        ] {
            fields.insert(name, value.parse().unwrap());
        }
        clean_request(&mut fields);
        let left: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(left, [("x-other", "2"), ("te", "trailers")]);
    }
}
