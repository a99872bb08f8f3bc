//! Connections of HTTP/1.1 clients: TLS with Mozilla's list of roots, or none where the address says so.

use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// Gives up a connection that is not made in this time.
///
/// # Errors
/// When the cryptography knows no version of TLS.
pub(crate) fn connector(connect: Duration) -> Result<HttpsConnector<HttpConnector>, rustls::Error> {
    trusting(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }, connect)
}

/// The same with these roots.
///
/// # Errors
/// When the cryptography knows no version of TLS.
pub(crate) fn trusting(
    roots: RootCertStore,
    connect: Duration,
) -> Result<HttpsConnector<HttpConnector>, rustls::Error> {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect));
    Ok(HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp))
}
