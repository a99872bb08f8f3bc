//! Requests over TLS, to a server whose certificate only a test trusts.
//!
//! `server.pem` holds that certificate, the authority's that signed it, and the server's key:
//! made for 127.0.0.1, good for nothing else.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::store::StoreError;
use crate::store::dynamodb::client::Table;
use crate::store::dynamodb::keys::Key;

const SERVER: &[u8] = include_bytes!("server.pem");

fn certificates() -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(SERVER).map(Result::unwrap).collect()
}

/// A service that answers every request with an item, as long as the process lives.
fn service() -> String {
    let key = PrivateKeyDer::from_pem_slice(SERVER).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates()[..1].to_vec(), key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(connection, socket.unwrap()));
            // A client that does not trust the server hangs up.
            while let Some(()) = request(&mut stream) {
                let body = r#"{"Item":{"pk":{"S":"p"},"n":{"N":"7"}}}"#;
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.get_mut().write_all((head + body).as_bytes()).unwrap();
            }
        }
    });
    url
}

/// Reads one request; `None` when there is no more.
fn request(stream: &mut impl BufRead) -> Option<()> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length]).ok()
}

fn table(http: SharedHttpClient, url: &str) -> Table {
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("any", "any", None, None, "test"))
        .endpoint_url(url)
        .http_client(http);
    Table::new(Client::from_conf(config.build()), "table")
}

#[tokio::test]
async fn a_trusted_certificate_is_accepted() {
    let mut roots = RootCertStore::empty();
    roots.add(certificates()[1].clone()).unwrap();
    let https = https::trusting(roots, Duration::from_secs(1)).unwrap();
    let table = table(over(https, &ServiceClock::default()), &service());
    for _ in 0..3 {
        let item = table.get(&Key::new("p", "s"), true).await.unwrap().unwrap();
        assert_eq!(item["n"].as_n().unwrap(), "7");
    }
}

#[tokio::test]
async fn an_unknown_certificate_is_refused() {
    let table = table(client(Duration::from_secs(1), &ServiceClock::default()).unwrap(), &service());
    let Err(StoreError::Unavailable { reason, .. }) = table.get(&Key::new("p", "s"), true).await else {
        panic!("it was trusted");
    };
    assert!(reason.contains("certificate"), "{reason}");
}
