//! Names of hosts: those of boot nodes are dialled and no others, wherever they were heard. Who is asked for a name is told
//! that this node wants to know, and may say that it is any address.

use super::{Multiaddr, TcpAddress};
use libp2p::core::transport::{DialOpts, ListenerId, Transport, TransportError, TransportEvent};
use std::{
    collections::BTreeSet,
    pin::Pin,
    task::{Context, Poll},
};

pub(super) struct Named<T> {
    inner: T,
    /// Host and port of boot nodes.
    boots: BTreeSet<Multiaddr>,
}

impl<T> Named<T> {
    pub(super) fn new(inner: T, boots: impl Iterator<Item = Multiaddr>) -> Self {
        Self { inner, boots: boots.collect() }
    }

    fn may_dial(&self, address: &Multiaddr) -> bool {
        TcpAddress::of(address)
            .is_some_and(|address| address.ip().is_some() || self.boots.contains(address.bare()))
    }
}

impl<T: Transport + Unpin> Transport for Named<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<T::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<T::Dial, TransportError<T::Error>> {
        if self.may_dial(&address) {
            self.inner.dial(address, options)
        } else {
            Err(TransportError::MultiaddrNotSupported(address))
        }
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<TransportEvent<T::ListenerUpgrade, T::Error>> {
        Pin::new(&mut self.inner).poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x18_no_names_are_dialled_but_those_of_boot_nodes() {
        let boots = ["/dns4/boot.example/tcp/1".parse().unwrap()];
        let named = Named::new((), boots.into_iter());
        let id = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5";
        for (text, may) in [
            ("/ip4/10.0.0.1/tcp/1", true),
            ("/ip6/::1/tcp/1", true),
            ("/dns4/boot.example/tcp/1", true),
            ("/dns4/boot.example/tcp/2", false),
            ("/dns4/evil.example/tcp/1", false),
            ("/dns/localhost/tcp/1", false),
        ] {
            for text in [text.to_owned(), format!("{text}/p2p/{id}")] {
                assert_eq!(named.may_dial(&text.parse().unwrap()), may, "{text}");
            }
        }
        assert!(!named.may_dial(&"/dnsaddr/boot.example".parse().unwrap()));
    }
}
