//! A PCCS that vouches for everything: the four addresses a bridge asks, with answers in the shape of real ones.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PccsFault {
    /// This status with an empty body.
    Status(u16),
    /// This body instead.
    Body(Vec<u8>),
    /// No header with the issuer chain.
    NoChain,
    /// Nothing for so long.
    Slow(Duration),
    /// The connection ends in the middle of the body.
    Cut,
}

/// The server's side. Clones share what was asked and what goes wrong.
#[derive(Clone, Default)]
pub struct PccsStub(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    asked: Vec<String>,
    faults: HashMap<String, PccsFault>,
}

/// Longest head of a request, bytes.
const MAX_HEAD: usize = 16 << 10;

/// The issuer chain of every answer, as it is in collateral.
pub const CHAIN: &str = "-----BEGIN CERTIFICATE-----\nMIIB+/==\n-----END CERTIFICATE-----\n";

/// TCB info, the text that is signed.
pub const TCB_INFO: &str = r#"{"version":2,  "fmspc":"00906EA10000","issueDate":"2023-01-01T00:00:00Z"}"#;

/// Identity of the quoting enclave, the text that is signed.
pub const QE_IDENTITY: &str = r#"{"id":"QE","version":2}"#;

impl PccsStub {
    /// All paths asked for so far, with their queries.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    /// From now on answers for paths that end in `path` (without a query) are wrong in that way, none makes them right.
    pub fn fault(&self, path: &str, fault: Option<PccsFault>) {
        let mut state = self.state();
        match fault {
            Some(fault) => drop(state.faults.insert(path.to_owned(), fault)),
            None => drop(state.faults.remove(path)),
        }
    }

    /// Answers on `listener` until dropped.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        loop {
            let (stream, _): (TcpStream, _) = listener.accept().await?;
            let stub = self.clone();
            tokio::spawn(async move { stub.answer(stream).await.ok() });
        }
    }

    /// Answers one request on a connection, and closes it.
    pub async fn answer(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == MAX_HEAD {
                return Err(io::ErrorKind::InvalidData.into());
            }
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head);
        let asked = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let path = asked.split('?').next().unwrap_or_default();
        let fault = {
            let mut state = self.state();
            state.asked.push(asked.clone());
            state
                .faults
                .iter()
                .find(|(wrong, _)| path.ends_with(wrong.as_str()))
                .map(|(_, fault)| fault.clone())
        };
        let (mut status, mut header, mut body) = right(path);
        match &fault {
            Some(PccsFault::Status(wrong)) => (status, body) = (*wrong, Vec::new()),
            Some(PccsFault::Body(wrong)) => body.clone_from(wrong),
            Some(PccsFault::NoChain) => header = None,
            Some(PccsFault::Slow(time)) => tokio::time::sleep(*time).await,
            Some(PccsFault::Cut) | None => {}
        }
        let header = header.map_or_else(String::new, |name| format!("{name}: {}\r\n", encoded(CHAIN)));
        let length = body.len() + usize::from(fault == Some(PccsFault::Cut));
        let head =
            format!("HTTP/1.1 {status} Any\r\n{header}content-length: {length}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
        stream.shutdown().await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn right(path: &str) -> (u16, Option<&'static str>, Vec<u8>) {
    let signed = |name: &str, text: &str| {
        format!("{{\"{name}\":{text},\"signature\":\"{}\"}}", "0a".repeat(64)).into_bytes()
    };
    if path.ends_with("/pckcrl") {
        (200, Some("SGX-PCK-CRL-Issuer-Chain"), b"308201aa\n".to_vec())
    } else if path.ends_with("/rootcacrl") {
        (200, None, b"308201bb".to_vec())
    } else if path.ends_with("/tcb") {
        (200, Some("TCB-Info-Issuer-Chain"), signed("tcbInfo", TCB_INFO))
    } else if path.ends_with("/qe/identity") {
        (200, Some("SGX-Enclave-Identity-Issuer-Chain"), signed("enclaveIdentity", QE_IDENTITY))
    } else {
        (404, None, Vec::new())
    }
}

/// Percent-encoding of everything that is not a letter or digit.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
