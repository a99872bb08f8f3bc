//! The server's address: what `ANALYTICS_STORE` says.

use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls;
use crate::store::StoreError;

/// How long one server may take to accept a connection, unless the URL says otherwise.
const CONNECT: Duration = Duration::from_secs(3);

/// Where the server is and how it is talked to.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
}

impl Address {
    /// Parses a URL; those parameters that the driver does not know are taken out first.
    /// Neither its password nor any other part of it is repeated in an error.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut verified, mut roots, mut rest) = (false, None, form_urlencoded::Serializer::new(String::new()));
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match (&*name, &*value) {
                ("sslmode", "require" | "verify-ca" | "verify-full") => {
                    verified = true;
                    rest.append_pair("sslmode", "require");
                }
                ("sslrootcert", file) => roots = Some(file.to_owned()),
                (name, value) => {
                    rest.append_pair(name, value);
                }
            }
        }
        // The driver decodes percent signs, but not the plus that stands for a blank in forms.
        let url = format!("{base}?{}", rest.finish().replace('+', "%20"));
        let mut config: Config = url.parse().map_err(|_| wrong("it is no valid postgres:// URL"))?;
        if config.get_hosts().is_empty() {
            return Err(wrong("it names no host"));
        }
        if roots.is_some() && !verified {
            return Err(wrong("sslrootcert needs sslmode=require or verify-full"));
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_application_name().is_none() {
            config.application_name("maicivy-analytics");
        }
        debug_assert!(!verified || config.get_ssl_mode() == SslMode::Require, "verified means always");
        let tls = tls::connector(verified, roots.as_deref())
            .map_err(|error| wrong(&format!("its TLS cannot be set up: {error}")))?;
        Ok(Self { config, tls })
    }
}

fn wrong(what: &str) -> StoreError {
    StoreError::Other { engine: super::ENGINE, source: format!("ANALYTICS_STORE cannot be used: {what}").into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> Option<SslMode> {
        Address::parse(url).ok().map(|address| address.config.get_ssl_mode())
    }

    #[test]
    fn modes_of_tls() {
        assert_eq!(mode("postgres://u@h/d"), Some(SslMode::Prefer));
        assert_eq!(mode("postgresql://u@h/d?sslmode=disable"), Some(SslMode::Disable));
        for verified in ["require", "verify-ca", "verify-full"] {
            assert_eq!(mode(&format!("postgres://u@h/d?sslmode={verified}")), Some(SslMode::Require));
        }
        for bad in ["?sslmode=maybe", "?sslrootcert=/x", "?sslmode=require&sslrootcert=/nowhere", "?x=y"] {
            assert_eq!(mode(&format!("postgres://u@h/d{bad}")), None, "{bad}");
        }
        assert_eq!(mode("postgres:///d"), None, "no host");
    }

    #[test]
    fn what_the_driver_knows_is_passed_on() {
        let address = Address::parse("postgres://u:p%40@h:1/d?options=-c%20search_path%3Dx&connect_timeout=9").unwrap();
        assert_eq!(address.config.get_options(), Some("-c search_path=x"));
        assert_eq!(address.config.get_connect_timeout(), Some(&Duration::from_secs(9)));
        assert_eq!(address.config.get_password(), Some(&b"p@"[..]));
    }

    #[test]
    fn no_secret_is_echoed() {
        for url in ["postgres://joe:hunter2@h:port/d", "postgres://joe:hunter2@h/d?sslmode=hunter2"] {
            let error = format!("{:?}", Address::parse(url).err().unwrap());
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
