//! Where the server, another reader of the same bytes, finds a name, we find the same one or refuse.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rustls::server::Acceptor;

fuzz_target!(|bytes: &[u8]| {
    let Some(ours) = bailiwick_egress::fuzzing::client_hello(bytes) else {
        return;
    };
    let mut acceptor = Acceptor::default();
    if acceptor.read_tls(&mut &*bytes).is_err() {
        return;
    }
    if let Ok(Some(accepted)) = acceptor.accept() {
        let theirs = accepted.client_hello().server_name().map(str::to_ascii_lowercase);
        assert_eq!(ours.as_ref().map(|name| name.as_str()), theirs.as_deref());
    }
});
