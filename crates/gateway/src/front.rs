//! The strict front: what a request must look like before anybody asks who sent it.
//!
//! A proxy is safe when it and the server behind it read one message the same way. So everything that two readers could
//! read differently is refused or made anew here: framing, field names, hosts, paths. [`sentinel`] looks at the raw
//! bytes of HTTP/1.1 before hyper does, because hyper mends some of what must not be mended (a bare line feed, a
//! `Content-Length` beside `Transfer-Encoding`); the other modules look at the parsed request, of HTTP/1.1 and HTTP/2
//! alike. Nothing in here does I/O but the sentinel, and nothing knows routes or callers.

pub mod chunks;
pub mod head;
pub mod headers;
pub mod host;
pub mod path;
pub mod refusal;
pub mod sentinel;
