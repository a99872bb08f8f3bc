//! Places of addresses, from a database in MaxMind's format that the operator provides.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use crate::measure::facts::Place;

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum GeoIpError {
    /// It cannot be read, or has another format.
    #[cfg(feature = "geoip")]
    #[error(transparent)]
    Database(#[from] maxminddb::MaxMindDbError),
    /// This binary was built without the cargo feature `geoip`.
    #[error("this binary was built without databases of places; build it with the cargo feature geoip")]
    NotBuilt,
}

/// An opened database, held in memory.
pub struct GeoIp {
    #[cfg(feature = "geoip")]
    reader: maxminddb::Reader<Vec<u8>>,
}

impl fmt::Debug for GeoIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GeoIp")
    }
}

#[cfg(feature = "geoip")]
impl GeoIp {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is no such database.
    pub fn open(path: &Path) -> Result<Self, GeoIpError> {
        Ok(Self { reader: maxminddb::Reader::open_readfile(path)? })
    }

    /// What it knows of an address; region and city only if it has them.
    #[must_use]
    pub fn place(&self, address: IpAddr) -> Place {
        use maxminddb::PathElement::{Index, Key};
        let Ok(found) = self.reader.lookup(address) else { return Place::default() };
        let text = |path: &[maxminddb::PathElement<'_>]| found.decode_path::<&str>(path).ok().flatten();
        // Databases of countries that are not MaxMind's have a field of their own.
        let country = text(&[Key("country"), Key("iso_code")]).or_else(|| text(&[Key("country_code")]));
        let region = text(&[Key("subdivisions"), Index(0), Key("iso_code")]);
        let city = text(&[Key("city"), Key("names"), Key("en")]);
        Place::new(country.unwrap_or_default(), region.unwrap_or_default(), city.unwrap_or_default())
    }
}

#[cfg(not(feature = "geoip"))]
#[allow(clippy::unused_self, reason = "the same interface with and without the feature")]
impl GeoIp {
    /// Always fails.
    ///
    /// # Errors
    /// This binary was built without the feature.
    pub fn open(_path: &Path) -> Result<Self, GeoIpError> {
        Err(GeoIpError::NotBuilt)
    }

    /// Nothing.
    #[must_use]
    pub fn place(&self, _address: IpAddr) -> Place {
        Place::default()
    }
}

#[cfg(test)]
#[cfg(feature = "geoip")]
mod tests {
    use super::*;

    /// A database that knows one IPv4 network, 198.18.0.0/15, with these fields.
    fn database(record: &[u8]) -> Vec<u8> {
        let (network, length) = (u32::from_be_bytes([198, 18, 0, 0]), 15_u32);
        let mut bytes = Vec::new();
        for node in 0..length {
            let next = if node + 1 < length { node + 1 } else { length + 16 };
            let is_one = network >> (31 - node) & 1 == 1;
            for pointer in if is_one { [length, next] } else { [next, length] } {
                bytes.extend(&pointer.to_be_bytes()[1..]);
            }
        }
        bytes.extend([0; 16]);
        bytes.extend(record);
        bytes.extend(b"\xab\xcd\xefMaxMind.com");
        bytes.extend(map(&[
            ("binary_format_major_version", vec![0xa1, 2]),
            ("binary_format_minor_version", vec![0xa0]),
            ("build_epoch", vec![0x00, 0x02]),
            ("database_type", string("Test")),
            ("description", map(&[])),
            ("ip_version", vec![0xa1, 4]),
            ("languages", vec![0x00, 0x04]),
            ("node_count", vec![0xc1, 15]),
            ("record_size", vec![0xa1, 24]),
        ]));
        bytes
    }

    fn string(text: &str) -> Vec<u8> {
        [&[0x40 | text.len() as u8], text.as_bytes()].concat()
    }

    fn map(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![0xe0 | fields.len() as u8];
        fields.iter().for_each(|(key, value)| bytes.extend([string(key), value.clone()].concat()));
        bytes
    }

    fn place(record: &[u8], address: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("places.mmdb");
        std::fs::write(&file, database(record)).unwrap();
        GeoIp::open(&file).unwrap().place(address.parse().unwrap())
    }

    #[test]
    fn places_of_addresses() {
        let subdivision = [vec![0x01, 0x04], map(&[("iso_code", string("IDF"))])].concat();
        let record = map(&[
            ("city", map(&[("names", map(&[("en", string("Paris"))]))])),
            ("country", map(&[("iso_code", string("FR"))])),
            ("subdivisions", subdivision),
        ]);
        assert_eq!(place(&record, "198.19.255.1"), Place::new("FR", "IDF", "Paris"));
        assert_eq!(place(&record, "198.20.0.1"), Place::default());
        assert_eq!(place(&record, "2001:db8::1"), Place::default());
        assert_eq!(place(&map(&[("country_code", string("DE"))]), "198.18.0.1"), Place::new("DE", "", ""));
        assert_eq!(place(&map(&[("country_code", vec![0xa1, 2])]), "198.18.0.1"), Place::default());
    }

    #[test]
    fn what_is_no_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("places.mmdb");
        assert!(GeoIp::open(&file).is_err());
        std::fs::write(&file, "no database").unwrap();
        assert!(GeoIp::open(&file).is_err());
    }
}
