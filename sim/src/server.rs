//! A listener whose behaviour can be changed while it runs, shared by HTTP and mail.
//!
//! Invariant: after [`Server::set`] returned, the new behaviour is in force for every new connection. The port stays
//! reserved while the listener is closed, so that the far end comes back at the same address.

use crate::behaviour::Behaviour;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// Connections waiting to be accepted.
const BACKLOG: u32 = 1024;

/// What is spoken on a connection.
pub(crate) trait Protocol: Send + Sync + 'static {
    /// Serves one connection to its end.
    fn serve(&self, stream: TcpStream, behaviour: watch::Receiver<Behaviour>) -> impl Future<Output = ()> + Send;
}

/// A running listener; dropping it ends it and its connections.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    behaviour: watch::Sender<Behaviour>,
    listening: watch::Receiver<bool>,
    task: AbortHandle,
    /// Never listens; keeps the port while nobody else does.
    _reservation: TcpSocket,
}

impl Server {
    /// Listens on a free port of 127.0.0.1.
    pub(crate) async fn start<P: Protocol>(protocol: P) -> io::Result<Self> {
        let reservation = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = reservation.local_addr()?;
        let listener = socket(address)?.listen(BACKLOG)?;
        let behaviour = watch::Sender::new(Behaviour::Healthy);
        let (say, listening) = watch::channel(true);
        let accepting = accept(listener, address, Arc::new(protocol), behaviour.subscribe(), say);
        #[allow(
            clippy::disallowed_methods,
            reason = "a far end lives beside the program under test, not in its task set"
        )]
        let task = tokio::spawn(accepting).abort_handle();
        Ok(Self { address, behaviour, listening, task, _reservation: reservation })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn set(&self, behaviour: Behaviour) {
        self.behaviour.send_replace(behaviour);
        let wanted = behaviour != Behaviour::Refuse;
        // An error means that the accept loop has ended, and then nobody listens anyway.
        let _ = self.listening.clone().wait_for(|listening| *listening == wanted).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    #[cfg(unix)]
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts until the server is dropped; closed while the behaviour is `Refuse`.
async fn accept<P: Protocol>(
    listener: TcpListener,
    address: SocketAddr,
    protocol: Arc<P>,
    mut behaviour: watch::Receiver<Behaviour>,
    listening: watch::Sender<bool>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        let refuse = *behaviour.borrow_and_update() == Behaviour::Refuse;
        if refuse {
            listener = None;
            connections.shutdown().await;
        } else if listener.is_none() {
            match socket(address).and_then(|socket| socket.listen(BACKLOG)) {
                Ok(again) => listener = Some(again),
                Err(error) => tracing::error!(%address, %error, "the far end cannot listen again"),
            }
        }
        listening.send_replace(listener.is_some());
        tokio::select! {
            changed = behaviour.changed() => if changed.is_err() { return },
            accepted = next(listener.as_ref()) => {
                if let Ok((stream, _)) = accepted {
                    let (protocol, behaviour) = (Arc::clone(&protocol), behaviour.clone());
                    connections.spawn(async move { protocol.serve(stream, behaviour).await });
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The next connection; never when the listener is closed.
async fn next(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}
