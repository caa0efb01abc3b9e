//! The gateway over real sockets: hostile requests from data, and what people expect of a proxy.

mod behaviour;
mod hostile;
mod recorder;
mod token;
mod world;
