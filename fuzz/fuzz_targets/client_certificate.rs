//! Fuzzes the reading of client certificates: no panic, whatever a peer sends.
#![no_main]

use trackside_identity::certificate::PeerCertificate;

libfuzzer_sys::fuzz_target!(|der: &[u8]| {
    let _ = PeerCertificate::read(der);
});
