//! An address of a test's own.
#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpSocket;

/// An address that is kept while nobody listens there: no other listener and no connection gets its port by chance.
pub struct Port {
    pub addr: SocketAddr,
    _kept: TcpSocket,
}

impl Port {
    pub fn keep() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // Beside this one, which never listens, another socket may be bound to the port and listen.
        socket.set_reuseaddr(true).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self { addr: socket.local_addr().unwrap(), _kept: socket }
    }
}
