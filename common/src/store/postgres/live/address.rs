//! The server's address: what `ANALYTICS_REDIS` says.

use redis::{Client, IntoConnectionInfo, TlsCertificates};

use crate::store::StoreError;
use crate::store::postgres::ENGINE;

/// Parses a URL. `sslrootcert=FILE` (PEM), which the driver does not know, names who may vouch
/// for the certificate of a `rediss://` server in place of Mozilla's list.
///
/// # Errors
/// What is wrong; neither a password nor any other part of the URL is repeated in it.
pub(super) fn client(url: &str) -> Result<Client, StoreError> {
    let (url, fragment) = url.split_once('#').map_or((url, ""), |(url, fragment)| (url, fragment));
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut roots, mut rest) = (None, form_urlencoded::Serializer::new(String::new()));
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "sslrootcert" => roots = Some(value.into_owned()),
            // The driver would pass over what it does not know, and a typing error pass with it.
            "protocol" => {
                rest.append_pair(&name, &value);
            }
            _ => return Err(wrong("its only parameters are sslrootcert and protocol")),
        }
    }
    if !fragment.is_empty() {
        return Err(wrong("it has a fragment; a # in a password is written %23"));
    }
    let rest = rest.finish();
    let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{rest}") };
    let info = url.into_connection_info().map_err(|_| wrong("it is no address of a redis server"))?;
    let Some(file) = roots else { return Client::open(info).map_err(|_| wrong("it is no address of a redis server")) };
    let roots = std::fs::read(&file).map_err(|error| wrong(&format!("sslrootcert cannot be read: {error}")))?;
    if !roots.windows(CERTIFICATE.len()).any(|window| window == CERTIFICATE) {
        return Err(wrong("sslrootcert holds no certificate"));
    }
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(roots) };
    Client::build_with_tls(info, certificates)
        .map_err(|_| wrong("sslrootcert needs rediss:// and a file of PEM certificates"))
}

/// What every certificate in a PEM file begins with.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

fn wrong(what: &str) -> StoreError {
    StoreError::Other { engine: ENGINE, source: format!("ANALYTICS_REDIS cannot be used: {what}").into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for good in ["redis://h", "redis://:p%23@h:1/3", "rediss://u:p@h", "redis://h?protocol=resp3"] {
            assert!(client(good).is_ok(), "{good}");
        }
        let empty = tempfile::NamedTempFile::new().unwrap();
        let empty = format!("rediss://joe:hunter2@h?sslrootcert={}", empty.path().display());
        for (bad, why) in [
            ("redis://:hunter2@[", "no address"),
            ("redis://joe:hunter2@h:port", "no address"),
            ("redis://joe:hunter2@h/hunter2", "no address"),
            ("redis://joe:hunter2@h?sslrotcert=/hunter2", "only parameters"),
            ("redis://joe:hunter2@h?protocol=hunter2", "no address"),
            ("rediss://joe:hunter2@h#insecure", "fragment"),
            ("rediss://joe:hunter2@h?sslrootcert=/nowhere", "cannot be read"),
            (&*empty, "no certificate"),
        ] {
            let error = client(bad).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(why) && !text.contains("hunter2"), "{bad}: {text}");
        }
    }
}
