//! The algorithms, by ring, which TLS brings along. Signing is the provider's: nothing here does.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, VerificationAlgorithm,
};
use ring::{hmac, signature};

/// Makes these algorithms those of the library. A process that has others already keeps them.
pub(super) fn install() {
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
        verifier_factory: |algorithm, key| Ok(Box::new(Check::new(*algorithm, key)?)),
        key_utils: KeyUtils::new_unimplemented(),
    };
    let _ = PROVIDER.install_default();
}

/// A key and the algorithm that it is used with.
struct Check(Algorithm, DecodingKey);

impl Check {
    fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Self> {
        let family = match algorithm {
            Algorithm::HS256 => AlgorithmFamily::Hmac,
            Algorithm::RS256 => AlgorithmFamily::Rsa,
            Algorithm::ES256 => AlgorithmFamily::Ec,
            Algorithm::EdDSA => AlgorithmFamily::Ed,
            _ => return Err(ErrorKind::UnsupportedAlgorithm.into()),
        };
        if key.family() != family {
            return Err(ErrorKind::InvalidKeyFormat.into());
        }
        Ok(Self(algorithm, key.clone()))
    }
}

impl Verifier<Vec<u8>> for Check {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let wrong = |_| Error::new();
        match (self.0, self.1.kind()) {
            (Algorithm::HS256, DecodingKeyKind::SecretOrDer(secret)) => {
                hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message, signature).map_err(wrong)
            }
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).map_err(wrong)
            }
            (Algorithm::ES256, DecodingKeyKind::SecretOrDer(key)) => {
                check(&ECDSA_P256_SHA256_FIXED, key, message, signature)
            }
            (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(key)) => check(&ED25519, key, message, signature),
            _ => Err(Error::new()),
        }
    }
}

fn check(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> std::result::Result<(), Error> {
    signature::UnparsedPublicKey::new(algorithm, key).verify(message, signature).map_err(|_| Error::new())
}

impl JwtVerifier for Check {
    fn algorithm(&self) -> Algorithm {
        self.0
    }
}
